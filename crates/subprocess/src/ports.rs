//! Loopback ports for servers that may be stopped and started again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The first port that we hand out: above the well-known servers' own (Kafka 9092, ClickHouse 8123 and 9000).
const PORT_MIN: u16 = 20_000;
/// Linux's default lower bound of the ephemeral range.
const EPHEMERAL_MIN_DEFAULT: u16 = 32_768;

/// Claims are held, by a locked file each, until this process ends.
static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A loopback port that nothing listens on and that no other process using this function is given while this one lives.
///
/// The port lies below the ephemeral range. From within that range, a port whose server is down for a moment can be taken
/// by any outgoing connection, and a client that keeps on trying to reconnect can even meet itself and hold the port
/// (TCP's simultaneous open): a restart then fails for reasons that are not the server's.
pub fn free_port() -> io::Result<u16> {
    let range = port_range();
    let width = u32::from(range.end.saturating_sub(range.start));
    if width == 0 {
        return ephemeral_port();
    }
    // Processes that start together begin at different places.
    let offset = std::process::id().wrapping_mul(97) % width;
    for step in 0..width {
        let candidate = range.start + ((offset + step) % width) as u16;
        if claim(candidate)? {
            return Ok(candidate);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no free loopback port"))
}

fn claim(port: u16) -> io::Result<bool> {
    let folder = claims_folder();
    fs::create_dir_all(&folder)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(port.to_string()))?;
    if file.try_lock().is_err() || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
        return Ok(false);
    }
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    Ok(true)
}

/// Per user: another user's lock files could not be opened for writing.
fn claims_folder() -> PathBuf {
    // SAFETY: getuid has no preconditions and cannot fail.
    let user = unsafe { libc::getuid() };
    std::env::temp_dir().join(format!("tally-ports-{user}"))
}

fn port_range() -> Range<u16> {
    let ephemeral_min = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(EPHEMERAL_MIN_DEFAULT);
    PORT_MIN..ephemeral_min.min(EPHEMERAL_MIN_DEFAULT)
}

/// Where the machine's ephemeral range leaves us no room of our own.
fn ephemeral_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ports_are_handed_out_once() {
        let ports: BTreeSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }

    #[test]
    fn a_port_in_use_is_not_claimed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!claim(listener.local_addr().unwrap().port()).unwrap());
    }
}
