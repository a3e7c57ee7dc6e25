//! `tally run …` and `tally topics …`: one service against Kafka and ClickHouse.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use charger::ChargerSettings;
use domain::Topic;
use eventlog::{EventLog, Permissions};
use eventlog_kafka::{Acl, KafkaLog, KafkaSettings, Resource};
use gateway::GatewaySettings;
use projector::ProjectorSettings;
use prometheus::Registry;
use serde_json::json;

use crate::cli::{self, Service, TopicsAcls};
use crate::compose::{self, Common};
use crate::failure::Failure;
use crate::folder::PARTITIONS;
use crate::metrics_server::MetricsServer;
use crate::output::Output;
use crate::service::{Event, Services, watch_signals};
use crate::settings::Settings;

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn topics_create(settings: &Settings, output: Output) -> Result<(), Failure> {
    let log = KafkaLog::connect(kafka_settings(settings)?).map_err(compose::log_failure)?;
    let partitions = match log.partitions(Topic::UsageRaw).map_err(compose::log_failure)? {
        Some(there) => compose::wanted_partitions(settings)?.unwrap_or(there),
        None => compose::wanted_partitions(settings)?.unwrap_or(PARTITIONS),
    };
    let specs = compose::topic_specs(partitions);
    log.create_topics(&specs).map_err(compose::log_failure)?;
    must_keep_contract(&log)?;
    let listed: Vec<_> = specs
        .iter()
        .map(|spec| json!({"topic": spec.topic.name(), "partitions": spec.partitions}))
        .collect();
    output.answer(&json!({"topics": listed}), || {
        specs
            .iter()
            .map(|spec| format!("{}: {} partitions\n", spec.topic, spec.partitions))
            .collect()
    });
    Ok(())
}

pub(crate) fn run(settings: &Settings, output: Output, service: Service) -> Result<(), Failure> {
    let listen = compose::listen_address(settings)?;
    let permissions = permissions(service);
    let mut kafka = kafka_settings(settings)?;
    // Among the groups that this service is allowed.
    kafka.reader_group = format!("{}-reader", permissions.groups.trim_end_matches('-'));
    let log = KafkaLog::connect(kafka).map_err(compose::log_failure)?;
    must_be_allowed(&log, permissions)?;
    let partitions =
        log.partitions(Topic::UsageRaw).map_err(compose::log_failure)?.ok_or_else(|| {
            Failure::Usage("the topics are not there yet: run `tally topics create`".to_owned())
        })?;
    if let Some(wanted) =
        compose::wanted_partitions(settings)?.filter(|wanted| *wanted != partitions)
    {
        return Err(Failure::Usage(format!(
            "the topics have {partitions} partitions and the settings ask for {wanted}: the number \
             is fixed, because it decides where each account lives"
        )));
    }
    must_keep_contract(&log)?;
    let log: Arc<dyn EventLog> = Arc::new(log);
    let registry = Registry::new();
    let common = Common { settings, log: Arc::clone(&log), registry: &registry };
    let runtime = compose::runtime()?;
    let mut services = Services::new();
    watch_signals(services.teller())?;
    let mut gateway = None;
    match service {
        Service::Charger => {
            let mut charger =
                ChargerSettings::new(partitions, settings.data_folder()?.join("state"));
            let replica = settings.parsed::<u32>("replica", "a number")?.unwrap_or(0);
            charger.writer = format!("tally-charger-{replica}");
            compose::start_charger(&mut services, &common, charger)?;
        }
        Service::Projector => {
            let warehouse = compose::warehouse(&runtime, settings, clickhouse_url(settings)?)?;
            let projector = ProjectorSettings::new(partitions);
            compose::start_projector(&mut services, &common, warehouse, projector)?;
        }
        Service::Notifier => {
            compose::start_notifier(&mut services, &common, compose::webhooks(settings, false)?)?;
        }
        Service::Gateway | Service::Rates => {
            let warehouse = compose::warehouse(&runtime, settings, clickhouse_url(settings)?)?;
            let api = GatewaySettings {
                listen,
                webhooks: compose::webhooks(settings, false)?,
                log_name: "kafka",
                operator_key_file: settings.text("gateway.operator_key_file").map(PathBuf::from),
                tls: compose::tls(settings)?,
                ..GatewaySettings::new(partitions)
            };
            gateway =
                Some(compose::start_gateway(&runtime, log, warehouse, api, registry.clone())?);
        }
    }
    let served = match &gateway {
        Some(gateway) => gateway.address(),
        None => MetricsServer::start(&runtime, listen, registry.clone(), services.pulses())?,
    };
    services.watch()?;
    let encrypted = gateway.as_ref().and_then(gateway::Gateway::tls_address);
    let mut answer = json!({"listen": format!("http://{served}"), "partitions": partitions});
    if let Some(address) = encrypted {
        answer["tls_listen"] = json!(format!("https://{address}"));
    }
    output.answer(&answer, || {
        let also = encrypted.map_or(String::new(), |address| format!("; https://{address}"));
        format!("running over {partitions} partitions; http://{served}/metrics{also}\n")
    });
    let failure = loop {
        match services.next(LOOK_EVERY) {
            Some(Event::Interrupted) => break None,
            Some(Event::Ended { name, why }) => break Some(format!("the {name} stopped: {why}")),
            None => {}
        }
    };
    let stopped = gateway.and_then(|gateway| compose::stop_gateway(&runtime, gateway));
    let problems: Vec<String> = failure.into_iter().chain(stopped).chain(services.stop()).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::Stalled(problems.join("\n"))),
    }
}

