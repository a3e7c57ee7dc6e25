//! The broker that a process's tests share.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{Kafka, KafkaOptions, TestkitError};

static BROKER: OnceLock<Kafka> = OnceLock::new();
/// Only one starts; a start that failed is tried again by the next that asks.
static STARTING: Mutex<()> = Mutex::new(());

/// What is left to do when the process exits: a static is never dropped.
#[derive(Debug)]
struct Leftovers {
    pid: u32,
    folder: PathBuf,
}

static LEFTOVERS: OnceLock<Leftovers> = OnceLock::new();

pub(crate) fn broker() -> Result<&'static Kafka, TestkitError> {
    let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(broker) = BROKER.get() {
        return Ok(broker);
    }
    let broker = Kafka::start(KafkaOptions::default())?;
    LEFTOVERS.get_or_init(|| Leftovers { pid: broker.pid(), folder: broker.folder().to_owned() });
    // SAFETY: the function registered takes nothing, returns nothing and does not unwind.
    unsafe { libc::atexit(clean_up) };
    let broker = BROKER.get_or_init(|| broker);
    drop(starting);
    Ok(broker)
}

/// The kernel would end the broker in any case; its folder would stay.
extern "C" fn clean_up() {
    if let Some(Leftovers { pid, folder }) = LEFTOVERS.get() {
        // SAFETY: the broker is a child that nobody can have waited for: `&'static Kafka` has no such method.
        unsafe {
            libc::kill(*pid as libc::pid_t, libc::SIGKILL);
            libc::waitpid(*pid as libc::pid_t, std::ptr::null_mut(), 0);
        }
        drop(fs::remove_dir_all(folder));
    }
}
