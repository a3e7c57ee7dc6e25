//! `GET /v1/doctor`: what is wrong here, and what to do about each.
//!
//! Every check says what it saw, also when all is well: a check that is silent might not have run.
//! Whatever a check needs may be away; then that is its finding.

mod catalogue;
mod clickhouse;
mod machine;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Topic, TopicPartition};
use serde_json::{Value, json};

use crate::app::{App, now, scan};
use crate::form::Params;
use crate::freshness::whole_seconds;
use crate::problem::Problem;
use crate::routes::status;
use crate::settings::PERMISSIONS;
use crate::tail;

/// How far a clock may be off before it matters for when things fall due.
const CLOCK_MICROS_MAX: i64 = 1_000_000;
const LAG_SECONDS_MAX: i64 = 60;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Fine,
    /// Good to know.
    Note,
    /// Somebody should see to it.
    Warning,
    /// Something does not work, or will not for long.
    Wrong,
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// What one check saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) severity: Severity,
    pub(super) found: String,
    pub(super) what_to_do: Option<String>,
}

impl Finding {
    pub(super) fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, severity: Severity::Fine, found: found.into(), what_to_do: None }
    }

    pub(super) fn new(
        check: &'static str,
        severity: Severity,
        found: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Self {
        Self { check, severity, found: found.into(), what_to_do: Some(what_to_do.into()) }
    }

    /// What the log says is wrong, in one sentence: what was found; what to do.
    fn of_sentence(check: &'static str, said: &str, otherwise: &str) -> Self {
        let (found, what_to_do) = said.split_once("; ").unwrap_or((said, otherwise));
        Self::new(check, Severity::Wrong, found, what_to_do)
    }

    fn json(&self) -> Value {
        json!({
            "check": self.check,
            "severity": self.severity.word(),
            "found": self.found,
            "what_to_do": self.what_to_do,
        })
    }
}

pub(crate) async fn get(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    // What does not answer is waited for once, not once per check.
    let (mut findings, services, clickhouse, clocks) =
        tokio::join!(log(&app), services(&app), clickhouse::findings(&app), clocks(&app));
    findings.extend(services.into_iter().chain(clickhouse).chain(clocks));
    findings.extend(catalogue::findings(&app.followed.prices().catalogue, now()));
    let machine = scan(&app, |shared| Ok(machine::findings(&shared.settings))).await?;
    findings.extend(machine);
    let worst = findings.iter().map(|finding| finding.severity).max();
    let shown: Vec<Value> = findings.iter().map(Finding::json).collect();
    let answer = json!({
        "healthy": worst.is_none_or(|worst| worst < Severity::Wrong),
        "worst": worst.map(Severity::word),
        "version": env!("CARGO_PKG_VERSION"),
        "now": now(),
        "findings": shown,
    });
    Ok(crate::routes::json(StatusCode::OK, &answer))
}

/// The topics, and whether they are read.
async fn log(app: &App) -> Vec<Finding> {
    const CHECK: &str = "topics";
    let contract = scan(app, |shared| Ok(shared.log.contract_findings()?)).await;
    let mut findings: Vec<Finding> = match contract {
        Ok(broken) if broken.is_empty() => vec![Finding::fine(
            CHECK,
            format!(
                "the {} log keeps its contract in {} topics",
                app.settings.log_name,
                Topic::ALL.len()
            ),
        )],
        Ok(broken) => {
            let otherwise = "make the topics anew under another prefix";
            broken.iter().map(|said| Finding::of_sentence(CHECK, said, otherwise)).collect()
        }
        Err(error) => vec![Finding::new(
            CHECK,
            Severity::Wrong,
            error.detail(),
            "see that the log can be reached; nothing is lost meanwhile",
        )],
    };
    findings.extend(refusals(app).await);
    if !app.followed.is_healthy() {
        findings.push(Finding::new(
            CHECK,
            Severity::Wrong,
            "the log is not followed: answers are late, and nobody is told how events ended",
            "look into the log of this process for \"following the log\"",
        ));
    }
    findings
}

/// What the log's authorizer does not allow this process. The other services look when they start, and do
/// not start without.
async fn refusals(app: &App) -> Vec<Finding> {
    const CHECK: &str = "permissions";
    let refusals = scan(app, |shared| Ok(shared.log.refusals(&PERMISSIONS)?)).await;
    match refusals {
        // Everybody may do everything: there is nothing to look at.
        Ok(None) => Vec::new(),
        Ok(Some(refusals)) if refusals.is_empty() => {
            vec![Finding::fine(CHECK, "the log allows the gateway all that it does")]
        }
        Ok(Some(refusals)) => {
            let otherwise = "`tally topics acls` lists what must be allowed";
            refusals.iter().map(|said| Finding::of_sentence(CHECK, said, otherwise)).collect()
        }
        Err(error) => {
            let todo = "see that the log can be reached";
            vec![Finding::new(CHECK, Severity::Wrong, error.detail(), todo)]
        }
    }
}

