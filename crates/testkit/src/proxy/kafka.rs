//! A proxy that knows where Kafka's requests begin, and can delay, drop or leave unanswered those of one kind.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::listen;

/// Larger than any request or answer of a client of ours.
const FRAME_BYTES_MAX: usize = 128 << 20;

/// The requests that exactly-once rests on, by their numbers in Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KafkaRequest {
    OffsetCommit,
    AddPartitionsToTransaction,
    AddOffsetsToTransaction,
    EndTransaction,
    TransactionOffsetCommit,
}

impl KafkaRequest {
    pub const ALL: [Self; 5] = [
        Self::OffsetCommit,
        Self::AddPartitionsToTransaction,
        Self::AddOffsetsToTransaction,
        Self::EndTransaction,
        Self::TransactionOffsetCommit,
    ];

    const fn api_key(self) -> i16 {
        match self {
            Self::OffsetCommit => 8,
            Self::AddPartitionsToTransaction => 24,
            Self::AddOffsetsToTransaction => 25,
            Self::EndTransaction => 26,
            Self::TransactionOffsetCommit => 28,
        }
    }
}

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaDeed {
    /// It arrives this much later, and everything behind it on its connection.
    Delay(Duration),
    /// It never arrives; the connection ends.
    DropRequest,
    /// It arrives and is done; the connection ends before its answer.
    DropAnswer,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    request: KafkaRequest,
    deed: KafkaDeed,
    left: u32,
}

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<Option<Plan>>,
    done: AtomicU64,
}

impl Shared {
    /// What is to be done to a request of this kind, counting it.
    fn deed(&self, api_key: i16) -> Option<KafkaDeed> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let found = plan.as_mut().filter(|plan| plan.request.api_key() == api_key && plan.left > 0);
        let found = found.map(|plan| {
            plan.left -= 1;
            plan.deed
        });
        if found.is_some() {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        found
    }
}

/// Between a port of its own, which the broker advertises, and the broker's.
#[derive(Debug)]
pub struct KafkaProxy {
    port: u16,
    shared: Arc<Shared>,
}

impl KafkaProxy {
    /// Listens on `port` until the process ends.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn before(port: u16, server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let shared = Arc::new(Shared::default());
        let for_connections = Arc::clone(&shared);
        listen(listener, server, "kafka", move |client, server| {
            join(client, server, &for_connections)
        })?;
        Ok(Self { port, shared })
    }

    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Does this to the next `count` requests of a kind; what was planned before is forgotten.
    pub fn next(&self, request: KafkaRequest, deed: KafkaDeed, count: u32) {
        let plan = Some(Plan { request, deed, left: count });
        *self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// Lets everything pass from now on.
    pub fn calm(&self) {
        *self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Requests that something was done to.
    pub fn done(&self) -> u64 {
        self.shared.done.load(Ordering::Relaxed)
    }
}

fn join(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let unanswered: Arc<Mutex<BTreeSet<i32>>> = Arc::default();
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let (for_requests, noted) = (Arc::clone(shared), Arc::clone(&unanswered));
    thread::spawn(move || {
        requests(&from_client, &to_server, &for_requests, &noted);
        end(&from_client, &to_server);
    });
    thread::spawn(move || {
        answers(&server, &client, &unanswered);
        end(&client, &server);
    });
    Ok(())
}

fn end(one: &TcpStream, other: &TcpStream) {
    // Either may be gone already.
    one.shutdown(Shutdown::Both).unwrap_or_default();
    other.shutdown(Shutdown::Both).unwrap_or_default();
}

/// A request begins with its kind, version and correlation id; its answer with the correlation id.
fn requests(
    mut client: &TcpStream,
    mut server: &TcpStream,
    shared: &Shared,
    unanswered: &Mutex<BTreeSet<i32>>,
) {
    let mut frame = Vec::new();
    while read_frame(&mut client, &mut frame).is_ok() {
        let (Some(api_key), Some(correlation)) = (number(&frame, 4), number(&frame, 8)) else {
            return;
        };
        match shared.deed(i16::from_be_bytes(api_key)) {
            Some(KafkaDeed::Delay(delay)) => thread::sleep(delay),
            Some(KafkaDeed::DropRequest) => return,
            Some(KafkaDeed::DropAnswer) => {
                let mut unanswered = unanswered.lock().unwrap_or_else(PoisonError::into_inner);
                unanswered.insert(i32::from_be_bytes(correlation));
            }
            None => {}
        }
        if server.write_all(&frame).is_err() {
            return;
        }
    }
}

fn answers(mut server: &TcpStream, mut client: &TcpStream, unanswered: &Mutex<BTreeSet<i32>>) {
    let mut frame = Vec::new();
    while read_frame(&mut server, &mut frame).is_ok() {
        let Some(correlation) = number(&frame, 4) else { return };
        let correlation = i32::from_be_bytes(correlation);
        let dropped =
            unanswered.lock().unwrap_or_else(PoisonError::into_inner).remove(&correlation);
        if dropped || client.write_all(&frame).is_err() {
            return;
        }
    }
}

/// Reads a whole frame, with the four bytes of its size.
fn read_frame(from: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<()> {
    let mut size = [0; 4];
    from.read_exact(&mut size)?;
    let count = u32::from_be_bytes(size) as usize;
    if count > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a frame of Kafka's"));
    }
    frame.clear();
    frame.extend(size);
    frame.resize(4 + count, 0);
    from.read_exact(&mut frame[4..])
}

fn number<const BYTES: usize>(frame: &[u8], at: usize) -> Option<[u8; BYTES]> {
    frame.get(at..at + BYTES)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each frame with its correlation id alone.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut frame = Vec::new();
                    while read_frame(&mut stream, &mut frame).is_ok() {
                        let answer = [&4_u32.to_be_bytes()[..], &frame[8..12]].concat();
                        stream.write_all(&answer).unwrap();
                    }
                });
            }
        });
        port
    }

    fn ask(stream: &mut TcpStream, api_key: i16, correlation: i32) -> io::Result<i32> {
        let mut frame = 8_u32.to_be_bytes().to_vec();
        frame.extend(api_key.to_be_bytes());
        frame.extend(0_i16.to_be_bytes());
        frame.extend(correlation.to_be_bytes());
        stream.write_all(&frame)?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer)?;
        Ok(i32::from_be_bytes(answer[4..].try_into().unwrap()))
    }

    #[test]
    fn only_requests_of_the_kind_are_touched_and_only_so_many() {
        let port = subprocess::free_port().unwrap();
        let proxy = KafkaProxy::before(port, echo()).unwrap();
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        proxy.next(KafkaRequest::EndTransaction, KafkaDeed::DropAnswer, 1);
        let mut stream = connect();
        assert_eq!(ask(&mut stream, 3, 7).unwrap(), 7);
        assert!(ask(&mut stream, 26, 8).is_err());
        let mut stream = connect();
        assert_eq!(ask(&mut stream, 26, 9).unwrap(), 9);
        assert_eq!(proxy.done(), 1);
        proxy.next(KafkaRequest::EndTransaction, KafkaDeed::DropRequest, 1);
        assert!(ask(&mut stream, 26, 10).is_err());
        proxy.next(KafkaRequest::OffsetCommit, KafkaDeed::DropRequest, 1);
        proxy.calm();
        assert_eq!(ask(&mut connect(), 8, 11).unwrap(), 11);
    }
}
