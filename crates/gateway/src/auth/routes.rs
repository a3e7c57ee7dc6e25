//! The table of routes, each with who may use it.

use access::{Action, Role};
use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

use super::asker::{Asker, forbidden};
use crate::app::App;
use crate::body;

/// Which accounts a route is about, for keys that are bound to some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The account that its path names as `{id}`.
    Account,
    /// Several, or none that could be told: refused to every bound key.
    AllAccounts,
    /// Those that its handler finds in the parameters or the body, and judges.
    Judged,
    /// None: nothing there is any account's.
    NoAccount,
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    action: Action,
    reach: Reach,
}

impl Rule {
    /// About the account that the path names as `{id}`.
    pub(crate) const fn of_account(action: Action) -> Self {
        Self { action, reach: Reach::Account }
    }

    /// About all accounts.
    pub(crate) const fn of_all_accounts(action: Action) -> Self {
        Self { action, reach: Reach::AllAccounts }
    }

    /// About accounts that the handler finds and judges.
    pub(crate) const fn judged(action: Action) -> Self {
        Self { action, reach: Reach::Judged }
    }

    /// About no account.
    pub(crate) const fn of_no_account(action: Action) -> Self {
        Self { action, reach: Reach::NoAccount }
    }

    fn allows(self, asker: &Asker, path: &RawPathParams) -> bool {
        let caller = asker.caller();
        caller.may(self.action)
            && match self.reach {
                Reach::Account => {
                    let named = path.iter().find(|(name, _)| *name == "id");
                    named.is_some_and(|(_, account)| caller.may_reach(account))
                }
                Reach::AllAccounts => caller.may_span_accounts(),
                Reach::Judged | Reach::NoAccount => true,
            }
    }
}

/// A row of the table, as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    pub method: Method,
    /// With its parameters in braces.
    pub path: &'static str,
    /// Empty for a route that needs no key.
    pub roles: &'static [Role],
    /// `None` for a route that needs no key.
    pub reach: Option<Reach>,
}

/// Routes, each added together with who may use it. There is no other way to add one.
#[derive(Default)]
pub(crate) struct Routes {
    guarded: Router<App>,
    open: Router<App>,
    rows: Vec<RouteRow>,
}

impl Routes {
    pub(crate) fn get<H, T>(self, path: &'static str, rule: Rule, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.add((Method::GET, MethodFilter::GET), path, rule, handler)
    }

    pub(crate) fn post<H, T>(self, path: &'static str, rule: Rule, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.add((Method::POST, MethodFilter::POST), path, rule, handler)
    }

    pub(crate) fn delete<H, T>(self, path: &'static str, rule: Rule, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.add((Method::DELETE, MethodFilter::DELETE), path, rule, handler)
    }

    /// A route that needs no key, and so must say nothing of any account.
    pub(crate) fn open<H, T>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.rows.push(RouteRow { method: Method::GET, path, roles: &[], reach: None });
        self.open = self.open.route(path, on(MethodFilter::GET, handler));
        self
    }

    fn add<H, T>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        rule: Rule,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let roles = rule.action.roles();
        self.rows.push(RouteRow { method, path, roles, reach: Some(rule.reach) });
        let guard = move |asker: Asker, path: RawPathParams, request: Request, next: Next| {
            check(rule, (asker, path), request, next)
        };
        let handler = on(filter, handler).route_layer(middleware::from_fn(guard));
        self.guarded = self.guarded.route(path, handler);
        self
    }

    /// The rows, in the order in which they were added.
    pub(crate) fn rows(self) -> Vec<RouteRow> {
        self.rows
    }

    /// The routes that need a key, and those that do not.
    pub(crate) fn into_routers(self) -> (Router<App>, Router<App>) {
        (self.guarded, self.open)
    }
}

async fn check(
    rule: Rule,
    (asker, path): (Asker, RawPathParams),
    request: Request,
    next: Next,
) -> Response {
    if rule.allows(&asker, &path) {
        return next.run(request).await;
    }
    body::discard(request.into_body()).await;
    forbidden().into_response()
}
