//! A stand-in for the API: it notes what comes and answers what it was told to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// One answer: status, whether it was given before, body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: Value,
}

pub(crate) fn answer(status: u16, body: Value) -> Answer {
    Answer { status, replayed: false, body }
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Came {
    /// Method and target: `POST /v1/holds`.
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Came {
    pub(crate) fn key(&self) -> &str {
        self.headers.get("idempotency-key").map_or("", String::as_str)
    }
}

/// What a command printed, how it ended, and what it asked.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) came: Vec<Came>,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// Runs `tally` against answers that are given in this order, one per request.
pub(crate) fn tally(arguments: &[&str], answers: &[Answer]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    tally_in(home.path(), arguments, answers)
}

/// The same in a folder that has what the command reads.
pub(crate) fn tally_in(home: &Path, arguments: &[&str], answers: &[Answer]) -> Ran {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = serve(listener, answers.to_vec());
    // Nothing of this machine reaches it: no settings, no key, no running tally.
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(arguments)
        .arg("--url")
        .arg(format!("http://{address}"))
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap();
    // What is still waited for was not asked.
    drop(TcpStream::connect(address).map(|mut end| end.write_all(b"END\r\n\r\n")));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        code: status.code().unwrap(),
        out: text(stdout),
        err: text(stderr),
        came: serving.join().unwrap(),
    }
}

fn serve(listener: TcpListener, answers: Vec<Answer>) -> JoinHandle<Vec<Came>> {
    std::thread::spawn(move || {
        let mut came = Vec::new();
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read(&stream) else { break };
            came.push(request);
            let nothing = || answer(500, json!({"type": "unexpected", "detail": "not asked for"}));
            write(&mut stream, &answers.next().unwrap_or_else(nothing));
        }
        came
    })
}

/// The request on a connection; `None` for the end of the test.
fn read(stream: &TcpStream) -> Option<Came> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let line = lines.first().filter(|line| line.contains(' '))?;
    let headers: BTreeMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Came { line: line.trim_end_matches(" HTTP/1.1").to_owned(), headers, body })
}

fn write(stream: &mut TcpStream, answer: &Answer) {
    let body = answer.body.to_string();
    let replayed = if answer.replayed { "idempotent-replayed: true\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {} Answer\r\ncontent-type: application/json\r\n{replayed}content-length: {}\r\n\
         connection: close\r\n\r\n",
        answer.status,
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).unwrap();
}
