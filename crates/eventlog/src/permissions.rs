//! What a service does with the log, for whoever decides what it may do.

use domain::Topic;

/// What an authorizer must allow one service, and nothing more. Every service also looks at all
/// topics and their configuration, because it starts over none that breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// What the service is called: `charger`.
    pub service: &'static str,
    pub reads: &'static [Topic],
    pub writes: &'static [Topic],
    /// The names of its consumer groups begin so.
    pub groups: &'static str,
    /// The names under which it writes transactions begin so; none writes without them.
    pub writers: Option<&'static str>,
}
