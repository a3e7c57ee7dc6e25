//! Who may do what: the permissions of services as Kafka's authorizer has them.

use std::fmt;

use domain::Topic;
use eventlog::{LogError, Permissions};

use crate::names::{TopicNames, c_string};
use crate::native::{NativeAcl, Operation, ResourceKind};

/// Some operations on things of one kind, for one principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// `User:tally-charger`.
    pub principal: String,
    pub resource: Resource,
    /// As `kafka-acls` calls them.
    pub operations: Vec<&'static str>,
}

/// What an [`Acl`] is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    Topics(Vec<String>),
    /// Groups whose names begin so.
    Groups(String),
    /// Transactional names that begin so.
    TransactionalIds(String),
    Cluster,
}

const fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "Read",
        Operation::Write => "Write",
        Operation::Create => "Create",
        Operation::Describe => "Describe",
        Operation::DescribeConfigs => "DescribeConfigs",
    }
}

/// Every service looks at all topics and their terms before it starts.
const LOOKING: [Operation; 2] = [Operation::Describe, Operation::DescribeConfigs];

impl Acl {
    fn new(principal: &str, resource: Resource, operations: &[Operation]) -> Self {
        let operations = operations.iter().map(|operation| word(*operation)).collect();
        Self { principal: principal.to_owned(), resource, operations }
    }

    /// What a service must be allowed.
    pub(crate) fn of_service(
        names: &TopicNames,
        principal: &str,
        permissions: &Permissions,
    ) -> Vec<Self> {
        let topics =
            |of: &[Topic]| Resource::Topics(of.iter().map(|topic| names.text(*topic)).collect());
        let mut acls = vec![
            Self::new(principal, topics(&Topic::ALL), &LOOKING),
            Self::new(principal, topics(permissions.reads), &[Operation::Read]),
        ];
        if !permissions.writes.is_empty() {
            acls.push(Self::new(principal, topics(permissions.writes), &[Operation::Write]));
        }
        let groups = Resource::Groups(names.prefixed(permissions.groups));
        acls.push(Self::new(principal, groups, &[Operation::Read, Operation::Describe]));
        if let Some(writers) = permissions.writers {
            let writers = Resource::TransactionalIds(names.prefixed(writers));
            acls.push(Self::new(principal, writers, &[Operation::Write, Operation::Describe]));
        }
        acls
    }

    /// Whoever makes the topics, and looks whether they are as they should be.
    pub(crate) fn of_deployment(names: &TopicNames, principal: &str) -> Vec<Self> {
        let topics = Resource::Topics(Topic::ALL.map(|topic| names.text(topic)).to_vec());
        vec![
            Self::new(principal, Resource::Cluster, &[Operation::Create, Operation::Describe]),
            Self::new(principal, topics, &LOOKING),
        ]
    }

    pub(crate) fn native(&self) -> Result<Vec<NativeAcl>, LogError> {
        let (kind, names, prefixed) = match &self.resource {
            Resource::Topics(names) => (ResourceKind::Topic, names.as_slice(), false),
            Resource::Groups(name) => (ResourceKind::Group, std::slice::from_ref(name), true),
            Resource::TransactionalIds(name) => {
                (ResourceKind::TransactionalId, std::slice::from_ref(name), true)
            }
            Resource::Cluster => (ResourceKind::Cluster, &[CLUSTER.to_owned()][..], false),
        };
        let operations =
            Operation::ALL.into_iter().filter(|one| self.operations.contains(&word(*one)));
        let mut native = Vec::new();
        for operation in operations {
            for name in names {
                native.push(NativeAcl {
                    kind,
                    name: c_string(name)?,
                    prefixed,
                    principal: c_string(&self.principal)?,
                    operation,
                });
            }
        }
        Ok(native)
    }
}

/// The name of the one cluster there is.
const CLUSTER: &str = "kafka-cluster";

