//! `GET /v1/entries/{entry}`: any entry of the ledger, by its name.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Credits, Partition};
use ledger::{Entry, PostingAccount, Unit, postings};
use serde_json::{Value, json};

use super::around;
use super::entry::{cause_json, entry_json};
use crate::answer::{self, balance_json};
use crate::app::App;
use crate::auth::Asker;
use crate::command;
use crate::form::Params;
use crate::problem::Problem;
use crate::routes::unrated::entry_named;

pub(crate) async fn get(
    State(app): State<App>,
    Path(name): Path<String>,
    asker: Asker,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let (partition, number) = entry_named(&name).ok_or_else(|| {
        let detail = "an entry is named partition-number, such as 3-8812";
        Problem::bad_request("bad_value", detail).field("entry").value(&name)
    })?;
    let unknown = || {
        let detail = format!("the ledger has no entry {name}");
        Problem::new(StatusCode::NOT_FOUND, "unknown_entry", detail).field("entry")
    };
    if partition.0 >= app.settings.partitions {
        return Err(unknown());
    }
    let record = command::found(&app, partition, number).await?.ok_or_else(unknown)?;
    let entry = command::read(&record)?;
    // Another's entry is as good as none.
    if !asker.caller().may_reach(&entry.account) {
        return Err(unknown());
    }
    let catalogue = app.followed.prices().catalogue;
    let mut explained =
        entry_json(&catalogue, partition, &entry).unwrap_or_else(|| other_json(partition, &entry));
    let source = explained["event"]["source"].as_str();
    if source.is_some_and(|source| !asker.caller().may_reach_source(source)) {
        return Err(unknown());
    }
    explained["postings"] = postings_json(&entry);
    around::add(&app, &mut explained).await?;
    Ok(crate::routes::json(StatusCode::OK, &explained))
}

/// An entry that no usage event caused.
fn other_json(partition: Partition, entry: &Entry<'_>) -> Value {
    // What a command made says itself what it is.
    let mut answer = match answer::of_entry(partition, entry) {
        Ok(answer) => answer.body,
        Err(_) => json!({}),
    };
    answer["state"] = entry.body.kind().into();
    answer["account"] = entry.account.as_ref().into();
    answer["entry"] = projection::entry_id(partition, entry.number).into();
    answer["sequence"] = entry.sequence.0.into();
    answer["recorded_at"] = entry.recorded_at.to_string().into();
    answer["cause"] = cause_json(partition, entry.cause);
    answer["balance_after"] = balance_json(&entry.after);
    answer
}

/// The double entry.
fn postings_json(entry: &Entry<'_>) -> Value {
    postings(entry)
        .iter()
        .map(|posting| {
            let account = match posting.account {
                PostingAccount::Lot(lot) => format!("lot:{lot}"),
                other => other.word().to_owned(),
            };
            let unit = match posting.unit {
                Unit::Credits => "credits",
                Unit::Money => "money",
            };
            let amount = Credits::from_atoms(posting.amount);
            json!({ "account": account, "unit": unit, "amount": amount })
        })
        .collect()
}
