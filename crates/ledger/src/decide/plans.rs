//! Plans: assigning, changing, renewing, rolling over.

use calendar::Window;
use domain::{Credits, Currency, LotId, Money, Reason, Text, Timestamp};

use super::{Facts, Moment, entry};
use crate::draw::{repay_of, revenue_of, share};
use crate::{
    Account, AllowanceTerms, Balance, Billed, Body, ByHand, Category, Entry, Exhausted, Lot,
    LotState, PlanAssigned, PlanGrant, PlanRenewed, PlanScheduled, PlanTerms, RolledOver,
    Subscription, When,
};

const DAY_MICROS: i64 = 86_400 * 1_000_000;

/// Gives an account a plan: at once when it has none or the change is an upgrade, else with the
/// renewal.
pub(super) fn assign<'a>(
    account: &Account,
    when: When,
    facts: Facts<'_>,
    by: ByHand<'a>,
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    let wanted = facts.wanted.ok_or(Reason::UnknownPlan)?;
    let Some(current) = account.plan() else {
        return Ok(begin(account, wanted, Beginning::at(now, Some(by))));
    };
    if current.plan.as_ref() == wanted.id {
        // Asking for what is there takes another wish back.
        let (Some(_), Some(at)) = (&current.scheduled, current.renews_at()) else {
            return Err(Reason::PlanUnchanged);
        };
        let scheduled = PlanScheduled { by, plan: None, at };
        return Ok((account.balance(), Body::PlanScheduled(Box::new(scheduled))));
    }
    let at_once = match when {
        When::Now => true,
        When::Renewal => false,
        When::Fitting => facts.plan.is_none_or(|current| is_upgrade(&current, &wanted)),
    };
    match current.renews_at() {
        Some(at) if !at_once => {
            let plan = Some(Text::Owned(wanted.id.to_owned()));
            let scheduled = PlanScheduled { by, plan, at };
            Ok((account.balance(), Body::PlanScheduled(Box::new(scheduled))))
        }
        _ => Ok(change(account, current, facts, wanted, Beginning::at(now, Some(by)))),
    }
}

/// The plan of an account that nobody assigned one.
pub fn default_plan<'a>(
    account: &Account,
    name: Text<'a>,
    terms: PlanTerms<'_>,
    moment: Moment,
) -> Entry<'a> {
    // Whatever the account has used so far is priced under it.
    let beginning = Beginning { from: Timestamp::ZERO, ..Beginning::at(moment.ledger_time, None) };
    let (after, body) = begin(account, terms, beginning);
    entry(account, name, moment, after, body)
}

/// A dearer plan is an upgrade; of plans that cost the same, the one that allows as much or more.
fn is_upgrade(current: &PlanTerms<'_>, wanted: &PlanTerms<'_>) -> bool {
    let price = |plan: &PlanTerms<'_>| plan.price.map_or(Money::ZERO, |(amount, _)| amount);
    let allows = |plan: &PlanTerms<'_>| plan.allowance.map_or(Credits::ZERO, |terms| terms.credits);
    (price(wanted), allows(wanted)) >= (price(current), allows(current))
}

/// When a plan begins, and by whom.
struct Beginning<'a> {
    now: Timestamp,
    /// From when usage is priced under it.
    from: Timestamp,
    by: Option<ByHand<'a>>,
}

impl<'a> Beginning<'a> {
    fn at(now: Timestamp, by: Option<ByHand<'a>>) -> Self {
        Self { now, from: now, by }
    }
}

/// A plan with a first period of its own: a trial, if the plan has one and the account never had
/// it, else a whole allowance.
fn begin<'a>(
    account: &Account,
    terms: PlanTerms<'_>,
    beginning: Beginning<'a>,
) -> (Balance, Body<'a>) {
    let now = beginning.now;
    let had_trial = account
        .plan()
        .is_some_and(|plan| plan.trials.iter().any(|trial| trial.as_ref() == terms.id));
    let trial = terms.trial.filter(|_| !had_trial);
    let (period, grant) = match (trial, terms.allowance) {
        (Some((credits, days)), _) => {
            let period = Window { start: now, end: now.plus_micros(i64::from(days) * DAY_MICROS) };
            let category = Category::Promotional;
            (Some(period), Some(given(credits, category, period, None)))
        }
        (None, Some(allowance)) => {
            let period = Window { start: now, end: allowance.window(now, now).end };
            (Some(period), Some(given(allowance.credits, Category::Included, period, terms.price)))
        }
        (None, None) => (None, None),
    };
    assigned(
        account,
        terms,
        beginning,
        Begun { anchor: now, period, trial: trial.is_some(), grant },
    )
}

