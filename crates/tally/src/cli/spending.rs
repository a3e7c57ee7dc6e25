//! What accounts may spend, and how: plans, quotes, holds, budgets, top-ups, and what takes back.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use domain::{Credits, Currency, Money, Traffic};

use super::budget::Budget;
use super::credits::ByHand;
use super::hold::Hold;
use super::plan::Plan;
use super::quote::Quote;
use super::topup::{Alert, Topup};

#[derive(Debug, Subcommand)]
pub(crate) enum Spending {
    /// Plans: what accounts have each period, at which prices, and what happens at zero
    #[command(subcommand)]
    Plan(Plan),
    /// What usage would cost an account: at the least, as expected, at the most
    #[command(after_help = "Examples:\n  \
        tally quote acct_42 --item model=gpt-4o,provider=openai,input=5000,output=2000\n  \
        tally quote acct_42 --model gpt-4o --provider openai --characters 8000 --max-output 1000\n  \
        tally quote --file event.json\n\n\
        By the same code that charges it: the quote of an event's real counts is its charge. Four \
        characters are taken for a token. Rules about features hold for the one that --feature names.")]
    Quote(Quote),
    /// Set credits aside before a call, and settle them by what it really used
    #[command(subcommand)]
    Hold(Hold),
    /// How much a part of an account may spend in a day, a week, a month
    #[command(subcommand)]
    Budget(Budget),
    /// Add credits that were paid for; or say when to top up by itself
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "Examples:\n  tally topup acct_42 1000 --paid 10.00 --currency USD --id order-77\n  \
        tally topup auto acct_42 --below 100 --amount 1000\n  tally topup auto acct_42 --off\n\n\
        `topup auto` tells whoever listens that a top-up is due; the credits come with the payment."
    )]
    Topup(Topup),
    /// When somebody is to be told about a balance
    #[command(subcommand)]
    Alert(Alert),
    /// Take unused credits of a lot back against money
    #[command(
        after_help = "Examples:\n  tally refund acct_42 7 500 --money 5.00 --currency USD --reason \"order 77 was returned\"\n\n\
        LOT is the lot's number, as `tally lots` lists it. Credits and money are apart: either may \
        be less than the other's share."
    )]
    Refund(Refund),
    /// Take a charge back, exactly
    #[command(
        after_help = "Examples:\n  tally reverse acct_42 3-8812 --reason \"charged for a failed run\"\n\n\
        ENTRY is the charge's entry, as `tally explain` shows it. The charge stays as it is; the \
        reversal is an entry of its own."
    )]
    Reverse(Reverse),
    /// An account's credits, lot by lot, in the order in which they are drawn
    #[command(after_help = "Examples:\n  tally lots acct_42")]
    Lots(Lots),
}

/// A change that may say why.
#[derive(Args, Clone, Debug)]
pub(crate) struct Change {
    /// Why; recorded in the ledger
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
}

/// Whom usage is for.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Scope {
    /// The user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// The team
    #[arg(long, value_name = "TEAM")]
    pub(crate) team: Option<String>,
    /// The feature; it may have prices of its own
    #[arg(long, value_name = "FEATURE")]
    pub(crate) feature: Option<String>,
    /// The class of traffic
    #[arg(long, value_name = "CLASS", value_parser = traffic())]
    pub(crate) traffic: Option<String>,
}

fn traffic() -> PossibleValuesParser {
    PossibleValuesParser::new(Traffic::ALL.iter().map(|traffic| traffic.word()))
}

#[derive(Args, Debug)]
pub(crate) struct Refund {
    pub(crate) account: String,
    /// The lot's number
    pub(crate) lot: u64,
    /// Credits to take back
    #[arg(value_parser = super::values::positive)]
    pub(crate) amount: Credits,
    /// What is paid back for them
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) money: Money,
    /// Its currency
    #[arg(long, value_name = "CODE")]
    pub(crate) currency: Currency,
    /// Why; recorded in the ledger
    #[arg(long, value_name = "TEXT", value_parser = super::values::said)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
}

#[derive(Args, Debug)]
pub(crate) struct Reverse {
    pub(crate) account: String,
    /// The charge's entry, such as 3-8812
    pub(crate) entry: String,
    /// Why; recorded in the ledger
    #[arg(long, value_name = "TEXT", value_parser = super::values::said)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
}

#[derive(Args, Debug)]
pub(crate) struct Lots {
    pub(crate) account: String,
    /// Also those of which nothing is left
    #[arg(long)]
    pub(crate) all: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::hold::Hold;
    use crate::cli::topup::{Topup, TopupCommand};
    use crate::cli::{Cli, Command};

    use super::*;

