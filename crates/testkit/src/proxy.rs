//! TCP proxies that break what passes through them: one that knows where Kafka's requests begin, one for HTTP.

mod http;
mod kafka;

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

pub use http::{HttpMode, HttpProxy};
pub use kafka::{KafkaDeed, KafkaProxy, KafkaRequest};

/// Takes connections until the process ends, and hands each on with one to the server.
fn listen(
    listener: TcpListener,
    server: u16,
    name: &str,
    join: impl Fn(TcpStream, TcpStream) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new().name(format!("{name}-proxy")).spawn(move || {
        for client in listener.incoming().flatten() {
            // A server that is away refuses the client, too: its connection is dropped.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
            // Nothing is lost by a connection that could not be served.
            drop(join(client, server));
        }
    })?;
    Ok(())
}
