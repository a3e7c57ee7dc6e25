//! A refused hold, in one sentence: which limit, by how much, and when there is more.

use serde_json::Value;

use super::text;
use crate::failure::{Failure, Problem};
use crate::table::trimmed;

const INSUFFICIENT: &str = "insufficient_credits";

/// A failure as a person wants to read it; what `--json` prints stays as it was answered.
pub(crate) fn explained(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(mut problem) => {
            if let Some(sentence) = sentence(&problem.code, &problem.body) {
                problem.detail = sentence;
            }
            if problem.replayed {
                again(&mut problem);
            }
            Failure::Refused(problem)
        }
        Failure::Usage(_) | Failure::Failed(_) | Failure::Stalled(_) => failure,
    }
}

/// What was refused once stays refused under its id, whatever has come since.
fn again(problem: &mut Problem) {
    if problem.detail.is_empty() {
        problem.detail.clone_from(&problem.title);
    }
    problem.detail.push_str(
        "\n  this is what was answered before under the same id: another --id asks again",
    );
}

fn sentence(code: &str, body: &Value) -> Option<String> {
    (code == INSUFFICIENT).then(|| limit_words(body)).flatten()
}

/// What stands in a hold's way; nothing when the answer does not name it.
pub(super) fn limit_words(body: &Value) -> Option<String> {
    let of = |name: &str| text(body, name).map(trimmed);
    let (limit, shortfall) = (text(body, "limit")?, of("shortfall")?);
    let budget = limit.strip_prefix("budget:");
    let mut sentence = match budget {
        Some(budget) => format!("the budget {budget:?}"),
        None => format!("the {limit}"),
    };
    sentence.push_str(&match of("available") {
        Some(available) => format!(" leaves {available} credits, {shortfall} too few"),
        None => format!(" leaves {shortfall} credits too few"),
    });
    sentence.push_str(&match (text(body, "resets_at"), budget) {
        (Some(at), Some(_)) => format!("; its next window begins at {at}"),
        (Some(at), None) => format!("; the plan renews at {at}"),
        (None, Some(_)) => "; it has one window without end".to_owned(),
        (None, None) => "; nothing is due to come by itself".to_owned(),
    });
    Some(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str, replayed: bool) -> String {
        let problem = Problem { replayed, ..Problem::read(402, body) };
        explained(Failure::Refused(Box::new(problem))).to_string()
    }

    #[test]
    fn a_refusal_says_which_limit_by_how_much_and_until_when() {
        assert_eq!(
            said(
                r#"{"type":"insufficient_credits","title":"Payment Required","detail":"the hold is larger",
                "limit":"balance","shortfall":"2.5","available":"10","resets_at":"2026-12-01T00:00:00Z"}"#,
                false
            ),
            "the balance leaves 10 credits, 2.5 too few; the plan renews at 2026-12-01T00:00:00Z\n  \
             code:  insufficient_credits"
        );
        assert_eq!(
            said(
                r#"{"type":"insufficient_credits","title":"t","limit":"budget:growth","shortfall":"2.5",
                "available":"-1","resets_at":"2026-12-01T00:00:00Z"}"#,
                false
            ),
            "the budget \"growth\" leaves -1 credits, 2.5 too few; its next window begins at \
             2026-12-01T00:00:00Z\n  code:  insufficient_credits"
        );
        let never = said(
            r#"{"type":"insufficient_credits","title":"t","limit":"balance","shortfall":"1","available":"0","resets_at":null}"#,
            false,
        );
        assert!(
            never.contains("0 credits, 1 too few; nothing is due to come by itself"),
            "{never}"
        );
    }

    #[test]
    fn a_repeated_refusal_says_that_it_is_one() {
        let again = said(r#"{"type":"unknown_hold","title":"Not Found","detail":""}"#, true);
        assert!(again.starts_with("Not Found\n  this is what was answered before"), "{again}");
    }

    #[test]
    fn another_refusal_stays_as_it_is() {
        let body = r#"{"type":"unknown_hold","title":"Not Found","detail":"no such hold is open"}"#;
        assert_eq!(said(body, false), "no such hold is open\n  code:  unknown_hold");
    }
}
