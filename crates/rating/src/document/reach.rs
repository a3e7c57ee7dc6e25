//! Whether earlier rules leave anything for a later one.
//!
//! The later rule is taken apart into every combination of its values. It is unreachable when each
//! combination is wholly matched by one earlier rule, so lists that are split over several earlier
//! rules are seen too. What only a union of patterns covers (`a*` and `*a` over all texts) is not
//! seen: the check refuses no rule that can be reached.

use domain::{Status, Traffic};

use super::rate_card::{Key, Rule};
use crate::pattern::{Pattern, Patterns};

/// Beyond this many combinations only whole rules are compared.
const COMBINATIONS_MAX: usize = 2_048;

/// Says which earlier rules forestall one with these keys.
pub(super) fn check(earlier: &[Rule], keys: &[Key]) -> Result<(), String> {
    if let Some((place, rule)) =
        earlier.iter().enumerate().find(|(_, rule)| covers(&rule.keys, keys))
    {
        return Err(format!("rule {} {:?} matches all that it does", place + 1, rule.name));
    }
    let Some(combinations) = combinations(keys) else {
        return Ok(());
    };
    let is_covered = |one: &Vec<Key>| earlier.iter().any(|rule| covers(&rule.keys, one));
    if combinations.len() > 1 && combinations.iter().all(is_covered) {
        return Err("earlier rules together match all that it does".to_owned());
    }
    Ok(())
}

/// Every combination of the keys' single values; `None` when they are too many.
fn combinations(keys: &[Key]) -> Option<Vec<Vec<Key>>> {
    let mut all: Vec<Vec<Key>> = vec![Vec::new()];
    for key in keys {
        let singles = singles(key);
        if all.len().checked_mul(singles.len())? > COMBINATIONS_MAX {
            return None;
        }
        all = all
            .iter()
            .flat_map(|sofar| {
                singles.iter().map(move |single| {
                    let mut longer = sofar.clone();
                    longer.push(single.clone());
                    longer
                })
            })
            .collect();
    }
    Some(all)
}

fn singles(key: &Key) -> Vec<Key> {
    let bits = |bits: u8, make: fn(u8) -> Key| {
        (0..8).map(|bit| 1 << bit).filter(|bit| bits & bit != 0).map(make).collect()
    };
    let each = |patterns: &Patterns, make: &dyn Fn(Patterns) -> Key| {
        patterns.iter().map(|one| make(Patterns(Box::new([one.clone()])))).collect()
    };
    match key {
        Key::Traffic(mask) => bits(*mask, Key::Traffic),
        Key::Status(mask) => bits(*mask, Key::Status),
        Key::Feature(patterns) => each(patterns, &Key::Feature),
        Key::Model(patterns) => each(patterns, &Key::Model),
        Key::Meter(patterns) => each(patterns, &Key::Meter),
        Key::Provider(patterns) => each(patterns, &Key::Provider),
        Key::ServiceTier(patterns) => each(patterns, &Key::ServiceTier),
        Key::Plan(patterns) => each(patterns, &Key::Plan),
        Key::Team(patterns) => each(patterns, &Key::Team),
        Key::Attribute(name, patterns) => {
            each(patterns, &|patterns| Key::Attribute(name.clone(), patterns))
        }
    }
}

/// Whether every item that the narrow keys match is matched by the wide ones.
fn covers(wide: &[Key], narrow: &[Key]) -> bool {
    wide.iter()
        .all(|key| holds_for_every_item(key) || narrow.iter().any(|other| covers_key(key, other)))
}

/// Fields that every item has, with all their values.
fn holds_for_every_item(key: &Key) -> bool {
    let all = |count: usize| (1_u8 << count) - 1;
    match key {
        Key::Traffic(mask) => *mask == all(Traffic::ALL.len()),
        Key::Status(mask) => *mask == all(Status::ALL.len()),
        Key::Feature(patterns) | Key::ServiceTier(patterns) => patterns.match_everything(),
        Key::Model(_)
        | Key::Meter(_)
        | Key::Provider(_)
        | Key::Plan(_)
        | Key::Team(_)
        | Key::Attribute(..) => false,
    }
}

fn covers_key(wide: &Key, narrow: &Key) -> bool {
    let cover = |wide: &Patterns, narrow: &Patterns| {
        narrow.iter().all(|pattern: &Pattern| wide.cover(pattern))
    };
    match (wide, narrow) {
        (Key::Traffic(wide), Key::Traffic(narrow)) | (Key::Status(wide), Key::Status(narrow)) => {
            narrow & !wide == 0
        }
        (Key::Feature(wide), Key::Feature(narrow))
        | (Key::Model(wide), Key::Model(narrow))
        | (Key::Meter(wide), Key::Meter(narrow))
        | (Key::Provider(wide), Key::Provider(narrow))
        | (Key::ServiceTier(wide), Key::ServiceTier(narrow))
        | (Key::Plan(wide), Key::Plan(narrow))
        | (Key::Team(wide), Key::Team(narrow)) => cover(wide, narrow),
        (Key::Attribute(wide_name, wide), Key::Attribute(narrow_name, narrow)) => {
            wide_name == narrow_name && cover(wide, narrow)
        }
        (
            Key::Traffic(_)
            | Key::Status(_)
            | Key::Feature(_)
            | Key::Model(_)
            | Key::Meter(_)
            | Key::Provider(_)
            | Key::ServiceTier(_)
            | Key::Plan(_)
            | Key::Team(_)
            | Key::Attribute(..),
            _,
        ) => false,
    }
}