/// A change of plan at once. With the same periods the current one goes on, and an upgrade grants the
/// difference for what is left of it; what was spent is never clawed back.
fn change<'a>(
    account: &Account,
    current: &Subscription,
    facts: Facts<'_>,
    wanted: PlanTerms<'_>,
    beginning: Beginning<'a>,
) -> (Balance, Body<'a>) {
    let before = facts.plan.and_then(|plan| plan.allowance);
    let same = match (&before, &wanted.allowance) {
        (Some(before), Some(wanted)) => !current.trial && before.same_periods(wanted),
        _ => false,
    };
    let (Some(period), Some(allowance), true) = (current.period, wanted.allowance, same) else {
        return begin(account, wanted, beginning);
    };
    let grant = prorated(current, &allowance, &facts, &wanted, period, beginning.now);
    let anchor = current.anchor;
    assigned(
        account,
        wanted,
        beginning,
        Begun { anchor, period: Some(period), trial: false, grant },
    )
}

fn prorated(
    current: &Subscription,
    allowance: &AllowanceTerms<'_>,
    facts: &Facts<'_>,
    wanted: &PlanTerms<'_>,
    period: Window,
    now: Timestamp,
) -> Option<PlanGrant> {
    let whole = i128::from(period.end.since(period.start));
    let left = i128::from(period.end.since(now)).clamp(0, whole);
    let more = allowance.credits - level(current, facts);
    if !more.is_positive() || whole == 0 {
        return None;
    }
    let credits = Credits::from_atoms(share(more.atoms(), left, whole));
    let paid = |plan: &PlanTerms<'_>| plan.price.map_or(Money::ZERO, |(amount, _)| amount);
    let dearer = facts.plan.as_ref().map_or(Money::ZERO, |plan| paid(wanted) - paid(plan));
    let dearer = Money::from_atoms(share(dearer.max(Money::ZERO).atoms(), left, whole));
    let price = wanted.price.map(|(_, currency)| (dearer, currency));
    let from_now = Window { start: now, end: period.end };
    credits.is_positive().then(|| given(credits, Category::Included, from_now, price))
}

/// The allowance of a whole period that what was granted stands for. After an upgrade within the
/// period only a part of the difference was granted, so the plan says it; unless it has a newer
/// version than the one that was granted under.
fn level(current: &Subscription, facts: &Facts<'_>) -> Credits {
    let plan = facts.plan.filter(|plan| plan.version == current.version);
    let of_plan = plan.and_then(|plan| plan.allowance).map(|allowance| allowance.credits);
    of_plan.map_or(current.allowance, |credits| credits.max(current.allowance))
}

fn given(
    credits: Credits,
    category: Category,
    period: Window,
    price: Option<(Money, Currency)>,
) -> PlanGrant {
    PlanGrant {
        credits,
        category,
        effective: period.start,
        expires: period.end,
        paid: price.map_or(Money::ZERO, |(amount, _)| amount),
        currency: price.map(|(_, currency)| currency),
    }
}

/// What a plan begins with.
struct Begun {
    anchor: Timestamp,
    period: Option<Window>,
    trial: bool,
    grant: Option<PlanGrant>,
}

fn assigned<'a>(
    account: &Account,
    terms: PlanTerms<'_>,
    beginning: Beginning<'a>,
    begun: Begun,
) -> (Balance, Body<'a>) {
    let mut after = account.balance();
    let repays = open(account, &mut after, begun.grant.as_ref(), terms.repays);
    let body = PlanAssigned {
        by: beginning.by,
        plan: Text::Owned(terms.id.to_owned()),
        version: terms.version,
        replaces: account.plan().map(|plan| Text::Owned(plan.plan.as_ref().to_owned())),
        from: beginning.from,
        anchor: begun.anchor,
        period: begun.period,
        trial: begun.trial,
        grant: begun.grant,
        repays,
        low_balance: terms.low_balance,
    };
    (after, Body::PlanAssigned(Box::new(body)))
}

/// What a plan's lot does to the balance when it opens.
fn open(
    account: &Account,
    after: &mut Balance,
    grant: Option<&PlanGrant>,
    repays: bool,
) -> Option<crate::Draw> {
    let grant = grant?;
    after.settled += grant.credits;
    let lot = Lot::of_plan(LotId(account.sequence.next().0), grant);
    let draw = repay_of(after.overage, &lot, repays)?;
    after.overage -= draw.credits;
    Some(draw)
}

