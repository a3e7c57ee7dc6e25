//! The known word nearest to a misspelt one, for refusals that help.

/// Longer words are not compared: what they should have been is nobody's guess.
const CHARACTERS_MAX: usize = 64;

/// The candidate that the fewest changes of one letter lead to; `None` when all are far.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let characters = word.chars().count();
    if characters > CHARACTERS_MAX {
        return None;
    }
    let changes_max = characters.max(4) / 2;
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= changes_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?`, or nothing.
pub fn suggestion<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Levenshtein's: insertions, deletions and replacements.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (place, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = place + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_changes() {
        for (from, to, changes) in
            [("", "", 0), ("abc", "abc", 0), ("kitten", "sitting", 3), ("", "ab", 2), ("ab", "", 2)]
        {
            assert_eq!(distance(from, to), changes, "{from} {to}");
        }
    }

    #[test]
    fn names_the_nearest_neighbour_and_nothing_far() {
        assert_eq!(nearest("modle", ["model", "meter", "provider"]), Some("model"));
        assert_eq!(nearest("rules", ["rule", "currency"]), Some("rule"));
        assert_eq!(nearest("ammount", ["amount", "account"]), Some("amount"));
        assert_eq!(
            nearest("clikhouse.url", ["clickhouse.url", "kafka.prefix"]),
            Some("clickhouse.url")
        );
        assert_eq!(nearest("zebra", ["amount", "account"]), None);
        assert_eq!(nearest("zzzzzz", ["rule", "currency"]), None);
        assert_eq!(nearest(&"amount".repeat(100), ["amount"]), None);
    }
}
