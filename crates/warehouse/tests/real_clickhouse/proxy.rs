//! A TCP proxy that breaks a connection where the test says.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Forwards the request and the server's work; the answer goes nowhere.
    DropAnswers,
    /// Forwards this many bytes of a connection's requests, says so, and holds the rest back.
    HoldRequestAfter(usize),
}

pub(crate) struct Proxy {
    address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    held: Receiver<()>,
}

impl Proxy {
    /// Between its own port and `server`.
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(Mutex::new(Mode::Pass));
        let (holding, held) = channel();
        let shared = Arc::clone(&mode);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                    join(client, server, &shared, &holding);
                }
            }
        });
        Self { address, mode, held }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// Waits until a request is being held back.
    pub(crate) fn wait_until_held(&self) {
        self.held.recv().unwrap();
    }
}

fn join(client: TcpStream, server: TcpStream, mode: &Arc<Mutex<Mode>>, holding: &Sender<()>) {
    let requests = (client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(mode));
    let holding = holding.clone();
    thread::spawn(move || {
        let (client, server, mode) = requests;
        forward_requests(client, server, &mode, &holding);
    });
    let mode = Arc::clone(mode);
    thread::spawn(move || forward_answers(server, client, &mode));
}

fn forward_requests(
    mut client: TcpStream,
    mut server: TcpStream,
    mode: &Mutex<Mode>,
    holding: &Sender<()>,
) {
    let mut buffer = [0; 16 * 1024];
    let mut forwarded = 0;
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let now = *mode.lock().unwrap();
        let count_now = match now {
            Mode::Pass | Mode::DropAnswers => count,
            Mode::HoldRequestAfter(bytes) => count.min(bytes.saturating_sub(forwarded)),
        };
        if server.write_all(&buffer[..count_now]).is_err() {
            break;
        }
        forwarded += count_now;
        if count_now < count {
            holding.send(()).unwrap();
            return;
        }
    }
    // Either end may be gone already.
    server.shutdown(Shutdown::Write).unwrap_or_default();
}

fn forward_answers(mut server: TcpStream, mut client: TcpStream, mode: &Mutex<Mode>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        if *mode.lock().unwrap() == Mode::DropAnswers || client.write_all(&buffer[..count]).is_err()
        {
            break;
        }
    }
    client.shutdown(Shutdown::Both).unwrap_or_default();
}