/// The arguments of `kafka-acls --add`.
impl fmt::Display for Acl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "--allow-principal {}", self.principal)?;
        for operation in &self.operations {
            write!(formatter, " --operation {operation}")?;
        }
        match &self.resource {
            Resource::Topics(topics) => {
                topics.iter().try_for_each(|topic| write!(formatter, " --topic {topic}"))
            }
            Resource::Groups(prefix) => {
                write!(formatter, " --group {prefix} --resource-pattern-type prefixed")
            }
            Resource::TransactionalIds(prefix) => {
                write!(formatter, " --transactional-id {prefix} --resource-pattern-type prefixed")
            }
            Resource::Cluster => formatter.write_str(" --cluster"),
        }
    }
}

/// What of a service's permissions is not among what it is allowed with each topic.
pub(crate) fn refusals(
    names: &TopicNames,
    permissions: &Permissions,
    allowed: &[Result<Vec<Operation>, crate::native::Failure>],
) -> Vec<String> {
    let mut refusals = Vec::new();
    for (topic, allowed) in Topic::ALL.into_iter().zip(allowed) {
        let name = names.text(topic);
        let wanted = LOOKING.into_iter().chain(
            [(permissions.reads, Operation::Read), (permissions.writes, Operation::Write)]
                .into_iter()
                .filter_map(|(topics, operation)| topics.contains(&topic).then_some(operation)),
        );
        let missing: Vec<&str> = match allowed {
            Ok(allowed) => wanted.filter(|one| !allowed.contains(one)).map(word).collect(),
            Err(failure) if failure.is_forbidden() => wanted.map(word).collect(),
            // Whether it is there is the contract's question.
            Err(_) => Vec::new(),
        };
        if !missing.is_empty() {
            let service = permissions.service;
            refusals.push(format!(
                "the {service} may not {} {name}; allow it with: kafka-acls --add --allow-principal \
                 User:… --operation {} --topic {name} (`tally topics acls` lists all that it needs)",
                missing.join(", "),
                missing.join(" --operation "),
            ));
        }
    }
    refusals
}

#[cfg(test)]
mod tests {
    use rdkafka_sys::types::RDKafkaErrorCode as Code;

    use super::*;
    use crate::native::Failure;

    const READER: Permissions = Permissions {
        service: "reader",
        reads: &[Topic::UsageRaw],
        writes: &[Topic::Replies],
        groups: "tally-reader",
        writers: Some("tally-reader-"),
    };

    #[test]
    fn a_service_is_allowed_what_it_does_under_the_deployment_s_names() {
        let names = TopicNames::new("blue.").unwrap();
        let acls = Acl::of_service(&names, "User:r", &READER);
        let lines: Vec<String> = acls.iter().map(Acl::to_string).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[1], "--allow-principal User:r --operation Read --topic blue.usage.raw");
        assert_eq!(
            lines[3],
            "--allow-principal User:r --operation Read --operation Describe --group blue.tally-reader \
             --resource-pattern-type prefixed"
        );
        assert!(lines[4].contains("--transactional-id blue.tally-reader- "), "{}", lines[4]);
    }

    #[test]
    fn what_is_not_allowed_is_named_topic_by_topic() {
        let names = TopicNames::new("").unwrap();
        let allowed = |topic| match topic {
            Topic::UsageRaw => Ok(LOOKING.to_vec()),
            Topic::Replies => Err(Failure::new(Code::TopicAuthorizationFailed, String::new())),
            Topic::Access => Err(Failure::new(Code::UnknownTopicOrPartition, String::new())),
            _ => Ok(Operation::ALL.to_vec()),
        };
        let refusals = refusals(&names, &READER, &Topic::ALL.map(allowed));
        assert_eq!(refusals.len(), 2, "{refusals:?}");
        assert!(refusals[0].starts_with("the reader may not Read usage.raw; allow it with"));
        assert!(refusals[1].contains("may not Describe, DescribeConfigs, Write ledger.replies"));
    }
}
