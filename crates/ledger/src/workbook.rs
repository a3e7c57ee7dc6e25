//! An account while an entry is being decided: copies of the lots that it touches, and the balance
//! so far. What is taken is taken from the copies, so that two movements of one entry see each
//! other; nothing of the account itself changes.

use domain::limits::GRACE_MICROS;
use domain::{Credits, LotId, Money, Timestamp};
use smallvec::SmallVec;

use crate::draw::{draw_from, revenue_of};
use crate::entry::Draws;
use crate::{Account, Balance, Draw, Freed, Hold, Lost, Lot, LotState, Return, ReturnTo};

#[derive(Debug)]
pub(crate) struct Workbook<'a> {
    account: &'a Account,
    lots: SmallVec<[Lot; 2]>,
    pub(crate) after: Balance,
}

impl<'a> Workbook<'a> {
    pub(crate) fn new(account: &'a Account) -> Self {
        Self { account, lots: SmallVec::new(), after: account.balance() }
    }

    fn view(&self, id: LotId) -> Option<&Lot> {
        self.lots.iter().find(|lot| lot.id == id).or_else(|| self.account.lot(id))
    }

    fn touch(&mut self, id: LotId) -> Option<&mut Lot> {
        if !self.lots.iter().any(|lot| lot.id == id) {
            let lot = self.account.lot(id)?.clone();
            self.lots.push(lot);
        }
        self.lots.iter_mut().find(|lot| lot.id == id)
    }

    /// Draws `amount` from what the hold has reserved, then from free lots for usage dated `at`; the
    /// rest is overage.
    pub(crate) fn spend(
        &mut self,
        hold: Option<&mut Hold>,
        amount: Credits,
        at: Timestamp,
    ) -> (Draws, Credits) {
        let mut draws = Draws::new();
        let mut left = amount;
        if let Some(hold) = hold {
            for earmark in &mut hold.earmarks {
                let credits = left.min(earmark.credits);
                if credits.is_positive()
                    && let Some(draw) = self.take_held(earmark.lot, credits)
                {
                    draws.push(draw);
                    earmark.credits -= credits;
                    left -= credits;
                }
            }
            hold.earmarks.retain(|earmark| earmark.credits.is_positive());
            let beyond = left.min(hold.beyond);
            hold.beyond -= beyond;
            self.after.held -= beyond;
        }
        left -= self.draw_free(&mut draws, left, at);
        self.overdraw(left);
        (draws, left)
    }

    fn overdraw(&mut self, credits: Credits) {
        self.after.settled -= credits;
        self.after.overage += credits;
    }

    fn draw_free(&mut self, draws: &mut Draws, amount: Credits, at: Timestamp) -> Credits {
        let mut left = amount;
        let account = self.account;
        for lot in &account.lots {
            if left.is_zero() {
                break;
            }
            let free = self.view(lot.id).map_or(Credits::ZERO, Lot::free);
            let credits = left.min(free);
            if !lot.serves(at) || !credits.is_positive() {
                continue;
            }
            let Some(lot) = self.touch(lot.id) else { continue };
            let draw = draw_from(lot, credits);
            lot.drawn += credits;
            lot.recognised += draw.revenue;
            let in_grace = lot.state == LotState::InGrace;
            self.after.settled -= credits;
            if in_grace {
                self.after.in_grace -= credits;
            }
            draws.push(draw);
            left -= credits;
        }
        amount - left
    }

    fn take_held(&mut self, id: LotId, credits: Credits) -> Option<Draw> {
        let lot = self.touch(id)?;
        let draw = draw_from(lot, credits);
        lot.drawn += credits;
        lot.held -= credits;
        lot.recognised += draw.revenue;
        self.after.settled -= credits;
        self.after.held -= credits;
        Some(draw)
    }

    /// Gives up what a hold still has reserved, and of what was captured ahead as much as
    /// `give_back`.
    pub(crate) fn free(
        &mut self,
        hold: &mut Hold,
        give_back: Credits,
        now: Timestamp,
        repays: bool,
    ) -> Freed {
        let mut freed = Freed { credits: hold.held(), ..Freed::default() };
        self.after.held -= hold.beyond;
        hold.beyond = Credits::ZERO;
        for earmark in std::mem::take(&mut hold.earmarks) {
            if self.unhold(earmark.lot, earmark.credits)
                && let Some(lost) = self.lose(earmark.lot, earmark.credits)
            {
                freed.lost.push(lost);
            }
        }
        self.give_back(hold, give_back, now, &mut freed);
        if repays {
            freed.repays = self.repay();
        }
        freed
    }

