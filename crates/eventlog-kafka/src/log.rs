//! The log itself: one deployment's topics on one cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::{Offset, Topic, TopicPartition};
use eventlog::{
    Appender, Bounds, EventLog, Lane, LogError, Member, MemberSpec, Permissions, Reader, TopicSpec,
};

use crate::acl::{self, Acl};
use crate::admin::Admin;
use crate::appender::KafkaAppender;
use crate::lane::FetchLane;
use crate::member::{KafkaMember, Lanes};
use crate::membership::Membership;
use crate::names::TopicNames;
use crate::native::Reports;
use crate::outlet::{Outlet, OutletPlan};
use crate::probe::Probe;
use crate::reader::KafkaReader;
use crate::settings::{KafkaSettings, Properties};
use crate::writer::Writer;

/// The event log on Kafka.
pub struct KafkaLog {
    settings: KafkaSettings,
    names: Arc<TopicNames>,
    probe: Arc<Probe>,
}

impl KafkaLog {
    /// Checks the settings and makes the clients; connections are made as they are needed, so a
    /// cluster that is away shows in the first call.
    ///
    /// # Errors
    /// [`LogError::Halt`] for settings that cannot work.
    pub fn connect(settings: KafkaSettings) -> Result<Self, LogError> {
        settings.check()?;
        let names = Arc::new(TopicNames::new(&settings.prefix)?);
        let probe = Arc::new(Probe::open(&settings, Arc::clone(&names))?);
        Ok(Self { settings, names, probe })
    }

    /// What an authorizer must allow a service of this deployment, if it is `principal`.
    pub fn acls(&self, principal: &str, permissions: &Permissions) -> Vec<Acl> {
        Acl::of_service(&self.names, principal, permissions)
    }

    /// What it must allow whoever makes the topics.
    pub fn acls_of_deployment(&self, principal: &str) -> Vec<Acl> {
        Acl::of_deployment(&self.names, principal)
    }

    /// Allows all of this; what is allowed already stays so.
    ///
    /// # Errors
    /// Those of the cluster: among them, that we may not change permissions.
    pub fn allow(&self, acls: &[Acl]) -> Result<(), LogError> {
        let mut native = Vec::new();
        for acl in acls {
            native.extend(acl.native()?);
        }
        self.probe.allow(&native)
    }

    pub(crate) fn names(&self) -> &TopicNames {
        &self.names
    }

    pub(crate) fn outlet_plan(&self, reports: Reports, properties: Properties) -> OutletPlan {
        OutletPlan {
            names: Arc::clone(&self.names),
            probe: Arc::clone(&self.probe),
            properties,
            reports,
        }
    }

    pub(crate) fn lane(&self, group: &str) -> Result<FetchLane, LogError> {
        let properties =
            self.settings.fetcher(&self.names.prefixed(group), self.settings.fetch_wait);
        FetchLane::open(Arc::clone(&self.names), &properties)
    }

    /// A partition's inputs belong together, so the counts must agree.
    fn must_match(&self, topics: &[(Topic, Lane)]) -> Result<(), LogError> {
        let mut counts = Vec::new();
        for (topic, _) in topics {
            let count = self.probe.partitions(*topic)?.ok_or_else(|| {
                LogError::Halt(format!(
                    "there is no topic {}: create it first",
                    self.names.text(*topic)
                ))
            })?;
            counts.push((*topic, count));
        }
        match counts.windows(2).find(|pair| pair[0].1 != pair[1].1) {
            Some(pair) => Err(LogError::Halt(format!(
                "{} has {} partitions and {} has {}: a member must read the same partition numbers of both",
                pair[0].0, pair[0].1, pair[1].0, pair[1].1
            ))),
            None => Ok(()),
        }
    }

    fn lanes(&self, group: &str, topics: &[(Topic, Lane)]) -> Result<Lanes, LogError> {
        let of_topic: BTreeMap<Topic, Lane> = topics.iter().copied().collect();
        let open = |wanted: Lane| {
            of_topic.values().any(|lane| *lane == wanted).then(|| self.lane(group)).transpose()
        };
        Ok(Lanes { bulk: open(Lane::Bulk)?, priority: open(Lane::Priority)?, of_topic })
    }
}

impl EventLog for KafkaLog {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        Admin::open(&self.settings, &self.names, &self.probe)?.create(topics)
    }

    fn partitions(&self, topic: Topic) -> Result<Option<u32>, LogError> {
        self.probe.partitions(topic)
    }

    fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
        self.probe.bounds(at)
    }

    fn reader(&self, from: &[(TopicPartition, Offset)]) -> Result<Box<dyn Reader>, LogError> {
        let lane = self.lane(&self.settings.reader_group)?;
        Ok(Box::new(KafkaReader::open(lane, Arc::clone(&self.probe), from)?))
    }

    fn appender(&self) -> Result<Box<dyn Appender>, LogError> {
        let plan = self.outlet_plan(Reports::Offsets, self.settings.appender());
        Ok(Box::new(KafkaAppender::new(Outlet::open(plan)?)))
    }

    fn join(&self, spec: &MemberSpec) -> Result<Box<dyn Member>, LogError> {
        self.must_match(&spec.topics)?;
        // The writer first: whoever had the name is fenced before its partitions move.
        let name = spec.writer.as_ref().map(|writer| self.names.prefixed(writer));
        let writer = match &name {
            Some(name) => {
                let plan = self.outlet_plan(Reports::Failures, self.settings.writer(name));
                Some(Writer::initialise(plan, name.clone(), self.settings.transaction_timeout)?)
            }
            None => None,
        };
        let membership = if spec.topics.is_empty() {
            None
        } else {
            let instance = name.as_deref().filter(|_| self.settings.static_membership);
            let properties = self.settings.member(&self.names.prefixed(&spec.group), instance);
            let topics = spec.topics.iter().map(|(topic, _)| *topic).collect();
            Some(Membership::join(Arc::clone(&self.names), topics, &properties)?)
        };
        Ok(Box::new(KafkaMember {
            writer,
            membership,
            lanes: self.lanes(&spec.group, &spec.topics)?,
            probe: Arc::clone(&self.probe),
            untold: Vec::new(),
        }))
    }

    fn contract_findings(&self) -> Result<Vec<String>, LogError> {
        Admin::open(&self.settings, &self.names, &self.probe)?.contract_findings()
    }

    fn refusals(&self, wanted: &Permissions) -> Result<Option<Vec<String>>, LogError> {
        Ok(Some(acl::refusals(&self.names, wanted, &self.probe.allowed()?)))
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaLog").field("settings", &self.settings).finish_non_exhaustive()
    }
}
