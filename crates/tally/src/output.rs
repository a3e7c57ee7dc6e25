//! What a command prints: a JSON value with `--json`, text for people without.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// The answer: the value itself, or what `people` makes of it.
    pub(crate) fn answer(&self, value: &Value, people: impl FnOnce() -> String) {
        match self.json {
            true => print(&format!("{value}\n")),
            false => print(&people()),
        }
    }

    /// A line about what is going on, for people alone; not part of the answer.
    pub(crate) fn note(&self, line: &str) {
        if !self.json {
            note(line);
        }
    }

    /// A bar on a terminal, nothing elsewhere.
    pub(crate) fn bar(&self, total: u64, what: &'static str) -> ProgressBar {
        let target = match !self.json && io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let form = "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta}";
        // Ours is a valid template; the plain bar is what there is otherwise.
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// Text to standard output. A reader that has gone away (`tally … | head`) ends the command quietly.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// A line to standard error; there is nowhere to say that it could not be written.
pub(crate) fn note(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}