    /// Returns whether the lot has expired meanwhile.
    fn unhold(&mut self, id: LotId, credits: Credits) -> bool {
        let Some(lot) = self.touch(id) else { return false };
        lot.held -= credits;
        let state = lot.state;
        self.after.held -= credits;
        if state == LotState::InGrace {
            self.after.in_grace += credits;
        }
        state == LotState::Lapsed
    }

    fn lose(&mut self, id: LotId, credits: Credits) -> Option<Lost> {
        let lot = self.touch(id)?;
        let revenue = revenue_of(lot, credits);
        lot.expired += credits;
        lot.recognised += revenue;
        let category = lot.category;
        self.after.settled -= credits;
        Some(Lost { lot: id, category, credits, revenue })
    }

    /// The newest advance goes back first; overage that never was before credits that were there.
    fn give_back(&mut self, hold: &mut Hold, amount: Credits, now: Timestamp, freed: &mut Freed) {
        let mut left = amount;
        let overage = left.min(hold.advanced_overage);
        hold.advanced_overage -= overage;
        left -= overage;
        (freed.returned_overage, freed.lot) = self.forgive(overage);
        while left.is_positive()
            && let Some(last) = hold.advances.last_mut()
        {
            let part = split(last, left.min(last.credits));
            if last.credits.is_zero() {
                hold.advances.pop();
            }
            left -= part.credits;
            if let Some(back) = self.put_back(&part, now) {
                freed.returns.push(back);
            }
        }
    }

    /// Takes overage back. What of it is outstanding goes; the rest was repaid or billed meanwhile,
    /// and becomes a lot. Returns both.
    pub(crate) fn forgive(&mut self, overage: Credits) -> (Credits, Credits) {
        let outstanding = overage.min(self.after.overage);
        self.after.overage -= outstanding;
        self.after.settled += overage;
        (outstanding, overage - outstanding)
    }

    /// Puts a draw back into its lot.
    pub(crate) fn put_back(&mut self, draw: &Draw, now: Timestamp) -> Option<Return> {
        let lot = self.touch(draw.lot)?;
        let to = match lot.state {
            LotState::Pending | LotState::Live => ReturnTo::Live,
            LotState::InGrace => ReturnTo::InGrace,
            LotState::Lapsed => ReturnTo::Expired,
            LotState::Closed => match lot.expires {
                Some(expires) if expires.plus_micros(GRACE_MICROS) <= now => ReturnTo::Expired,
                Some(expires) if expires <= now => ReturnTo::InGrace,
                Some(_) | None => ReturnTo::Live,
            },
        };
        lot.put_back(draw.credits, draw.revenue, to);
        match to {
            ReturnTo::Live => self.after.settled += draw.credits,
            ReturnTo::InGrace => {
                self.after.settled += draw.credits;
                self.after.in_grace += draw.credits;
            }
            ReturnTo::Expired => {}
        }
        Some(Return {
            lot: draw.lot,
            category: draw.category,
            credits: draw.credits,
            revenue: draw.revenue,
            to,
        })
    }

    /// Free credits of live lots repay outstanding overage; those of lots that were used up until
    /// something came back into them last.
    fn repay(&mut self) -> Draws {
        let mut draws = Draws::new();
        let reopened = self.lots.iter().map(|lot| lot.id);
        let reopened: SmallVec<[LotId; 2]> =
            reopened.filter(|lot| self.account.open_lot_index(*lot).is_none()).collect();
        let open = self.account.lots.iter().map(|lot| lot.id);
        for id in open.chain(reopened) {
            let live = self.view(id).filter(|lot| lot.state == LotState::Live);
            let credits = live.map_or(Credits::ZERO, Lot::free).min(self.after.overage);
            if !credits.is_positive() {
                continue;
            }
            let Some(lot) = self.touch(id) else { continue };
            let draw = draw_from(lot, credits);
            lot.drawn += credits;
            lot.recognised += draw.revenue;
            self.after.overage -= credits;
            draws.push(draw);
        }
        draws
    }
}

impl Lot {
    pub(crate) fn put_back(&mut self, credits: Credits, revenue: Money, to: ReturnTo) {
        self.drawn -= credits;
        match to {
            ReturnTo::Live | ReturnTo::InGrace => {
                self.recognised -= revenue;
                if self.state == LotState::Closed {
                    self.state = to.state();
                }
            }
            // What was earned stays earned: as breakage.
            ReturnTo::Expired => self.expired += credits,
        }
    }
}

/// Takes a part out of a draw, with its share of the revenue; the last part takes what rounding left.
pub(crate) fn split(draw: &mut Draw, credits: Credits) -> Draw {
    let revenue = if credits == draw.credits {
        draw.revenue
    } else {
        crate::draw::recognised(draw.revenue, credits, draw.credits)
    };
    draw.credits -= credits;
    draw.revenue -= revenue;
    Draw { lot: draw.lot, category: draw.category, credits, revenue }
}