/// Who is behind or stands, and what waits for a person.
async fn services(app: &App) -> Vec<Finding> {
    let status = match status::measured(app).await {
        Ok(status) => status,
        Err(error) => {
            let todo = "see that the log can be reached";
            return vec![Finding::new("services", Severity::Wrong, error.detail(), todo)];
        }
    };
    let mut findings = Vec::new();
    for service in status["services"].as_array().into_iter().flatten() {
        findings.extend(of_service(service));
    }
    for (name, what, todo) in [
        ("dead_letters", "dead letters are open", "tally dlq list"),
        ("unrated_waiting", "events wait for a price", "tally unrated list"),
        ("quarantined", "suspicious events wait for a decision", "tally quarantine list"),
    ] {
        let Some(count) = status[name].as_u64() else { continue };
        findings.push(match count {
            0 => Finding::fine("waiting", format!("no {what}")),
            count => Finding::new("waiting", Severity::Warning, format!("{count} {what}"), todo),
        });
    }
    findings
}

fn of_service(service: &Value) -> Vec<Finding> {
    const CHECK: &str = "services";
    let name = service["name"].as_str().unwrap_or_default();
    let mut findings = Vec::new();
    for halted in service["halted"].as_array().into_iter().flatten() {
        let said = |field: &str| halted[field].as_str().unwrap_or_default().to_owned();
        findings.push(Finding::new(
            CHECK,
            Severity::Wrong,
            format!("{name} partition {} is halted: {}", said("partition"), said("reason")),
            format!("{}; it goes on after a restart", said("next")),
        ));
    }
    for standing in service["standing"].as_array().into_iter().flatten() {
        let said = |field: &str| standing[field].as_str().unwrap_or_default().to_owned();
        findings.push(Finding::new(
            CHECK,
            Severity::Wrong,
            format!(
                "{name} partition {} stands: {} records wait",
                said("partition"),
                standing["waiting"]
            ),
            said("next"),
        ));
    }
    // ClickHouse did not answer: its own check says so.
    let Some(lag) = service["lag_s"].as_str() else { return findings };
    let seconds = whole_seconds(lag).unwrap_or(0);
    if findings.is_empty() {
        findings.push(match seconds <= LAG_SECONDS_MAX {
            true => Finding::fine(CHECK, format!("{name} is {lag} s behind")),
            false => Finding::new(
                CHECK,
                Severity::Warning,
                format!("{name} is {lag} s behind, {} records", service["lag_records"]),
                "tally status --watch shows whether it catches up",
            ),
        });
    }
    findings
}

/// ClickHouse's and the log's clocks against this machine's.
async fn clocks(app: &App) -> Vec<Finding> {
    const CHECK: &str = "clocks";
    let todo = "set the clocks by NTP; expiries and renewals go by the log's";
    let mut findings = Vec::new();
    match clickhouse::clock_ahead_micros(app).await {
        // Its own check says that it does not answer.
        Err(_) => {}
        Ok(ahead) if ahead.abs() <= CLOCK_MICROS_MAX => {
            findings.push(Finding::fine(CHECK, format!("ClickHouse is {} ms off", ahead / 1_000)));
        }
        Ok(ahead) => findings.push(Finding::new(
            CHECK,
            Severity::Warning,
            format!("ClickHouse's clock is {} ms ahead of this machine's", ahead / 1_000),
            todo,
        )),
    }
    // A record cannot be from the future; that the newest is old says nothing.
    let newest = scan(app, |shared| {
        let mut newest = None;
        for partition in shared.partitions() {
            let at = TopicPartition { topic: Topic::LedgerEntries, partition };
            let end = shared.log.bounds(at)?.stable_end;
            let from = domain::Offset((end.0 - 64).max(0));
            tail::read(shared.log.as_ref(), at, from, 64, &mut |record| {
                newest = newest.max(Some(record.appended_at));
            })?;
        }
        Ok(newest)
    })
    .await;
    let ahead = newest.ok().flatten().map(|newest| newest.since(now()));
    findings.push(match ahead {
        Some(ahead) if ahead > CLOCK_MICROS_MAX => Finding::new(
            CHECK,
            Severity::Wrong,
            format!("the log's newest record is {} ms in this machine's future", ahead / 1_000),
            todo,
        ),
        Some(_) => Finding::fine(CHECK, "no record of the ledger is from the future"),
        None => Finding::fine(CHECK, "the ledger is empty: the log's clock is not known"),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halted_partition_is_wrong_and_says_what_to_type() {
        let service = json!({"name": "charger", "lag_s": "0.000", "halted": [
            {"partition": "3", "reason": "too many letters", "next": "tally dlq list"}], "standing": []});
        let [finding] = of_service(&service).try_into().unwrap();
        assert_eq!(finding.severity, Severity::Wrong);
        assert!(finding.what_to_do.unwrap().starts_with("tally dlq list"));
        let late = json!({"name": "charger", "lag_s": "61.500", "lag_records": 5, "halted": [], "standing": []});
        assert_eq!(of_service(&late)[0].severity, Severity::Warning);
        let fine = json!({"name": "charger", "lag_s": "60.900", "halted": [], "standing": []});
        assert_eq!(of_service(&fine)[0].severity, Severity::Fine);
    }
}
