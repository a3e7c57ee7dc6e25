//! Every command that the pages under `ops` and `docs` give is one that tally takes, and every alert has its runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::api::{Ran, tally_in};

/// What stands for something in a command, and what is put there. `ops/README.md` lists the same.
const PLACEHOLDERS: [(&str, &str); 8] = [
    ("ACCOUNT", "acct_42"),
    ("SOURCE", "/chat/eu-1"),
    ("ID", "req_8f2c"),
    ("ENTRY", "3-8812"),
    ("LETTER", "3-17"),
    ("CODE", "unknown_pool"),
    ("PARTITION", "3"),
    ("TIME", "2026-11-20T12:00:00Z"),
];
/// Of what kind it is depends on the command.
const FILE: &str = "FILE";

/// They run until they are interrupted, or want a Kafka: only their flags are looked at, with `--help`.
const HELP_ONLY: [&[&str]; 6] = [
    &["up"],
    &["run"],
    &["demo"],
    &["topics", "create"],
    &["topics", "acls"],
    &["status", "--watch"],
];

/// A plan of a re-rate without charges, for the commands that read one.
const PLAN: &str = r#"{"tally_rerate_plan":1,"id":"a","made_at":"2026-11-20T12:00:00Z","catalogue":7,"reason":"r","filter":{},"looked_at":0,"unpriced":0,"whole":true,"charges":0}"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages of a folder and of those in it.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => pages.extend(self::pages(&path)),
            false if path.extension().is_some_and(|extension| extension == "md") => {
                pages.push(path);
            }
            false => {}
        }
    }
    pages.sort();
    pages
}

/// The words of a command as a shell would have them, up to a remark, a pipe or a redirection. A remark begins with `#`,
/// or after two spaces, as in the program's own examples.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.trim().chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => {
                words.extend(word.take());
                if characters.peek() == Some(&' ') {
                    return words;
                }
            }
            (None, '#' | '|' | '>' | ';' | '&') if word.is_none() => return words,
            (_, _) => word.get_or_insert_default().push(character),
        }
    }
    assert_eq!(quote, None, "a quote is not closed: {line}");
    words.extend(word);
    words
}

/// The words of a line's command, without what a shell takes before it; none when it is not tally's.
fn command(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    let mut rest = line.strip_prefix("$ ").unwrap_or(line);
    while rest.starts_with("TALLY_") {
        rest = rest.split_once(' ')?.1.trim_start();
    }
    rest.strip_prefix("tally ").map(words)
}

/// The commands of a page: those of its `sh` blocks and of its indented ones. Of a runbook also those within a sentence.
fn commands(page: &str, is_runbook: bool) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut fence: Option<bool> = None;
    for line in page.lines() {
        if let Some(language) = line.trim().strip_prefix("```") {
            fence = match fence {
                Some(_) => None,
                None => Some(language == "sh"),
            };
            continue;
        }
        let is_code = fence.unwrap_or(line.starts_with("    "));
        match is_code {
            true => commands.extend(command(line)),
            false if is_runbook && fence.is_none() => {
                let spans = line.split('`').skip(1).step_by(2);
                commands
                    .extend(spans.filter(|span| span.starts_with("tally ")).filter_map(command));
            }
            false => {}
        }
    }
    commands
}

/// Puts something in the place of each placeholder. The address and the key are this test's own.
fn filled_in(command: &[String]) -> Vec<String> {
    let mut filled = Vec::new();
    let mut words = command.iter();
    while let Some(word) = words.next() {
        if word == "--url" || word == "--key-file" {
            words.next();
            continue;
        }
        let known = PLACEHOLDERS.iter().find(|(name, _)| name == word);
        filled.push(match known {
            Some((_, value)) => (*value).to_owned(),
            None if word == FILE => {
                let is_toml = ["rates", "replay"].contains(&command[0].as_str());
                if is_toml { "given.toml".to_owned() } else { "given.jsonl".to_owned() }
            }
            None => word.clone(),
        });
    }
    filled
}

