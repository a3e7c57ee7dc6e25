//! librdkafka's own log, into `tracing`: never to standard error, and never more than a few lines
//! at a time, because a broker that is away makes every thread complain at every attempt.

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka_sys::bindings::{rd_kafka_name, rd_kafka_t};

const WINDOW: Duration = Duration::from_secs(10);
const LINES_PER_WINDOW_MAX: u32 = 10;
/// syslog's: from here down, something is wrong.
const WARNING: c_int = 4;

struct Window {
    opened: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

static WINDOW_STATE: Mutex<Window> = Mutex::new(Window { opened: None, lines: 0, suppressed: 0 });

impl Window {
    /// Whether a line may be written now, and how many were held back before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let expired = self.opened.is_none_or(|opened| now.duration_since(opened) >= WINDOW);
        if expired {
            self.opened = Some(now);
            self.lines = 0;
        }
        if self.lines < LINES_PER_WINDOW_MAX {
            self.lines += 1;
            Some(std::mem::take(&mut self.suppressed))
        } else {
            self.suppressed += 1;
            None
        }
    }
}

/// What a client said last about a broker that it could not reach, and when. A call that then gives up
/// knows no more than that it had no answer.
static COMPLAINT: Mutex<Option<(Instant, String)>> = Mutex::new(None);
const COMPLAINT_HOLDS: Duration = Duration::from_secs(30);
/// The facilities of such lines; a line that only counts brokers is of the second.
const FACILITIES: [&str; 2] = ["FAIL", "ERROR"];
const COUNTS_BROKERS: &str = "brokers are down";

fn remember(facility: &str, line: &str) {
    if FACILITIES.contains(&facility) && !line.contains(COUNTS_BROKERS) {
        // Without the library's thread.
        let said = line.split_once("]: ").map_or(line, |(_, said)| said);
        let complaint = Some((Instant::now(), said.to_owned()));
        *COMPLAINT.lock().unwrap_or_else(PoisonError::into_inner) = complaint;
    }
}

/// Why a broker could not be reached, when that was said within the last half minute.
pub(super) fn last_complaint() -> Option<String> {
    let complaint = COMPLAINT.lock().unwrap_or_else(PoisonError::into_inner);
    let (at, said) = complaint.as_ref()?;
    (at.elapsed() < COMPLAINT_HOLDS).then(|| said.clone())
}

/// Writes one line of the client library; warnings are rate-limited over the whole process.
pub(crate) fn write_log_line(level: i32, client: &str, facility: &str, line: &str) {
    if level > WARNING {
        tracing::debug!(client, facility, "kafka client: {line}");
        return;
    }
    remember(facility, line);
    let admitted =
        WINDOW_STATE.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
    if let Some(suppressed) = admitted {
        tracing::warn!(client, facility, suppressed, "kafka client: {line}");
    }
}

/// Called by librdkafka from any of its threads.
///
/// # Safety
/// librdkafka passes a live client and two strings that live for the call.
pub(super) unsafe extern "C" fn on_log(
    client: *const rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: see above; a client's name lives as long as the client, and null is checked for.
    unsafe {
        let name = if client.is_null() { c"" } else { CStr::from_ptr(rd_kafka_name(client)) };
        write_log_line(
            level,
            &name.to_string_lossy(),
            &CStr::from_ptr(facility).to_string_lossy(),
            &CStr::from_ptr(line).to_string_lossy(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_few_lines_and_a_count() {
        let mut window = Window { opened: None, lines: 0, suppressed: 0 };
        let start = Instant::now();
        let written = (0..1_000).filter(|_| window.admit(start).is_some()).count();
        assert_eq!(written, LINES_PER_WINDOW_MAX as usize);
        assert_eq!(window.admit(start + WINDOW), Some(1_000 - u64::from(LINES_PER_WINDOW_MAX)));
    }
}
