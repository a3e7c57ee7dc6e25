//! Every `type` of a problem that is not a reason code of [`domain::REASONS`]: those are about the
//! request itself, before anything of the domain is looked at. `docs/problems.md` is written from
//! this table.

/// A `type` of a problem, the status that it comes with, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemType {
    pub code: &'static str,
    /// The usual one.
    pub status: u16,
    pub about: &'static str,
}

const fn problem(code: &'static str, status: u16, about: &'static str) -> ProblemType {
    ProblemType { code, status, about }
}

/// The table, by status.
pub const PROBLEM_TYPES: &[ProblemType] = &[
    problem("bad_compression", 400, "the body is not what its Content-Encoding says"),
    problem("bad_query", 400, "the query string cannot be read"),
    problem("bad_timezone", 400, "not a time zone of the IANA database"),
    problem("bad_url", 400, "not a URL that may be called"),
    problem("body_cut_short", 400, "the body ended early"),
    problem("empty_body", 400, "the body holds nothing to take"),
    problem("too_many_charges", 400, "a request to price charges anew lists too many"),
    problem(
        "unknown_field",
        400,
        "a field or a parameter that the route does not have; the nearest one is named",
    ),
    problem("unauthenticated", 401, "no valid API key came with the request"),
    problem("forbidden", 403, "the key's role, or what it is bound to, does not allow this"),
    problem("unknown_delivery", 404, "the endpoint has no such delivery"),
    problem("unknown_document", 404, "no such price book, rate card or plan was published"),
    problem("unknown_key", 404, "there is no such API key"),
    problem("unknown_letter", 404, "there is no such dead letter"),
    problem("unknown_replay", 404, "there is no such rebuild, or none at all"),
    problem("unknown_route", 404, "there is nothing at this path"),
    problem("unknown_table", 404, "ClickHouse has no such table of tally's"),
    problem("unknown_webhook", 404, "there is no such webhook endpoint"),
    problem("unknown_method", 405, "the path does not take this method"),
    problem(
        "already_created",
        409,
        "the same request made a key before; a key's text is shown once",
    ),
    problem("already_rotated", 409, "the key has a successor"),
    problem("ambiguous", 409, "several accounts have such an event: name the account"),
    problem("busy", 409, "another long proof is running; one runs at a time"),
    problem("key_not_valid", 409, "the key is no longer valid"),
    problem("last_operator_key", 409, "without this key nobody could make keys"),
    problem("raced", 409, "another version was published at the same time; try again"),
    problem("replay_active", 409, "another rebuild is not through: there is one at a time"),
    problem("replay_ahead", 409, "the rebuilt tables have come further than the live ones"),
    problem("replay_behind", 409, "the live tables have not come as far as the range ends"),
    problem("replay_busy", 409, "a step of a rebuild is being taken; ask again in a moment"),
    problem(
        "replay_differs",
        409,
        "the rebuilt tables differ from the original ones by more than was accepted",
    ),
    problem("replay_dropped", 409, "the rebuild's tables were dropped: make a new plan"),
    problem(
        "replay_exchanging",
        409,
        "an exchange of tables was interrupted: finish it or undo it first",
    ),
    problem("replay_ranged", 409, "tables of a part of the ledger cannot be exchanged"),
    problem("replay_swapped", 409, "the tables that are asked for are live already"),
    problem("replay_tables_gone", 409, "tables of the rebuild are not there any more"),
    problem(
        "retroactive_required",
        409,
        "usage that was charged would be priced differently: say retroactive",
    ),
    problem("too_many_secrets", 409, "the endpoint has as many secrets as it may"),
    problem("too_many_webhooks", 409, "there are as many endpoints as there may be"),
    problem(
        "body_too_large",
        413,
        "the body is larger than the route takes, before or after decompression",
    ),
    problem("too_many_events", 413, "more events than one request may carry"),
    problem("too_many_lines", 413, "more lines than one request may carry"),
    problem("unsupported_encoding", 415, "bodies are read plain, or compressed with gzip or zstd"),
    problem("unsupported_media_type", 415, "events come as JSON"),
    problem("bad_plan", 422, "not a plan of a rebuild, or one that does not fit here any more"),
    problem("bad_price_map", 422, "the price map cannot be read"),
    problem("document_too_large", 422, "the document is larger than one may be"),
    problem("query_failed", 422, "ClickHouse refused the query"),
    problem("internal", 500, "something is wrong here; the gateway's log says what"),
    problem(
        "unavailable",
        503,
        "something that is needed does not answer; sending the same again is safe",
    ),
    problem("not_yet", 504, "ClickHouse does not have what was sent before the request yet"),
    problem(
        "undecided",
        504,
        "it was not decided in time: the same request with the same id tells what became of it",
    ),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::{Path, PathBuf};

    use domain::Reason;

    use super::*;

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, found),
                false => found.push(path),
            }
        }
    }

    /// Codes that the source says: the argument at this place of each of these calls, where it is a
    /// literal.
    fn codes_of(source: &str) -> Vec<String> {
        let own = source.split("#[cfg(test)]").next().unwrap();
        let mut codes = Vec::new();
        for (call, place) in
            [("bad_request(", 0), ("Problem::new(", 1), (".parsed", 1), (".refuse(", 1)]
        {
            for (at, _) in own.match_indices(call) {
                let after = &own[at + call.len()..];
                let arguments = if call.ends_with('(') {
                    after
                } else {
                    after.split_once('(').map_or("", |(_, arguments)| arguments)
                };
                let argument = arguments.split([',', ')']).nth(place).unwrap_or_default().trim();
                let literal = argument.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                codes.extend(literal.map(str::to_owned));
            }
        }
        codes
    }

    #[test]
    fn every_type_that_is_told_stands_in_a_table() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut seen = 0;
        for file in files {
            for code in codes_of(&std::fs::read_to_string(&file).unwrap()) {
                let is_known = PROBLEM_TYPES.iter().any(|known| known.code == code)
                    || Reason::from_code(&code).is_some();
                assert!(is_known, "{}: `{code}` stands in no table", file.display());
                seen += 1;
            }
        }
        assert!(seen > 40, "only {seen} were found");
        for known in PROBLEM_TYPES {
            assert_eq!(Reason::from_code(known.code), None, "{}", known.code);
        }
        assert!(PROBLEM_TYPES.is_sorted_by_key(|known| (known.status, known.code)));
    }

    #[test]
    fn the_page_is_as_the_table_says() {
        let mut page = String::from(
            "# Problem types\n\n<!-- Written by `cargo test -p gateway --lib problem_types` from \
             `gateway::PROBLEM_TYPES` (UPDATE_DOCS=1 rewrites it). -->\n\n\
             An error answer is `application/problem+json`: `type`, `title`, `status`, `detail`, and where \
             there is one the `field` and the `value` that are wrong. Its `type` is a code of this table, or a \
             reason code of [reasons.md](reasons.md). Both are stable: programs may match on them.\n\n\
             | type | status | meaning |\n|---|---|---|\n",
        );
        for ProblemType { code, status, about } in PROBLEM_TYPES {
            writeln!(page, "| `{code}` | {status} | {about} |").unwrap();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, page, "run UPDATE_DOCS=1 cargo test -p gateway --lib problem_types");
    }
}
