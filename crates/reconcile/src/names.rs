//! Which metered model a vendor's name means.

use std::collections::{BTreeMap, BTreeSet};

use rating::Pattern;

/// The names of a vendor, found among ours.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    renames: Vec<(Pattern, String)>,
    /// The metered models by their plain form; `None` when several share one.
    plain: Option<BTreeMap<String, Option<String>>>,
    metered: BTreeSet<String>,
}

impl Names {
    pub(crate) fn new<'m>(
        renames: &BTreeMap<String, String>,
        loose: bool,
        metered: impl Iterator<Item = &'m str>,
    ) -> Self {
        let metered: BTreeSet<String> = metered.map(str::to_owned).collect();
        let plain = loose.then(|| {
            let mut plain: BTreeMap<String, Option<String>> = BTreeMap::new();
            for model in &metered {
                plain
                    .entry(plain_form(model))
                    .and_modify(|known| *known = None)
                    .or_insert_with(|| Some(model.clone()));
            }
            plain
        });
        // Names before patterns, so that an exception stands beside its rule.
        let mut renames: Vec<_> =
            renames.iter().map(|(from, to)| (Pattern::new(from), to.clone())).collect();
        renames.sort_by_key(|(pattern, _)| !matches!(pattern, Pattern::Exact(_)));
        Self { renames, plain, metered }
    }

    /// The metered model: as the mapping renames it; the name itself when it is metered; else, when
    /// names are loose, the one metered model of the same plain form; else the name as it is.
    pub(crate) fn metered(&self, vendor: &str) -> String {
        if let Some((_, model)) = self.renames.iter().find(|(from, _)| from.matches(vendor)) {
            return model.clone();
        }
        if self.metered.contains(vendor) {
            return vendor.to_owned();
        }
        let Some(plain) = &self.plain else { return vendor.to_owned() };
        let form = plain_form(vendor);
        match plain.get(&form) {
            Some(Some(model)) => model.clone(),
            // Several are meant: nobody but the mapping can say which.
            Some(None) => vendor.to_owned(),
            // So that a vendor's two exports meet under one name though nothing was metered.
            None => form,
        }
    }
}

/// Lower case, blanks and points as dashes, without the date at the end: `Claude Haiku 4.5` and
/// `claude-haiku-4-5-20251001` are `claude-haiku-4-5`.
fn plain_form(name: &str) -> String {
    let plain: String = name
        .trim()
        .to_lowercase()
        .chars()
        .map(|letter| if letter == ' ' || letter == '.' { '-' } else { letter })
        .collect();
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if let Some((head, tail)) = plain.rsplit_once('-') {
        if tail == "latest" || (tail.len() == 8 && is_digits(tail)) {
            return head.to_owned();
        }
        let parts: Vec<&str> = plain.rsplitn(4, '-').collect();
        if let [day, month, year, head] = parts.as_slice()
            && (day.len(), month.len(), year.len()) == (2, 2, 4)
            && [day, month, year].into_iter().all(|part| is_digits(part))
        {
            return (*head).to_owned();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_form_has_no_date() {
        for (name, plain) in [
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("Claude Haiku 4.5", "claude-haiku-4-5"),
            ("gpt-4o", "gpt-4o"),
            ("o3", "o3"),
            ("gpt-4-32k", "gpt-4-32k"),
            ("2024-08-06", "2024-08-06"),
            ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ] {
            assert_eq!(plain_form(name), plain, "{name}");
        }
    }

    #[test]
    fn a_vendors_name_is_found_among_ours() {
        let renames = BTreeMap::from([
            ("ft:gpt-4o*".to_owned(), "tuned".to_owned()),
            ("ft:gpt-4o:x".to_owned(), "tuned-x".to_owned()),
        ]);
        let ours = ["gpt-4o", "gpt-4o-mini-2024-07-18", "a-2024-01-01", "a-2024-02-02"];
        let loose = Names::new(&renames, true, ours.into_iter());
        for (vendor, model) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
            ("a-2024-01-01", "a-2024-01-01"),
            ("a-2024-03-03", "a-2024-03-03"),
            ("ft:gpt-4o:y", "tuned"),
            ("ft:gpt-4o:x", "tuned-x"),
            ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ] {
            assert_eq!(loose.metered(vendor), model, "{vendor}");
        }
        let exact = Names::new(&BTreeMap::new(), false, ours.into_iter());
        assert_eq!(exact.metered("gpt-4o-2024-08-06"), "gpt-4o-2024-08-06");
    }
}
