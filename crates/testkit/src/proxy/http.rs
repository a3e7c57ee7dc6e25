//! A proxy that breaks a connection where the test says.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::listen;

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMode {
    Pass,
    /// Forwards the request and the server's work; the answer goes nowhere.
    DropAnswers,
    /// Forwards this many bytes of a connection's requests, says so, and holds the rest back; the next mode cuts it.
    HoldRequestAfter(usize),
    /// The same, from the first insert into this table on.
    HoldInsertAfter {
        table: &'static str,
        bytes: usize,
    },
}

#[derive(Debug)]
struct Shared {
    mode: Mutex<HttpMode>,
    changed: Condvar,
    dropped: AtomicU64,
}

impl Shared {
    fn mode(&self) -> HttpMode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until_other_than(&self, mode: HttpMode) {
        let now = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(now, |now| *now == mode));
    }
}

/// Between its own port and a server's, until the process ends.
#[derive(Debug)]
pub struct HttpProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    held: Receiver<()>,
}

impl HttpProxy {
    /// # Errors
    /// When it cannot listen.
    pub fn before(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            mode: Mutex::new(HttpMode::Pass),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let (holding, held) = channel();
        let for_connections = Arc::clone(&shared);
        listen(listener, server, "http", move |client, server| {
            join(client, server, &for_connections, &holding)
        })?;
        Ok(Self { address, shared, held })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mode: HttpMode) {
        // What was held before is not what this mode will hold.
        while self.held.try_recv().is_ok() {}
        *self.shared.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        self.shared.changed.notify_all();
    }

    /// Answers that went nowhere so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until a request is being held back; says whether one is.
    pub fn wait_until_held(&self, patience: Duration) -> bool {
        self.held.recv_timeout(patience).is_ok()
    }
}

fn join(
    client: TcpStream,
    server: TcpStream,
    shared: &Arc<Shared>,
    holding: &Sender<()>,
) -> io::Result<()> {
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let (for_requests, holding) = (Arc::clone(shared), holding.clone());
    thread::spawn(move || forward_requests(from_client, to_server, &for_requests, &holding));
    let for_answers = Arc::clone(shared);
    thread::spawn(move || forward_answers(server, client, &for_answers));
    Ok(())
}

fn forward_requests(
    mut client: TcpStream,
    mut server: TcpStream,
    shared: &Shared,
    holding: &Sender<()>,
) {
    let mut buffer = [0; 16 * 1024];
    let mut forwarded = 0;
    // Where, in what was forwarded, the insert began that is to be held.
    let mut insert = None;
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let mode = shared.mode();
        let count_now = match mode {
            HttpMode::Pass | HttpMode::DropAnswers => count,
            HttpMode::HoldRequestAfter(bytes) => count.min(bytes.saturating_sub(forwarded)),
            HttpMode::HoldInsertAfter { table, bytes } => {
                if insert.is_none() && is_insert(&buffer[..count], table) {
                    insert = Some(forwarded);
                }
                insert.map_or(count, |from| count.min((from + bytes).saturating_sub(forwarded)))
            }
        };
        if server.write_all(&buffer[..count_now]).is_err() {
            break;
        }
        forwarded += count_now;
        if count_now < count {
            // Both sides stay open, and nothing more comes. Whoever listened may be gone.
            holding.send(()).ok();
            shared.wait_until_other_than(mode);
            client.shutdown(Shutdown::Both).unwrap_or_default();
            break;
        }
    }
    // Either end may be gone already.
    server.shutdown(Shutdown::Write).unwrap_or_default();
}

/// A request stands at the beginning of what is read, with its statement in its first line.
fn is_insert(read: &[u8], table: &str) -> bool {
    let line = read.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    line.starts_with("POST ") && line.contains("INSERT") && line.contains(table)
}

fn forward_answers(mut server: TcpStream, mut client: TcpStream, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        if shared.mode() == HttpMode::DropAnswers {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            break;
        }
        if client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    client.shutdown(Shutdown::Both).unwrap_or_default();
}