    fn parse(line: &str) -> Result<Spending, clap::Error> {
        match Cli::try_parse_from(line.split(' '))?.command {
            Command::Spending(command) => Ok(command),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_command_takes_what_it_says() {
        for line in [
            "tally plan publish pro.toml free.toml --dry-run",
            "tally plan assign acct_42 pro --when renewal --id upgrade-1 --reason asked",
            "tally plan show acct_42 --strict",
            "tally plan list",
            "tally plan price-list",
            "tally plan price-list pro",
            "tally plan price-list --account acct_42",
            "tally quote acct_42 --item model=m,input=1 --item meter=email_send,quantity=1",
            "tally quote acct_42 --characters 8000 --max-output 1000 --model gpt-4o --feature chat",
            "tally quote --file event.json",
            "tally quote acct_42 --file -",
            "tally hold reserve acct_42 12.5 --expires-in 60s --user u_7 --team growth --feature chat --traffic customer",
            "tally hold reserve acct_42 --item model=m,input=1 --feature chat --shrink",
            "tally hold reserve acct_42 --model m --input 500 --max-output 100 --feature chat",
            "tally hold show hold_3-8812",
            "tally hold list acct_42 --state open",
            "tally hold extend hold_3-8812 --expires-in 5m",
            "tally hold capture hold_3-8812 3",
            "tally hold settle hold_3-8812 9",
            "tally hold settle hold_3-8812 0",
            "tally hold settle hold_3-8812 --id s-1",
            "tally hold release hold_3-8812",
            "tally budget set acct_42 --limit 1000 --period month --threshold 50 --threshold 80 --soft",
            "tally budget set acct_42 growth --limit 0 --period ever --team growth --hard",
            "tally budget list acct_42",
            "tally budget remove acct_42 growth",
            "tally topup acct_42 1000 --paid 10.00 --currency USD --expires 2027-01-01T00:00:00Z",
            "tally topup auto acct_42 --below 100 --amount 1000",
            "tally topup auto acct_42 --off",
            "tally alert set acct_42 --low-balance 100",
            "tally alert set acct_42 --off",
            "tally refund acct_42 7 500 --money 5.00 --currency USD --reason returned",
            "tally reverse acct_42 3-8812 --reason mistake",
            "tally lots acct_42",
            "tally lots acct_42 --all",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_usage_is_refused_before_anything_travels() {
        for (line, said) in [
            ("tally plan", "Usage: tally plan"),
            ("tally plan assign acct_42", "<PLAN>"),
            ("tally plan assign acct_42 pro --when soon", "fitting, now, renewal"),
            ("tally plan price-list pro --account acct_42", "cannot be used with"),
            ("tally quote", "<ACCOUNT>"),
            ("tally quote acct_42", "--item"),
            ("tally quote acct_42 --model m", "--characters"),
            ("tally quote --file event.json --feature chat", "cannot be used with"),
            ("tally quote --file event.json --model m --input 5", "cannot be used with"),
            ("tally hold reserve acct_42", "AMOUNT"),
            ("tally hold reserve acct_42 --model m --input 5", "--feature"),
            ("tally hold reserve acct_42 5 --item model=m,input=1", "cannot be used with"),
            ("tally hold reserve acct_42 5 --model m --input 1", "cannot be used with"),
            ("tally quote acct_42 --item model=m,imput=5", "is it \"input\"?"),
            ("tally quote acct_42 --characters 8000", "--model"),
            ("tally quote acct_42 --model m --characters 8 --input 2", "cannot be used with"),
            ("tally quote acct_42 --item model=m,input=5 --model m", "cannot be used with"),
            ("tally hold reserve acct_42 0", "above zero"),
            ("tally hold reserve acct_42 1e3", "not a decimal number"),
            ("tally hold reserve acct_42 0.0000000000001", "more than 12 decimals"),
            ("tally hold reserve acct_42 5 --expires-in 60", "a time has a unit"),
            ("tally hold reserve acct_42 5 --traffic everyone", "customer, internal"),
            ("tally hold extend hold_3-8812", "--expires-in"),
            ("tally hold capture hold_3-8812", "<AMOUNT>"),
            ("tally hold list acct_42 --state closed", "open, settled, released, expired"),
            ("tally budget set acct_42 --period month", "--limit"),
            ("tally budget set acct_42 --limit 10", "--period"),
            (
                "tally budget set acct_42 --limit 10 --period fortnight",
                "day, week, month, year, ever",
            ),
            (
                "tally budget set acct_42 --limit 10 --period day --hard --soft",
                "cannot be used with",
            ),
            ("tally budget set acct_42 --limit 10 --period day --threshold 0", "1..=1000"),
            ("tally topup acct_42 1000", "--paid"),
            ("tally topup acct_42 1000 --paid 10 --currency dollars", "three capital letters"),
            ("tally topup auto acct_42", "--below"),
            ("tally topup auto acct_42 --below 100", "--amount"),
            ("tally topup auto acct_42 --below 100 --amount 5 --off", "cannot be used with"),
            ("tally alert set acct_42", "--low-balance"),
            ("tally refund acct_42 7 500 --money 5.00 --currency USD", "--reason"),
            ("tally refund acct_42 7 500 --reason r", "--money"),
            ("tally reverse acct_42 3-8812", "--reason"),
            ("tally reverse acct_42 3-8812 --reason=", "it must say something"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            let text = error.to_string();
            assert!(text.contains(said), "{line}: {text}");
        }
    }

    #[test]
    fn amounts_and_times_arrive_as_what_they_are() {
        let Spending::Hold(Hold::Reserve(reserve)) =
            parse("tally hold reserve acct_42 12.50 --expires-in 1h30m").unwrap()
        else {
            panic!("another command");
        };
        assert_eq!(reserve.amount.unwrap().to_string(), "12.5");
        assert_eq!(reserve.expires_in.unwrap().0, 5_400);
    }

    #[test]
    fn a_topup_is_a_purchase_or_a_standing_order() {
        let bought = match parse("tally topup acct_42 1000 --paid 10.00 --currency USD").unwrap() {
            Spending::Topup(Topup { bought: Some(bought), command: None, .. }) => bought,
            other => panic!("not a purchase: {other:?}"),
        };
        assert_eq!(
            (bought.account.as_str(), bought.paid.to_string()),
            ("acct_42", "10".to_owned())
        );
        let Spending::Topup(Topup {
            bought: None, command: Some(TopupCommand::Auto(auto)), ..
        }) = parse("tally topup auto acct_42 --below 100 --amount 1000").unwrap()
        else {
            panic!("not a standing order");
        };
        assert_eq!(auto.below.unwrap().to_string(), "100");
    }
}