const fn permissions(service: Service) -> &'static Permissions {
    match service {
        Service::Charger => &charger::PERMISSIONS,
        Service::Projector => &projector::PERMISSIONS,
        Service::Gateway | Service::Rates => &gateway::PERMISSIONS,
        Service::Notifier => &notifier::PERMISSIONS,
    }
}

/// A service that may do a part of its work only would stop in the middle of it.
fn must_be_allowed(log: &KafkaLog, permissions: &Permissions) -> Result<(), Failure> {
    let refusals = log.refusals(permissions).map_err(compose::log_failure)?.unwrap_or_default();
    match refusals.is_empty() {
        true => Ok(()),
        false => Err(Failure::Usage(format!(
            "Kafka does not allow what this takes:\n  {}",
            refusals.join("\n  ")
        ))),
    }
}

/// `tally topics acls`: what an authorizer must allow whom.
pub(crate) fn topics_acls(
    settings: &Settings,
    output: Output,
    wanted: &TopicsAcls,
) -> Result<(), Failure> {
    let log = KafkaLog::connect(kafka_settings(settings)?).map_err(compose::log_failure)?;
    let principal = |service: &str| format!("{}{service}", wanted.principals);
    let mut acls = log.acls_of_deployment(&principal("deploy"));
    for permissions in [
        &charger::PERMISSIONS,
        &projector::PERMISSIONS,
        &gateway::PERMISSIONS,
        &notifier::PERMISSIONS,
    ] {
        acls.extend(log.acls(&principal(permissions.service), permissions));
    }
    if wanted.apply {
        log.allow(&acls).map_err(compose::log_failure)?;
    }
    let bootstrap = settings.text("kafka.bootstrap").unwrap_or_default();
    let command = |acl: &Acl| {
        format!(
            "kafka-acls.sh --bootstrap-server {bootstrap} --command-config admin.properties --add {acl}"
        )
    };
    let listed: Vec<_> = acls
        .iter()
        .map(|acl| {
            let (resource, names) = resource_of(acl);
            json!({
                "principal": acl.principal, "resource": resource, "names": names,
                "pattern": match acl.resource {
                    Resource::Groups(_) | Resource::TransactionalIds(_) => "prefixed",
                    Resource::Topics(_) | Resource::Cluster => "literal",
                },
                "operations": acl.operations,
            })
        })
        .collect();
    output.answer(&json!({"acls": listed, "applied": wanted.apply}), || match wanted.apply {
        true => format!("{} rules are in force\n", acls.len()),
        false => acls.iter().map(|acl| command(acl) + "\n").collect(),
    });
    Ok(())
}

