//! What somebody on call does meanwhile: charges priced anew, tables made anew.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::processes;
use crate::faults::api::{Api, Refused};
use crate::faults::scene::Scene;

/// Charges of one request.
const CHARGES_AT_ONCE: usize = 200;
/// An exchange that is refused over and over is none.
const PATIENCE: Duration = Duration::from_secs(600);

/// Prices anew what a retroactive version changes, asks for a part of it twice, and kills the charger.
pub(super) fn rerate_under_load(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(200, 900)?;
    rerate(scene)?;
    processes::kill_anyone(scene)
}

/// Plans and applies once; returns how many charges differed.
pub(in crate::faults) fn rerate(scene: &mut Scene<'_>) -> anyhow::Result<usize> {
    let plan = scene.api.ask(&Method::POST, "/v1/rerates/plan", &json!({}))?;
    let charges: Vec<Value> = plan["charges"]
        .as_array()
        .context("no charges")?
        .iter()
        .map(|one| {
            json!({ "entry": one["entry"], "offset": one["offset"], "credits": one["now"]["credits"] })
        })
        .collect();
    for part in charges.chunks(CHARGES_AT_ONCE) {
        let name = format!("plan-{}", scene.random.number());
        let body = json!({
            "plan": name, "reason": "faults", "catalogue": plan["catalogue"], "charges": part,
        });
        scene.api.ask(&Method::POST, "/v1/rerates", &body)?;
        if scene.random.per_mille(300) {
            scene.api.ask(&Method::POST, "/v1/rerates", &body)?;
        }
        scene.tend()?;
    }
    Ok(charges.len())
}

/// Makes the tables anew beside the live ones, exchanges and drops them; the projector dies in between.
pub(super) fn rebuild_under_load(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    rebuild(scene, true)
}

/// The same after the load, where a server has lost what it had taken.
pub(in crate::faults) fn rebuild(scene: &mut Scene<'_>, kills: bool) -> anyhow::Result<()> {
    let empty = json!({});
    let plan = scene.api.ask(&Method::POST, "/v1/replays/plan", &json!({ "reason": "faults" }))?;
    let body = json!({ "plan": Api::text(&plan, "plan")? });
    let begun = scene.api.ask(&Method::POST, "/v1/replays", &body)?;
    let path = format!("/v1/replays/{}", Api::text(&begun, "replay")?);
    scene.api.finish(&format!("{path}/advance"), &empty)?;
    if kills {
        processes::kill_projector(scene)?;
    }
    exchange(scene, &path)?;
    match scene.api.ask(&Method::DELETE, &path, &empty) {
        Ok(_) => Ok(()),
        // The answer of one that was asked before was lost.
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) if refused.code() == "replay_dropped" => Ok(()),
            Some(_) | None => Err(error),
        },
    }
}

/// Compares, and exchanges whatever the comparison says: the audit is the judge.
fn exchange(scene: &mut Scene<'_>, path: &str) -> anyhow::Result<()> {
    let empty = json!({});
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let status = scene.api.ask(&Method::GET, path, &empty)?;
        if status["live"] == "rebuilt" && status["state"] != "exchanging" {
            return Ok(());
        }
        let mut body = json!({ "back": false });
        if status["state"] != "exchanging" {
            let report = scene.api.finish(&format!("{path}/diff"), &empty)?;
            if report["digest"] != "none" {
                body["accept_differences"] = report["digest"].clone();
            }
        }
        match scene.api.finish(&format!("{path}/swap"), &body) {
            Ok(_) => {}
            // Whoever recovers what was left in the middle may have been first: the status tells.
            Err(error) if error.downcast_ref::<Refused>().is_some() => scene.pause(100, 200)?,
            Err(error) => return Err(error),
        }
    }
    bail!("the tables are not exchanged")
}
