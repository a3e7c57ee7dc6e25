//! Which command does what, of those about what accounts may spend.

use super::{Context, budget, credits, hold, plan, quote, topup};
use crate::cli::spending::Spending;
use crate::failure::Failure;

pub(crate) fn spending(context: &Context, command: &Spending) -> Result<(), Failure> {
    match command {
        Spending::Plan(plan) => plan::plan(context, plan),
        Spending::Quote(quote) => quote::quote(context, quote),
        Spending::Hold(hold) => hold::hold(context, hold),
        Spending::Budget(budget) => budget::budget(context, budget),
        Spending::Topup(topup) => topup::topup(context, topup),
        Spending::Alert(alert) => topup::alert(context, alert),
        Spending::Refund(refund) => credits::refund(context, refund),
        Spending::Reverse(reverse) => credits::reverse(context, reverse),
        Spending::Lots(lots) => credits::lots(context, lots),
    }
}
