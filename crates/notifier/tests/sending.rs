//! One request: what is on the wire, what is refused, and what is made of the answer.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use domain::Timestamp;
use notifier::{Answer, Outgoing, Reach, Sender};
use wire::{AttemptOutcome, WebhookSecret};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn outgoing(url: String) -> Outgoing {
    Outgoing {
        url,
        id: "acct_42/7".to_owned(),
        body: r#"{"id":"acct_42/7"}"#.to_owned(),
        secrets: vec![WebhookSecret { secret: SECRET.to_owned(), until: None }],
        at: Timestamp::from_seconds(1_614_265_330),
    }
}

fn post(sender: &Sender, outgoing: &Outgoing) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sender.post(outgoing))
}

/// Reads one request and answers it with these bytes; `None` says nothing, and keeps the line open.
fn serve(answer: Option<&'static str>) -> (SocketAddr, Receiver<(String, Option<TcpStream>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            request.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        request.push_str(&String::from_utf8(body).unwrap());
        let kept = match answer {
            Some(answer) => {
                stream.write_all(answer.as_bytes()).unwrap();
                None
            }
            None => Some(stream),
        };
        sender.send((request, kept)).unwrap();
    });
    (address, seen)
}

fn answered(status: u16) -> AttemptOutcome {
    AttemptOutcome::Answered { status }
}

fn reaching(allow_private: bool) -> Sender {
    Sender::new(&Reach { allow_private, ..Reach::default() }).unwrap()
}

#[test]
fn a_request_is_signed_and_says_what_it_is() {
    let (address, seen) = serve(Some("HTTP/1.1 202 Accepted\r\ncontent-length: 3\r\n\r\nyes"));
    let sender = reaching(true);
    let answer = post(&sender, &outgoing(format!("http://{address}/alerts?x=1")));
    assert_eq!((answer.outcome, answer.excerpt.as_str()), (answered(202), "yes"));
    let (request, _) = seen.recv().unwrap();
    assert!(request.starts_with("POST /alerts?x=1 HTTP/1.1\r\n"), "{request}");
    let signature = notifier::sign([SECRET], "acct_42/7", 1_614_265_330, br#"{"id":"acct_42/7"}"#);
    for line in [
        format!("host: {address}"),
        "content-type: application/json".to_owned(),
        "webhook-id: acct_42/7".to_owned(),
        "webhook-timestamp: 1614265330".to_owned(),
        format!("webhook-signature: {signature}"),
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line}\n{request}");
    }
    assert!(request.ends_with("\r\n\r\n{\"id\":\"acct_42/7\"}"));
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let (other, reached) = serve(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let redirect =
        format!("HTTP/1.1 307 X\r\nlocation: http://{other}/\r\ncontent-length: 0\r\n\r\n");
    let (address, _seen) = serve(Some(redirect.leak()));
    let answer = post(&reaching(true), &outgoing(format!("http://{address}/")));
    assert_eq!(answer.outcome, answered(307));
    assert!(reached.try_recv().is_err());
}

#[test]
fn an_endpoint_may_ask_to_be_left_alone() {
    let (address, _seen) =
        serve(Some("HTTP/1.1 429 X\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n"));
    let answer = post(&reaching(true), &outgoing(format!("http://{address}/")));
    assert_eq!(
        (answer.outcome, answer.retry_after),
        (answered(429), Some(Duration::from_secs(120)))
    );
}

#[test]
fn one_that_hangs_is_given_up_and_one_that_dawdles_after_its_status_is_not() {
    let sender = reaching(true).with_timeout(Duration::from_millis(300));
    let (address, _kept) = serve(None);
    let answer = post(&sender, &outgoing(format!("http://{address}/")));
    assert_eq!(
        answer.outcome,
        AttemptOutcome::Unanswered { error: "no answer within 0.3 s".to_owned() }
    );
    // It announces more than it sends, and keeps the line open.
    let sender = reaching(true);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let kept = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1_024]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbeginning").unwrap();
        stream
    });
    let answer = post(&sender, &outgoing(format!("http://{address}/")));
    assert_eq!(answer.outcome, answered(200));
    drop(kept.join().unwrap());
}

#[test]
fn nothing_inside_is_reached_by_address_or_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender = reaching(false);
    for host in
        ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "127.1", "localhost."]
    {
        let answer = post(&sender, &outgoing(format!("http://{host}:{port}/")));
        assert!(
            matches!(&answer.outcome, AttemptOutcome::Unanswered { error } if error.contains("private")),
            "{host}: {answer:?}"
        );
    }
    assert!(listener.accept().is_err(), "something was reached");
}

#[test]
fn no_secret_no_request() {
    let (address, seen) = serve(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let mut unsigned = outgoing(format!("http://{address}/"));
    unsigned.secrets[0].until = Some(unsigned.at);
    let answer = post(&reaching(true), &unsigned);
    assert!(matches!(answer.outcome, AttemptOutcome::Unanswered { .. }), "{answer:?}");
    assert!(seen.try_recv().is_err());
}
