//! The ledger's invariants as predicates: one definition for tests, the simulator, `verify` and
//! metrics. Numbers are those of the architecture document.

use domain::{Credits, Money};

use crate::{Account, Body, Debit, Entry, Hold, LotState, Unit, postings};

/// A broken invariant, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {number}: {found}")]
pub struct Broken {
    pub number: u8,
    pub found: String,
}

fn broken(number: u8, found: String) -> Result<(), Broken> {
    Err(Broken { number, found })
}

/// Invariant 2: the postings of an entry sum to zero, per unit.
pub fn postings_balance(entry: &Entry<'_>) -> Result<(), Broken> {
    for unit in [Unit::Credits, Unit::Money] {
        let sum: i128 = postings(entry)
            .iter()
            .filter(|posting| posting.unit == unit)
            .map(|posting| posting.amount)
            .sum();
        if sum != 0 {
            let (account, sequence) = (&entry.account, entry.sequence);
            return broken(2, format!("{account}#{sequence}: {unit:?} postings sum to {sum}"));
        }
    }
    Ok(())
}

/// Invariant 3: granted = remaining + drawn + expired + voided + rolled over + refunded per lot,
/// nothing below zero, settled = Σ remaining − overage, and held = Σ of the open holds.
pub fn lots_conserve(name: &str, account: &Account) -> Result<(), Broken> {
    let mut remaining = Credits::ZERO;
    let mut in_grace = Credits::ZERO;
    for lot in account.lots.iter().chain(&account.closed) {
        let left = lot.remaining();
        let parts =
            [lot.drawn, lot.expired, lot.voided, lot.rolled, lot.refunded, lot.held, lot.free()];
        if parts.iter().any(|part| part.is_negative()) {
            return broken(3, format!("{name}: lot {} has a part below zero", lot.id));
        }
        let paid = lot.paid - lot.paid_back;
        if lot.recognised > paid || lot.recognised.is_negative() {
            return broken(3, format!("{name}: lot {} recognised more than was paid", lot.id));
        }
        match lot.state {
            LotState::Pending => {}
            LotState::Live => remaining += left,
            LotState::InGrace => {
                remaining += left;
                in_grace += lot.free();
            }
            LotState::Lapsed => remaining += left,
            LotState::Closed if left.is_zero() && lot.recognised == paid => {}
            LotState::Closed => {
                return broken(3, format!("{name}: closed lot {} is not used up", lot.id));
            }
        }
    }
    let balance = account.balance();
    if balance.settled != remaining - account.overage || balance.in_grace != in_grace {
        return broken(3, format!("{name}: settled is not Σ remaining − overage"));
    }
    let of_holds: Credits = account.holds().iter().map(Hold::held).sum();
    let of_lots: Credits = account.lots.iter().map(|lot| lot.held).sum();
    let beyond: Credits = account.holds().iter().map(|hold| hold.beyond).sum();
    if balance.held != of_holds || of_holds != of_lots + beyond {
        return broken(3, format!("{name}: held is not what the holds and the lots say"));
    }
    if account.overage.is_negative() {
        return broken(3, format!("{name}: overage below zero"));
    }
    Ok(())
}

/// Invariant 7: the lines of a charge sum to it, and so do its draws and overage; and what a correction
/// moves is the difference between the charge as it stood and as it stands.
pub fn charge_adds_up(entry: &Entry<'_>) -> Result<(), Broken> {
    if let Body::Debit(debit) = &entry.body {
        return debit_adds_up(entry, debit);
    }
    let Body::Corrected(corrected) = &entry.body else {
        return Ok(());
    };
    for debit in [Some(&corrected.before), corrected.now.as_ref()].into_iter().flatten() {
        debit_adds_up(entry, debit)?;
    }
    let drawn: Credits = corrected.draws.iter().map(|draw| draw.credits).sum();
    let back: Credits = corrected.returns.iter().map(|back| back.credits).sum();
    let moved = drawn + corrected.overage - back - corrected.forgiven - corrected.lot;
    if moved != corrected.change() {
        let (account, sequence) = (&entry.account, entry.sequence);
        return broken(7, format!("{account}#{sequence}: what it moves is not the difference"));
    }
    Ok(())
}

fn debit_adds_up(entry: &Entry<'_>, debit: &Debit<'_>) -> Result<(), Broken> {
    let lines: Credits = debit.lines.iter().map(|line| line.credits).sum();
    let drawn: Credits = debit.paying().map(|draw| draw.credits).sum();
    let revenue_below_zero = debit.paying().any(|draw| draw.revenue < Money::ZERO);
    if lines != debit.credits
        || drawn + debit.past_the_lots() != debit.credits
        || debit.lines.len() != debit.event.items.len()
        || revenue_below_zero
    {
        let (account, sequence) = (&entry.account, entry.sequence);
        return broken(7, format!("{account}#{sequence}: lines or draws do not sum to the debit"));
    }
    Ok(())
}
