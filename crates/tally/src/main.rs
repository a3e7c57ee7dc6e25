//! The one binary: commands, settings, and the composition of all parts in one process.
//!
//! `cli` is what can be typed; `commands` talk to a running tally over HTTP; `up`, `kafka` and
//! `demo` run services, put together in `compose`.

mod cli;
mod client;
mod commands;
mod compose;
mod demo;
mod failure;
mod folder;
mod kafka;
mod logging;
mod metrics_server;
mod output;
mod service;
mod settings;
mod table;
mod up;

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Map, Value, json};

use cli::{Cli, Command, Topics};
use commands::{
    Context, answers, credits, explain, ingest, keys, on_call, proofs, quarantine, rates,
    reconcile, replay, rerate, spending, status, warehouse, webhook,
};
use failure::Failure;
use output::{Output, note, print};
use settings::Settings;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output { json: cli.global.json };
    match run(cli, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match output.json {
                true => print(&format!("{}\n", json!({"error": failure.json()}))),
                false => note(&format!("tally: {failure}")),
            }
            failure.exit_code()
        }
    }
}

fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    // The child of an embedded ClickHouse reads no settings: its folder says everything.
    if let Command::ClickhouseServer(server) = &cli.command {
        return clickhouse_server::serve(&server.library, &server.directory)
            .map_err(|error| Failure::Failed(error.to_string()));
    }
    let mut settings = Settings::load(cli.global.config.as_deref(), environment())?;
    settings.flag("url", cli.global.url.as_ref());
    settings.flag("key_file", cli.global.key_file.as_ref().map(|path| path.display()));
    settings.flag("ca_file", cli.global.ca_file.as_ref().map(|path| path.display()));
    settings.flag("data", cli.global.data.as_ref().map(|path| path.display()));
    let context = |settings: &Settings| Context::new(settings, output);
    match &cli.command {
        Command::Up(flags) => {
            kafka::take_flags(&mut settings, flags);
            logging::start(&settings, None)?;
            up::up(&settings, output)
        }
        Command::Demo(demo) => {
            kafka::take_flags(&mut settings, &demo.up);
            demo::demo(settings, output, demo)
        }
        Command::Run(run) => {
            kafka::take_flags(&mut settings, &run.up);
            logging::start(&settings, None)?;
            kafka::run(&settings, output, run.service)
        }
        Command::Topics(Topics::Create(create)) => {
            settings.flag("partitions", create.partitions);
            logging::start(&settings, None)?;
            kafka::topics_create(&settings, output)
        }
        Command::Topics(Topics::Acls(wanted)) => {
            logging::start(&settings, None)?;
            kafka::topics_acls(&settings, output, wanted)
        }
        Command::Ingest(ingest) => ingest::ingest(&context(&settings)?, ingest),
        Command::Rates(rates) => rates::rates(&context(&settings)?, rates),
        Command::Grant(grant) => credits::grant(&context(&settings)?, grant),
        Command::Adjust(adjust) => credits::adjust(&context(&settings)?, adjust),
        Command::Void(void) => credits::void(&context(&settings)?, void),
        Command::Spending(command) => spending::spending(&context(&settings)?, command),
        Command::Balance(balance) => answers::balance(&context(&settings)?, balance),
        Command::Usage(usage) => answers::usage(&context(&settings)?, usage),
        Command::Explain(explain) => explain::explain(&context(&settings)?, explain),
        Command::Sql(sql) => warehouse::sql(&context(&settings)?, sql),
        Command::Schema(schema) => warehouse::schema(&context(&settings)?, schema),
        Command::Export(export) => warehouse::export(&context(&settings)?, export),
        Command::Key(key) => keys::keys(&context(&settings)?, key),
        Command::Webhook(command) => webhook::webhooks(&context(&settings)?, command),
        Command::OnCall(command) => on_call::on_call(&context(&settings)?, command),
        Command::Status(status) => status::status(&context(&settings)?, status),
        Command::Reconcile(command) => reconcile::reconcile(|| context(&settings), output, command),
        Command::Rerate(command) => rerate::rerate(&context(&settings)?, command),
        Command::Quarantine(command) => quarantine::quarantine(&context(&settings)?, command),
        Command::Verify(verify) => proofs::verify(&context(&settings)?, verify),
        Command::Replay(command) => replay::replay(&context(&settings)?, command),
        Command::Settings => {
            show_settings(&settings, output);
            Ok(())
        }
        Command::ClickhouseServer(_) => Ok(()),
    }
}

/// Variables whose names or values are not text are nobody's settings.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn show_settings(settings: &Settings, output: Output) {
    let shown = settings.shown();
    let listed: Map<String, Value> = shown
        .iter()
        .map(|row| {
            (row.name.to_owned(), json!({"value": row.value, "from": row.from, "about": row.about}))
        })
        .collect();
    output.answer(&Value::Object(listed), || {
        let mut table = table::Table::new([
            ("setting", table::Align::Left),
            ("value", table::Align::Left),
            ("from", table::Align::Left),
            ("what it is", table::Align::Left),
        ]);
        for row in &shown {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
            table.row([row.name.to_owned(), text(&row.value), text(&row.from), row.about.to_owned()]);
        }
        format!(
            "{table}\n`clickhouse.url` is `[clickhouse] url = …` in tally.toml, and TALLY_CLICKHOUSE_URL in \
             the environment. `[kafka.properties]` is passed on to librdkafka.\n"
        )
    });
}