fn resource_of(acl: &Acl) -> (&'static str, Vec<String>) {
    match &acl.resource {
        Resource::Topics(topics) => ("topic", topics.clone()),
        Resource::Groups(prefix) => ("group", vec![prefix.clone()]),
        Resource::TransactionalIds(prefix) => ("transactional-id", vec![prefix.clone()]),
        Resource::Cluster => ("cluster", Vec::new()),
    }
}

/// A topic that loses, reorders or re-dates records makes charges wrong: nothing starts over one.
fn must_keep_contract(log: &KafkaLog) -> Result<(), Failure> {
    let findings = log.contract_findings().map_err(compose::log_failure)?;
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Failure::Usage(format!(
            "the topics are not what tally needs:\n  {}",
            findings.join("\n  ")
        ))),
    }
}

fn clickhouse_url(settings: &Settings) -> Result<&str, Failure> {
    settings.text("clickhouse.url").ok_or_else(|| {
        Failure::Usage(
            "no ClickHouse: set clickhouse.url (TALLY_CLICKHOUSE_URL) to something like \
             http://localhost:8123"
                .to_owned(),
        )
    })
}

fn kafka_settings(settings: &Settings) -> Result<KafkaSettings, Failure> {
    let bootstrap = settings.text("kafka.bootstrap").ok_or_else(|| {
        Failure::Usage(
            "no Kafka: set kafka.bootstrap (TALLY_KAFKA_BOOTSTRAP) to something like localhost:9092; \
             `tally up` needs none"
                .to_owned(),
        )
    })?;
    let mut kafka = KafkaSettings::new(bootstrap);
    if let Some(prefix) = settings.text("kafka.prefix") {
        kafka.prefix = prefix.to_owned();
    }
    if let Some(copies) = settings.parsed("kafka.replication_factor", "a number")? {
        kafka.replication_factor = copies;
        kafka.min_insync_replicas = kafka.min_insync_replicas.min(copies);
    }
    if let Some(copies) = settings.parsed("kafka.min_insync_replicas", "a number")? {
        kafka.min_insync_replicas = copies;
    }
    if let Some(is_static) = settings.parsed("kafka.static_membership", "true or false")? {
        kafka.static_membership = is_static;
    }
    kafka.extra = settings.kafka_properties().to_vec();
    Ok(kafka)
}

/// What flags say, into the settings.
pub(crate) fn take_flags(settings: &mut Settings, flags: &cli::Up) {
    settings.flag("listen", flags.listen.as_ref());
    settings.flag("clickhouse.url", flags.clickhouse_url.as_ref());
    settings.flag("partitions", flags.partitions);
    settings.flag("log.file", flags.log.as_ref().map(|path| path.display()));
    settings.flag("log.level", flags.log_level.as_ref());
    settings.flag(
        "log.format",
        flags.log_format.map(|format| match format {
            cli::LogFormat::Text => "text",
            cli::LogFormat::Json => "json",
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_each_service_may_do() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/security.md");
        let page = std::fs::read_to_string(page).unwrap();
        let listed = |topics: &[Topic]| match topics.len() {
            0 => "–".to_owned(),
            10 => "all ten".to_owned(),
            _ => topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", "),
        };
        for Permissions { service, reads, writes, groups, writers } in
            [Service::Charger, Service::Projector, Service::Gateway, Service::Notifier]
                .map(permissions)
        {
            let writers = writers.map_or("–".to_owned(), |writers| format!("`{writers}…`"));
            let (reads, writes) = (listed(reads), listed(writes));
            let row =
                format!("| `tally-{service}` | {reads} | {writes} | `{groups}…` | {writers} |");
            assert!(page.contains(&row), "the page lacks:\n{row}");
        }
    }

    #[test]
    fn without_a_broker_the_sentence_says_what_to_set() {
        let error = kafka_settings(&Settings::default()).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("TALLY_KAFKA_BOOTSTRAP")));
    }

    #[test]
    fn one_copy_needs_one_in_sync() {
        let mut settings = Settings::default();
        settings.flag("kafka.bootstrap", Some("localhost:9092"));
        settings.flag("kafka.replication_factor", Some(1));
        let kafka = kafka_settings(&settings).unwrap();
        assert_eq!((kafka.replication_factor, kafka.min_insync_replicas), (1, 1));
    }
}
