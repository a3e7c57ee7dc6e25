//! The known word nearest to a misspelt one.

/// Longer words are not compared: what they should have been is nobody's guess.
const CHARACTERS_MAX: usize = 64;

/// The candidate that the fewest changes of one letter lead to; `None` when all are far.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if word.chars().count() > CHARACTERS_MAX {
        return None;
    }
    let changes_max = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= changes_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's: insertions, deletions and replacements.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (place, letter) in from.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(place + 1);
        for ((other, pair), left) in to.iter().zip(row.windows(2)).zip(1_usize..) {
            let (Some(diagonal), Some(above)) = (pair.first(), pair.last()) else { break };
            let before = next.get(left - 1).copied().unwrap_or(usize::MAX - 1);
            let replaced = diagonal + usize::from(letter != *other);
            next.push(replaced.min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
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
    fn a_far_word_has_no_neighbour() {
        assert_eq!(nearest("ammount", ["amount", "account"]), Some("amount"));
        assert_eq!(nearest("zebra", ["amount", "account"]), None);
        assert_eq!(nearest(&"amount".repeat(100), ["amount"]), None);
    }
}
