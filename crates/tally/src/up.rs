//! `tally up`: everything in one process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use charger::ChargerSettings;
use domain::Topic;
use eventlog::{EmbeddedLog, EventLog};
use gateway::{Gateway, GatewaySettings};
use projector::ProjectorSettings;
use prometheus::Registry;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::compose::{self, ClickHouse, Common};
use crate::failure::Failure;
use crate::folder::{Addresses, DataFolder};
use crate::output::Output;
use crate::service::{Event, Services, watch_signals};
use crate::settings::Settings;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Everything, running.
pub(crate) struct Running {
    folder: DataFolder,
    pub(crate) addresses: Addresses,
    runtime: Runtime,
    gateway: Gateway,
    services: Services,
    clickhouse: ClickHouse,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Running")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

pub(crate) fn up(settings: &Settings, output: Output) -> Result<(), Failure> {
    let folder = DataFolder::open(&settings.data_folder()?)?;
    let running = Running::start(settings, folder, &mut |line| output.note(line))?;
    let told = json!({
        "api": running.addresses.api,
        "clickhouse_http": running.addresses.clickhouse_http,
        "clickhouse_native": running.addresses.clickhouse_native,
        "data": running.folder.path().display().to_string(),
        "operator_key_file": running.folder.operator_key().display().to_string(),
    });
    output.answer(&told, || running.text());
    running.wait()
}

impl Running {
    /// Starts all parts over a data folder, telling in a line each what takes a while.
    pub(crate) fn start(
        settings: &Settings,
        folder: DataFolder,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, Failure> {
        let wanted = compose::wanted_partitions(settings)?;
        let listen = compose::listen_address(settings)?;
        // The log first: it says who else holds the folder.
        let embedded = EmbeddedLog::open(folder.log()).map_err(compose::log_failure)?;
        let log: Arc<dyn EventLog> = Arc::new(embedded);
        let in_log = log.partitions(Topic::UsageRaw).map_err(compose::log_failure)?;
        let partitions = folder.topology(wanted, in_log)?.partitions;
        log.create_topics(&compose::topic_specs(partitions)).map_err(compose::log_failure)?;
        let mut services = Services::new();
        watch_signals(services.teller())?;

        progress("starting ClickHouse");
        let clickhouse = ClickHouse::start(settings, &folder.clickhouse(), progress)?;
        let runtime = compose::runtime()?;
        let warehouse = compose::warehouse(&runtime, settings, &clickhouse.http_url())?;

        progress("starting charger, projector, notifier and API");
        let registry = Registry::new();
        let common = Common { settings, log: Arc::clone(&log), registry: &registry };
        let charger = ChargerSettings::new(partitions, folder.state());
        compose::start_charger(&mut services, &common, charger)?;
        let projector = ProjectorSettings::new(partitions);
        compose::start_projector(&mut services, &common, warehouse.clone(), projector)?;
        let webhooks = compose::webhooks(settings, true)?;
        compose::start_notifier(&mut services, &common, webhooks.clone())?;
        let api = GatewaySettings {
            listen,
            webhooks,
            // The embedded log has one owner.
            alone: true,
            operator_key_file: Some(folder.operator_key()),
            data_folder: Some(folder.path().to_owned()),
            state_folder: Some(folder.state()),
            tls: compose::tls(settings)?,
            ..GatewaySettings::new(partitions)
        };
        let gateway = compose::start_gateway(&runtime, log, warehouse, api, registry.clone())?;
        services.watch()?;
        let addresses = Addresses {
            api: format!("http://{}", gateway.address()),
            clickhouse_http: clickhouse.http_url(),
            clickhouse_native: clickhouse.native_address(),
        };
        folder.write_addresses(&addresses)?;
        Ok(Self { folder, addresses, runtime, gateway, services, clickhouse })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn text(&self) -> String {
        let mut text = format!(
            "tally is up\n\n  API         {}\n  ClickHouse  {}\n",
            self.addresses.api, self.addresses.clickhouse_http
        );
        if let Some(native) = &self.addresses.clickhouse_native {
            text.push_str(&format!("  native      {native}\n"));
        }
        text.push_str(&format!(
            "  data        {}\n  API key     {}\n\nCtrl-C stops it.\n",
            self.folder.path().display(),
            self.folder.operator_key().display()
        ));
        text
    }

    /// Until somebody interrupts it, or a part of it ends.
    pub(crate) fn wait(mut self) -> Result<(), Failure> {
        loop {
            match self.services.next(LOOK_EVERY) {
                Some(Event::Interrupted) => return self.stop(),
                Some(Event::Ended { name, why }) => {
                    let failure = Failure::Stalled(format!("the {name} stopped: {why}"));
                    return self.stop().and(Err(failure));
                }
                None => {}
            }
            if let Err(error) = self.clickhouse.mend() {
                tracing::error!(%error, "no ClickHouse");
                return self.stop().and(Err(error));
            }
        }
    }

    /// Whether it still is to run: false once somebody has interrupted it, an error once a part of
    /// it has ended.
    pub(crate) fn goes_on(&self) -> Result<bool, Failure> {
        match self.services.next(Duration::ZERO) {
            None => Ok(true),
            Some(Event::Interrupted) => Ok(false),
            Some(Event::Ended { name, why }) => {
                Err(Failure::Stalled(format!("the {name} stopped: {why}")))
            }
        }
    }

    /// In order: no new requests; the charger commits what it decided; the projector ends between
    /// two batches; ClickHouse ends. What is not projected yet is so at the next start.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        tracing::info!("stopping");
        let Self { folder, runtime, gateway, services, clickhouse, .. } = self;
        folder.remove_addresses();
        let mut problems: Vec<String> =
            compose::stop_gateway(&runtime, gateway).into_iter().collect();
        problems.extend(services.stop());
        if let Err(error) = clickhouse.stop() {
            problems.push(error.to_string());
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Failure::Stalled(problems.join("\n"))),
        }
    }
}