/// The period ends. What may be rolled over is moved first, lot by lot; then the next period begins.
/// `facts.begun_under` is the plan that the period was begun under, `facts.plan` the one that the next
/// begins under.
pub(super) fn renew(account: &Account, facts: Facts<'_>) -> Option<(Balance, Body<'static>)> {
    let current = account.plan()?;
    let period = current.period?;
    if let Some((rolled, in_grace)) = roll_over(account, current, facts.begun_under, period) {
        let mut after = account.balance();
        if in_grace {
            after.in_grace -= rolled.credits;
        }
        return Some((after, Body::RolledOver(rolled)));
    }
    let Some(next) = facts.plan else {
        // The plan is in force no more: nothing renews, and what there is stays.
        let renewed = PlanRenewed {
            plan: Text::Owned(current.plan.as_ref().to_owned()),
            version: current.version,
            replaces: None,
            anchor: current.anchor,
            period: None,
            grant: None,
            billed: None,
            repays: None,
            low_balance: current.low_balance,
        };
        return Some((account.balance(), Body::PlanRenewed(Box::new(renewed))));
    };
    let before = facts.begun_under.and_then(|plan| plan.allowance);
    let goes_on = !current.trial
        && before
            .is_some_and(|before| next.allowance.is_some_and(|next| next.same_periods(&before)));
    // After a trial, and with other periods, anniversaries are counted anew.
    let anchor = if goes_on { current.anchor } else { period.end };
    let next_period = next.allowance.map(|allowance| {
        let window = allowance.window(anchor, period.end);
        Window { start: period.end, end: window.end }
    });
    let mut after = account.balance();
    let billed = bill(account, facts.begun_under);
    if let Some(billed) = &billed {
        after.overage -= billed.credits;
        after.settled += billed.credits;
    }
    let grant = next_period.zip(next.allowance).map(|(period, allowance)| {
        given(allowance.credits, Category::Included, period, next.price)
    });
    let repays = open(account, &mut after, grant.as_ref(), next.repays);
    let renewed = PlanRenewed {
        plan: Text::Owned(next.id.to_owned()),
        version: next.version,
        replaces: (current.plan.as_ref() != next.id)
            .then(|| Text::Owned(current.plan.as_ref().to_owned())),
        anchor,
        period: next_period,
        grant,
        billed,
        repays,
        low_balance: next.low_balance,
    };
    Some((after, Body::PlanRenewed(Box::new(renewed))))
}

/// Overage that has a price is billed with the period that it was used in.
fn bill(account: &Account, plan: Option<PlanTerms<'_>>) -> Option<Billed> {
    let plan = plan?;
    let Exhausted::Overage { price_per_1000: Some(price), .. } = plan.exhausted else {
        return None;
    };
    if !account.overage.is_positive() {
        return None;
    }
    let thousand = Credits::from_units(1_000).atoms();
    let whole = account.overage.atoms() / thousand;
    let rest = account.overage.atoms() % thousand;
    let price_of_whole = price.atoms().checked_mul(whole)?;
    let price = Money::from_atoms(price_of_whole + share(price.atoms(), rest, thousand));
    Some(Billed {
        credits: account.overage,
        price,
        currency: plan.price.map(|(_, currency)| currency),
    })
}

/// The next lot of the ending period that something may be rolled over of, and whether it is in its
/// grace already: credits came back into it when its period was over and the renewal had yet to fire.
fn roll_over(
    account: &Account,
    current: &Subscription,
    plan: Option<PlanTerms<'_>>,
    period: Window,
) -> Option<(RolledOver, bool)> {
    let plan = plan.filter(|_| !current.trial)?;
    let (terms, allowance) = (plan.rollover?, plan.allowance?);
    let room = terms.max_credits.map(|most| most - current.rolled);
    let lot = account
        .lots
        .iter()
        .filter(|lot| matches!(lot.state, LotState::Live | LotState::InGrace))
        .find(|lot| current.lots.contains(&lot.id) && lot.free().is_positive())?;
    let credits = room.map_or(lot.free(), |room| room.min(lot.free()));
    if !credits.is_positive() || account.lots.len() >= domain::limits::LOTS_MAX {
        return None;
    }
    let mut expires = period.end;
    for _ in 0..terms.expires_after_periods {
        expires = allowance.window(current.anchor, expires).end;
    }
    let rolled = RolledOver {
        from: lot.id,
        category: lot.category,
        priority: lot.priority,
        credits,
        paid: revenue_of(lot, credits),
        currency: lot.currency,
        effective: period.end,
        expires,
    };
    Some((rolled, lot.state == LotState::InGrace))
}
