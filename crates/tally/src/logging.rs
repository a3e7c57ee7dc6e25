//! Structured logs, to standard error or to a file.

use std::fs::File;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::settings::Settings;

const LEVEL: &str = "info";

/// Logs as the settings say; to `file` when they name no other.
pub(crate) fn start(settings: &Settings, file: Option<&Path>) -> Result<(), Failure> {
    let level = settings.text("log.level").unwrap_or(LEVEL);
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Failure::Usage(format!("log.level {level:?}: {error}")))?;
    let json = match settings.text("log.format") {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            return Err(Failure::Usage(format!("log.format must be text or json, not {other:?}")));
        }
    };
    let named = settings.text("log.file").map(Path::new).or(file);
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let started = match named {
        Some(path) => {
            let open = File::options().create(true).append(true).open(path);
            let file = open
                .map_err(|error| Failure::Usage(format!("the log {}: {error}", path.display())))?;
            let builder = builder.with_ansi(false).with_writer(Mutex::new(file));
            match json {
                true => builder.json().try_init(),
                false => builder.try_init(),
            }
        }
        None => {
            let builder = builder.with_ansi(stderr().is_terminal()).with_writer(stderr);
            match json {
                true => builder.json().try_init(),
                false => builder.try_init(),
            }
        }
    };
    started.map_err(|error| Failure::Failed(format!("logs: {error}")))
}
