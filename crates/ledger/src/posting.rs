//! Double entry: what an entry moves between the books' accounts. Derived from the entry, so that a
//! posting can never say something else than it.

use domain::{Credits, LotId, Money};
use smallvec::SmallVec;

use crate::{Body, Debit, Draw, Entry, Freed, Return, ReturnTo};

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
    /// Credits captured ahead of the usage that they are for.
    Advanced,
    /// Credits used up by usage.
    Consumed,
    /// Credits changed by hand.
    Adjusted,
    /// Credits forfeited by expiry.
    Breakage,
    Voided,
    Refunded,
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
            Self::Advanced => "advanced",
            Self::Consumed => "consumed",
            Self::Adjusted => "adjusted",
            Self::Breakage => "breakage",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
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
    let own_lot = PostingAccount::Lot(LotId(entry.sequence.0));
    match &entry.body {
        Body::Debit(debit) => {
            book.spend(&debit.draws, debit.overage);
            book.credits(PostingAccount::Consumed, debit.credits);
            if let Some(used) = &debit.hold {
                let advanced: Credits = used.advanced.iter().map(|draw| draw.credits).sum();
                book.credits(PostingAccount::Advanced, -advanced - used.advanced_overage);
                if let Some(freed) = &used.freed {
                    book.free(freed, own_lot);
                }
            }
            book.vendor_cost(debit.vendor_cost());
        }
        Body::Grant(grant) => {
            book.grant(own_lot, grant.credits, grant.paid);
            book.repay(grant.repays.as_slice());
        }
        Body::Adjustment(adjustment) => {
            book.credits(PostingAccount::Adjusted, -adjustment.credits);
            if adjustment.credits.is_positive() {
                book.credits(own_lot, adjustment.credits);
            }
            book.spend(&adjustment.draws, adjustment.overage);
            book.repay(adjustment.repays.as_slice());
        }
        Body::LotActivated(activated) => book.repay(activated.repays.as_slice()),
        Body::LotVoided(closed) => {
            book.lose(closed.lot, closed.credits, closed.revenue, PostingAccount::Voided);
        }
        Body::LotExpired(closed) => {
            book.lose(closed.lot, closed.credits, closed.revenue, PostingAccount::Breakage);
        }
        Body::HoldCaptured(captured) => {
            book.spend(&captured.draws, captured.overage);
            book.credits(PostingAccount::Advanced, captured.credits);
        }
        Body::HoldEnded(ended) => {
            book.spend(&ended.draws, ended.overage);
            let drawn: Credits = ended.draws.iter().map(|draw| draw.credits).sum();
            book.credits(PostingAccount::Advanced, drawn + ended.overage);
            book.free(&ended.freed, own_lot);
        }
        Body::PlanAssigned(assigned) => {
            if let Some(grant) = &assigned.grant {
                book.grant(own_lot, grant.credits, grant.paid);
            }
            book.repay(assigned.repays.as_slice());
        }
        Body::PlanRenewed(renewed) => {
            if let Some(billed) = &renewed.billed {
                book.credits(PostingAccount::Issued, -billed.credits);
                book.credits(PostingAccount::Overage, billed.credits);
                book.money(PostingAccount::Paid, -billed.price);
                book.money(PostingAccount::Revenue, billed.price);
            }
            if let Some(grant) = &renewed.grant {
                book.grant(own_lot, grant.credits, grant.paid);
            }
            book.repay(renewed.repays.as_slice());
        }
        Body::RolledOver(rolled) => {
            book.credits(PostingAccount::Lot(rolled.from), -rolled.credits);
            book.credits(own_lot, rolled.credits);
        }
        Body::Refunded(refunded) => {
            book.credits(PostingAccount::Lot(refunded.lot), -refunded.credits);
            book.credits(PostingAccount::Refunded, refunded.credits);
            book.money(PostingAccount::Deferred, -refunded.money);
            book.money(PostingAccount::Paid, refunded.money);
            book.recognise(refunded.revenue);
        }
        Body::Reversed(reversed) => {
            book.credits(PostingAccount::Consumed, -reversed.debit.credits);
            book.put_back(&reversed.returns);
            book.credits(PostingAccount::Overage, reversed.overage);
            book.credits(own_lot, reversed.lot);
            book.vendor_cost(-reversed.debit.vendor_cost());
        }
        Body::Corrected(corrected) => {
            book.credits(PostingAccount::Consumed, corrected.change());
            book.put_back(&corrected.returns);
            book.credits(PostingAccount::Overage, corrected.forgiven);
            book.credits(own_lot, corrected.lot);
            book.spend(&corrected.draws, corrected.overage);
            let now = corrected.now.as_ref().map_or(Money::ZERO, Debit::vendor_cost);
            book.vendor_cost(now - corrected.before.vendor_cost());
        }
        Body::Unrated(_)
        | Body::Quarantined(_)
        | Body::QuarantineDecided(_)
        | Body::LotInGrace(_)
        | Body::LotExpiring(_)
        | Body::HoldReserved(_)
        | Body::HoldRefused(_)
        | Body::HoldExtended(_)
        | Body::PlanScheduled(_)
        | Body::BudgetSet(_)
        | Body::BudgetRemoved(_)
        | Body::NoticesSet(_) => {}
    }
    book.0
}

impl Debit<'_> {
    /// Σ known vendor cost of its lines.
    pub fn vendor_cost(&self) -> Money {
        self.lines
            .iter()
            .zip(&self.event.items)
            .filter_map(|(line, item)| line.cost(item.vendor_cost.map(|cost| cost.amount)))
            .sum()
    }
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

    fn repay(&mut self, repays: &[Draw]) {
        for draw in repays {
            self.credits(PostingAccount::Lot(draw.lot), -draw.credits);
            self.credits(PostingAccount::Overage, draw.credits);
            self.recognise(draw.revenue);
        }
    }

    fn grant(&mut self, lot: PostingAccount, credits: Credits, paid: Money) {
        self.credits(PostingAccount::Issued, -credits);
        self.credits(lot, credits);
        self.money(PostingAccount::Paid, -paid);
        self.money(PostingAccount::Deferred, paid);
    }

    fn lose(&mut self, lot: LotId, credits: Credits, revenue: Money, to: PostingAccount) {
        self.credits(PostingAccount::Lot(lot), -credits);
        self.credits(to, credits);
        self.recognise(revenue);
    }

    /// Credits that expired meanwhile become breakage, and stay earned.
    fn put_back(&mut self, returns: &[Return]) {
        for back in returns {
            match back.to {
                ReturnTo::Live | ReturnTo::InGrace => {
                    self.credits(PostingAccount::Lot(back.lot), back.credits);
                    self.recognise(-back.revenue);
                }
                ReturnTo::Expired => self.credits(PostingAccount::Breakage, back.credits),
            }
        }
    }

    fn free(&mut self, freed: &Freed, own_lot: PostingAccount) {
        let returned: Credits = freed.returns.iter().map(|back| back.credits).sum();
        self.credits(PostingAccount::Advanced, -returned - freed.returned_overage - freed.lot);
        self.put_back(&freed.returns);
        self.credits(PostingAccount::Overage, freed.returned_overage);
        self.credits(own_lot, freed.lot);
        for lost in &freed.lost {
            self.lose(lost.lot, lost.credits, lost.revenue, PostingAccount::Breakage);
        }
        self.repay(&freed.repays);
    }

    fn vendor_cost(&mut self, cost: Money) {
        self.money(PostingAccount::VendorPayable, -cost);
        self.money(PostingAccount::VendorCost, cost);
    }
}
