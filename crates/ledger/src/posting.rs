//! Double entry: what an entry moves between the books' accounts. Derived from the entry, so that a
//! posting can never say something else than it.

use domain::{Credits, LotId, Money};
use smallvec::SmallVec;

use crate::{Body, Draw, Entry};

/// What a posting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    Credits,
    /// The deployment's currency.
    Money,
}

/// An account of the books, seen from one customer account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PostingAccount {
    /// Where credits come from.
    Issued,
    /// Credits that the customer can spend.
    Lot(LotId),
    /// Credits spent past the lots, until a grant repays them.
    Overage,
    /// Credits used up by usage.
    Consumed,
    /// Credits changed by hand.
    Adjusted,
    /// Credits forfeited by expiry.
    Breakage,
    Voided,
    /// Money taken for credits.
    Paid,
    /// Money taken for credits that are not used yet.
    Deferred,
    Revenue,
    /// What vendors are owed.
    VendorPayable,
    VendorCost,
}

impl PostingAccount {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Lot(_) => "lot",
            Self::Overage => "overage",
            Self::Consumed => "consumed",
            Self::Adjusted => "adjusted",
            Self::Breakage => "breakage",
            Self::Voided => "voided",
            Self::Paid => "paid",
            Self::Deferred => "deferred",
            Self::Revenue => "revenue",
            Self::VendorPayable => "vendor_payable",
            Self::VendorCost => "vendor_cost",
        }
    }
}

/// One side of a movement. The postings of an entry sum to zero per unit (invariant 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    pub account: PostingAccount,
    pub unit: Unit,
    /// In steps of 10⁻¹²; positive into the account.
    pub amount: i128,
}

type Postings = SmallVec<[Posting; 8]>;

/// The postings of an entry; empty when it moves nothing.
pub fn postings(entry: &Entry<'_>) -> Postings {
    let mut book = Book(Postings::new());
    match &entry.body {
        Body::Debit(debit) => {
            book.spend(&debit.draws, debit.overage);
            book.credits(PostingAccount::Consumed, debit.credits);
            let cost: Money = debit
                .lines
                .iter()
                .zip(&debit.event.items)
                .filter_map(|(line, item)| line.cost(item.vendor_cost.map(|cost| cost.amount)))
                .sum();
            book.money(PostingAccount::VendorPayable, -cost);
            book.money(PostingAccount::VendorCost, cost);
        }
        Body::Unrated(_) | Body::Quarantined(_) | Body::LotInGrace(_) => {}
        Body::Grant(grant) => {
            let lot = PostingAccount::Lot(LotId(entry.sequence.0));
            book.credits(PostingAccount::Issued, -grant.credits);
            book.credits(lot, grant.credits);
            book.money(PostingAccount::Paid, -grant.paid);
            book.money(PostingAccount::Deferred, grant.paid);
            book.repay(grant.repays.as_ref());
        }
        Body::Adjustment(adjustment) => {
            book.credits(PostingAccount::Adjusted, -adjustment.credits);
            if adjustment.credits.is_positive() {
                book.credits(PostingAccount::Lot(LotId(entry.sequence.0)), adjustment.credits);
            }
            book.spend(&adjustment.draws, adjustment.overage);
            book.repay(adjustment.repays.as_ref());
        }
        Body::LotActivated(activated) => book.repay(activated.repays.as_ref()),
        Body::LotVoided(closed) => {
            book.lose(closed, PostingAccount::Voided);
        }
        Body::LotExpired(closed) => {
            book.lose(closed, PostingAccount::Breakage);
        }
    }
    book.0
}

struct Book(Postings);

impl Book {
    fn credits(&mut self, account: PostingAccount, amount: Credits) {
        if !amount.is_zero() {
            self.0.push(Posting { account, unit: Unit::Credits, amount: amount.atoms() });
        }
    }

    fn money(&mut self, account: PostingAccount, amount: Money) {
        if !amount.is_zero() {
            self.0.push(Posting { account, unit: Unit::Money, amount: amount.atoms() });
        }
    }

    fn recognise(&mut self, revenue: Money) {
        self.money(PostingAccount::Deferred, -revenue);
        self.money(PostingAccount::Revenue, revenue);
    }

    fn spend(&mut self, draws: &[Draw], overage: Credits) {
        for draw in draws {
            self.credits(PostingAccount::Lot(draw.lot), -draw.credits);
            self.recognise(draw.revenue);
        }
        self.credits(PostingAccount::Overage, -overage);
    }

    fn repay(&mut self, repays: Option<&Draw>) {
        if let Some(draw) = repays {
            self.credits(PostingAccount::Lot(draw.lot), -draw.credits);
            self.credits(PostingAccount::Overage, draw.credits);
            self.recognise(draw.revenue);
        }
    }

    fn lose(&mut self, closed: &crate::LotClosed<'_>, to: PostingAccount) {
        self.credits(PostingAccount::Lot(closed.lot), -closed.credits);
        self.credits(to, closed.credits);
        self.recognise(closed.revenue);
    }
}
