//! One request of Kafka's protocol, spoken by hand: is the broker part of its cluster?

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(1);
const METADATA: i16 = 3;
/// The first version with a list of topics that may be empty, and in the classic encoding.
const METADATA_VERSION: i16 = 1;
const CORRELATION_ID: i32 = 7;
/// An empty cluster's answer takes some tens of bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// An open port is not enough: until the controller lets the broker in, its metadata names no broker, and no topic could
/// be created.
pub(crate) fn lists_a_broker(port: u16) -> io::Result<bool> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&request())?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = u32::from_be_bytes(size) as usize;
    if size > ANSWER_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not an answer of Kafka's"));
    }
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    Ok(brokers_in(&answer).is_some_and(|brokers| brokers > 0))
}

/// Size; then api key, version, correlation id, no client id (-1); then no topics.
fn request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(METADATA_VERSION.to_be_bytes());
    body.extend(CORRELATION_ID.to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    [(body.len() as u32).to_be_bytes().as_slice(), &body].concat()
}

/// The answer begins with the correlation id and the number of brokers.
fn brokers_in(answer: &[u8]) -> Option<i32> {
    let number =
        |range: std::ops::Range<usize>| answer.get(range)?.try_into().ok().map(i32::from_be_bytes);
    (number(0..4)? == CORRELATION_ID).then(|| number(4..8))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_brokers_or_to_another_question_is_told_apart() {
        assert_eq!(brokers_in(&[0, 0, 0, 7, 0, 0, 0, 1, 9]), Some(1));
        assert_eq!(brokers_in(&[0, 0, 0, 7, 0, 0, 0, 0]), Some(0));
        assert_eq!(brokers_in(&[0, 0, 0, 8, 0, 0, 0, 1]), None);
        assert_eq!(brokers_in(&[0, 0]), None);
    }

    #[test]
    fn the_request_says_its_own_size() {
        let request = request();
        assert_eq!(request[..4], ((request.len() - 4) as u32).to_be_bytes());
    }
}