/// A word in capitals that the list does not have.
fn unknown_placeholder(command: &[String]) -> Option<&String> {
    let known = |word: &str| word == FILE || PLACEHOLDERS.iter().any(|(name, _)| *name == word);
    // A currency looks like one.
    let capitals = |word: &str| {
        word.len() > 1 && word != "USD" && word.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    command.iter().find(|word| capitals(word) && !known(word))
}

/// The commands of the runbooks, each once, with something in the place of what stands for something.
pub(crate) fn of_runbooks() -> BTreeSet<Vec<String>> {
    let pages = pages(&root().join("ops/runbooks"));
    let commands = pages.iter().flat_map(|path| commands(&fs::read_to_string(path).unwrap(), true));
    commands.map(|command| filled_in(&command)).collect()
}

/// Runs a command with the files that it reads, and with an API that refuses everything.
fn run(command: &[String]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let arguments = ready(command, home.path());
    tally_in(home.path(), &arguments, &[])
}

/// A command's words, when the files that it reads are there; `--help` for one that does not end.
pub(crate) fn ready<'c>(command: &'c [String], home: &Path) -> Vec<&'c str> {
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    for (at, word) in arguments.iter().enumerate() {
        let is_written = at > 0 && ["--out", "--output"].contains(&arguments[at - 1]);
        let content = match Path::new(word).extension().and_then(|extension| extension.to_str()) {
            Some("toml") => "id = \"x\"\n",
            Some("jsonl") => PLAN,
            Some("json") => "{}",
            Some(_) | None => continue,
        };
        let file = home.join(word);
        match is_written {
            // One that another command wrote is not written over.
            true => drop(fs::remove_file(file)),
            false => fs::write(file, content).unwrap(),
        }
    }
    let first = arguments.first().copied();
    if HELP_ONLY.iter().any(|only| {
        first == only.first().copied() && only.iter().all(|word| arguments.contains(word))
    }) {
        arguments.push("--help");
    }
    arguments
}

/// Whether tally took the command. To be asked for consent where there is nobody to give it is no misuse.
fn is_taken(ran: &Ran) -> bool {
    ran.code != 2 || ran.err.to_lowercase().contains("say --yes")
}

#[test]
fn every_command_on_the_pages_is_one_that_tally_takes() {
    let mut seen = BTreeSet::new();
    let mut refused = Vec::new();
    let pages = [pages(&root().join("ops")), pages(&root().join("docs"))].concat();
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let is_runbook = path.parent().is_some_and(|folder| folder.ends_with("runbooks"));
        for command in commands(&page, is_runbook) {
            let shown = format!("{}: tally {}", path.display(), command.join(" "));
            if let Some(word) = unknown_placeholder(&command) {
                refused.push(format!("{shown}: {word} is no placeholder"));
            }
            let filled = filled_in(&command);
            if !seen.insert(filled.clone()) {
                continue;
            }
            let ran = run(&filled);
            if !is_taken(&ran) {
                refused.push(format!("{shown}\n{}", ran.err));
            }
        }
    }
    assert!(seen.len() > 50, "only {} commands were found", seen.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn a_command_that_is_none_is_noticed() {
    let page = "Text.\n\n```sh\ntally dlq lst\n$ TALLY_URL=x tally explain SOURCE ID  # why\n```\n\n    tally status --wach\n";
    let found = commands(page, false);
    assert_eq!(
        found,
        [vec!["dlq", "lst"], vec!["explain", "SOURCE", "ID"], vec!["status", "--wach"]]
            .map(|words| { words.into_iter().map(str::to_owned).collect::<Vec<_>>() })
    );
    for command in found {
        let ran = run(&filled_in(&command));
        assert_eq!(is_taken(&ran), command[0] == "explain", "{ran:?}");
    }
    // What only runs with `--help` is looked at all the same.
    let up = ["up", "--partition", "3"].map(str::to_owned);
    assert!(!is_taken(&run(&up)));

    let inside =
        commands("Type `tally verify --json`, not `tally_x`.\n```toml\ntally = 1\n```\n", true);
    assert_eq!(inside, [["verify", "--json"].map(str::to_owned)]);
    let capitals = ["balance", "WHO"].map(str::to_owned);
    assert_eq!(unknown_placeholder(&capitals).map(String::as_str), Some("WHO"));
    assert_eq!(words("sql \"SELECT 1 | 2\"  a remark"), ["sql", "SELECT 1 | 2"]);
}

#[test]
fn every_placeholder_is_explained() {
    let page = fs::read_to_string(root().join("ops/README.md")).unwrap();
    for name in PLACEHOLDERS.iter().map(|(name, _)| *name).chain([FILE]) {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "ops/README.md does not say what {name} is"
        );
    }
}

#[test]
fn every_alert_has_a_runbook_with_its_four_parts() {
    let rules = fs::read_to_string(root().join("ops/prometheus/alerts.yml")).unwrap();
    let after = |start: &str| -> Vec<String> {
        let lines = rules.lines().map(str::trim);
        lines.filter_map(|line| Some(line.strip_prefix(start)?.to_owned())).collect()
    };
    let (alerts, named) = (after("- alert: "), after("runbook: "));
    assert_eq!(alerts.len(), named.len(), "an alert without a runbook");
    assert!(alerts.len() > 10);
    for path in &named {
        let page = fs::read_to_string(root().join(path)).unwrap();
        let parts: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(parts, ["Symptom", "Check", "Act", "Verify"], "{path}");
        assert!(page.contains("```sh"), "{path} gives nothing to type");
    }
    for alert in alerts {
        let is_named = |path: &String| {
            fs::read_to_string(root().join(path)).is_ok_and(|page| page.contains(&alert))
        };
        assert!(named.iter().any(is_named), "no runbook speaks of {alert}");
    }
}
