//! `/v1/replays`: tables made again beside the live ones, compared and exchanged with them. Each
//! request is one bounded step; whoever wants the whole asks again until it is done.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use catalog::CatalogueError;
use domain::{Offset, Partition};
use replay::rebuild::{Plan, RebuildError, Rebuilder, Recovery, SwapWish, Wanted, accepted_word};
use serde::Serialize;
use serde_json::json;

use crate::app::{App, now};
use crate::auth::Asker;
use crate::command;
use crate::form::{Form, Params};
use crate::problem::Problem;

/// How often a gateway looks for what somebody left in the middle.
const RECOVER_EVERY: Duration = Duration::from_secs(2);
const RECOVER_WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn plan(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let wanted = wanted(&asker, &mut form)?;
    form.finish()?;
    let at = now();
    let (plan, id, text) = step(&app, move |rebuilder| {
        let plan = rebuilder.plan(&wanted, at)?;
        let (id, text) = (plan.id()?, plan.render()?);
        Ok((plan, id, text))
    })
    .await?;
    let answer = json!({ "replay": id, "plan": text, "content": plan });
    Ok(super::json(StatusCode::OK, &answer))
}

fn wanted(asker: &Asker, form: &mut Form) -> Result<Wanted, Problem> {
    Ok(Wanted {
        tables: form.typed("tables", "a list of tables")?.unwrap_or_default(),
        partition: form.number("partition", "a partition's number")?.map(Partition),
        from_offset: form.number("from_offset", "an offset")?.map(Offset),
        to_offset: form.number("to_offset", "an offset")?.map(Offset),
        from: form.parsed("from", "bad_time")?,
        to: form.parsed("to", "bad_time")?,
        why: form.text("reason")?.unwrap_or_default(),
        who: asker.actor(form)?,
    })
}

pub(crate) async fn begin(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let text = form.required_text("plan")?;
    let who = asker.actor(&mut form)?;
    form.finish()?;
    let status = step(&app, move |rebuilder| {
        let id = rebuilder.begin(&Plan::parse(&text)?, &who)?;
        rebuilder.status(Some(&id))
    })
    .await?;
    answer(&status)
}

/// The rebuild that was begun and not dropped.
pub(crate) async fn current(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    answer(&step(&app, |rebuilder| rebuilder.status(None)).await?)
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    answer(&step(&app, move |rebuilder| rebuilder.status(Some(&id))).await?)
}

pub(crate) async fn advance(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    answer(&step(&app, move |rebuilder| rebuilder.advance(&id)).await?)
}

pub(crate) async fn diff(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    answer(&step(&app, move |rebuilder| rebuilder.diff(&id)).await?)
}

pub(crate) async fn swap(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let wish = SwapWish { back: form.flag("back")?, accept: form.text("accept_differences")? };
    if let Some(digest) = wish.accept.as_deref().filter(|digest| !accepted_word(digest)) {
        let detail = "a digest has 16 hexadecimal digits, as the comparison prints it";
        return Err(form.refuse("accept_differences", "bad_value", detail).value(digest));
    }
    form.finish()?;
    answer(&step(&app, move |rebuilder| rebuilder.swap(&id, &wish)).await?)
}

pub(crate) async fn abort(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    answer(&step(&app, move |rebuilder| rebuilder.abort(&id)).await?)
}

pub(crate) async fn discard(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    answer(&step(&app, move |rebuilder| rebuilder.discard(&id)).await?)
}

/// Runs a step where waiting harms nobody. It goes on to its end also when nobody waits for the
/// answer any more.
async fn step<T: Send + 'static>(
    app: &App,
    act: impl FnOnce(&Rebuilder) -> Result<T, RebuildError> + Send + 'static,
) -> Result<T, Problem> {
    let rebuilder = Arc::clone(&app.rebuilder);
    Ok(tokio::task::spawn_blocking(move || act(&rebuilder)).await??)
}

fn answer(body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_value(body).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(super::json(StatusCode::OK, &body))
}

/// Looks after an exchange or a pause that somebody left, as long as the gateway runs.
pub(crate) async fn recover(app: App) {
    let (mut first, mut wait) = (true, RECOVER_EVERY);
    loop {
        match step(&app, move |rebuilder| rebuilder.recover(first)).await {
            Ok(Recovery::Later) => wait = RECOVER_EVERY,
            Ok(Recovery::Clean | Recovery::Finished | Recovery::Resumed) => {
                (first, wait) = (false, RECOVER_EVERY);
            }
            Err(problem) => {
                tracing::warn!(why = problem.detail(), "a rebuild could not be looked after");
                wait = (wait * 2).min(RECOVER_WAIT_MAX);
            }
        }
        tokio::time::sleep(wait).await;
    }
}

impl From<RebuildError> for Problem {
    fn from(error: RebuildError) -> Self {
        let detail = error.to_string();
        let conflict = |code: &'static str| Self::new(StatusCode::CONFLICT, code, detail.clone());
        match error {
            RebuildError::Log(error) | RebuildError::Catalogue(CatalogueError::Log(error)) => {
                error.into()
            }
            RebuildError::Warehouse(error) => error.into(),
            RebuildError::Catalogue(CatalogueError::Late(_)) => Self::unavailable(detail),
            RebuildError::Catalogue(CatalogueError::Unreadable { .. })
            | RebuildError::Record { .. } => Self::internal(detail),
            RebuildError::Plan(bad) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_plan", bad.why).field(bad.field)
            }
            RebuildError::Unknown(_) | RebuildError::Nothing => {
                Self::new(StatusCode::NOT_FOUND, "unknown_replay", detail)
            }
            RebuildError::Busy(_) => conflict("replay_busy"),
            RebuildError::Refused { code, .. } => conflict(code),
            RebuildError::Differs { digest, groups, .. } => {
                conflict("replay_differs").with("digest", digest).with("groups", groups)
            }
        }
    }
}
