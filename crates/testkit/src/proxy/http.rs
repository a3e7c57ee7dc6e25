//! A proxy that breaks a connection where the test says.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::listen;

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMode {
    Pass,
    /// Forwards the request and the server's work; the answer goes nowhere.
    DropAnswers,
    /// Forwards this many bytes of a connection's requests, says so, and holds the rest back.
    HoldRequestAfter(usize),
}

#[derive(Debug)]
struct Shared {
    mode: Mutex<HttpMode>,
    dropped: AtomicU64,
}

impl Shared {
    fn mode(&self) -> HttpMode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
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
        let shared =
            Arc::new(Shared { mode: Mutex::new(HttpMode::Pass), dropped: AtomicU64::new(0) });
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
        *self.shared.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
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
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let count_now = match shared.mode() {
            HttpMode::Pass | HttpMode::DropAnswers => count,
            HttpMode::HoldRequestAfter(bytes) => count.min(bytes.saturating_sub(forwarded)),
        };
        if server.write_all(&buffer[..count_now]).is_err() {
            break;
        }
        forwarded += count_now;
        if count_now < count {
            // Held for good: both sides stay open, and nothing more comes. Whoever listened may be gone.
            holding.send(()).ok();
            return;
        }
    }
    // Either end may be gone already.
    server.shutdown(Shutdown::Write).unwrap_or_default();
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
