//! The processor time of this process.

use std::time::Duration;

/// User and system time of all threads, dead ones included.
pub(crate) fn process_cpu() -> Duration {
    // SAFETY: an all-zero `rusage` is valid, and the call fills in ours.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}
