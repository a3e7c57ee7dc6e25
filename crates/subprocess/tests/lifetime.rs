//! What the crate promises about the end of a process.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use std::{fs, io};

use subprocess::{Launch, Subprocess, SubprocessError, wait_until};

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(script: &str, folder: &tempfile::TempDir) -> Subprocess {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    Subprocess::spawn(Launch { name: "shell", command, log: folder.path().join("log") }).unwrap()
}

/// Names the folder in which the helper below notes the pid of its server.
const HELPER_FOLDER: &str = "SUBPROCESS_TEST_HELPER_FOLDER";

fn alive(pid: u32) -> bool {
    // SAFETY: signal 0 only asks whether the process exists.
    unsafe { libc::kill(pid as libc::pid_t, 0) == 0 }
}

/// `T` when stopped, as in proc(5).
#[cfg(target_os = "linux")]
fn state(pid: u32) -> char {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    status.rsplit_once(')').unwrap().1.trim_start().chars().next().unwrap()
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = thread::scope(|scope| {
        scope.spawn(|| shell("echo up; exec sleep 60", &folder)).join().unwrap()
    });
    server
        .wait_ready(PATIENCE, || fs::read_to_string(folder.path().join("log")).unwrap() == "up\n")
        .unwrap();
    assert_eq!(server.ended().unwrap(), None);
}

#[test]
fn a_dropped_server_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = shell("exec sleep 60", &folder);
    let pid = server.pid();
    assert!(alive(pid));
    drop(server);
    assert!(!alive(pid));
}

#[cfg(target_os = "linux")]
#[test]
fn a_paused_server_can_be_resumed_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = shell("exec sleep 60", &folder);
    server.pause().unwrap();
    wait_until(PATIENCE, || state(server.pid()) == 'T').unwrap();
    server.resume().unwrap();
    wait_until(PATIENCE, || state(server.pid()) != 'T').unwrap();
    server.pause().unwrap();
    server.stop(PATIENCE).unwrap();
    assert!(server.ended().unwrap().is_some());
}

#[test]
fn a_server_that_ignores_the_request_to_end_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = shell("trap '' TERM; echo up; exec sleep 60", &folder);
    server
        .wait_ready(PATIENCE, || fs::read_to_string(folder.path().join("log")).unwrap() == "up\n")
        .unwrap();
    server.stop(Duration::from_millis(50)).unwrap();
    assert!(server.ended().unwrap().is_some());
}

#[test]
fn an_early_end_quotes_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = shell("echo the port is taken >&2; exit 3", &folder);
    let error = server.wait_ready(PATIENCE, || false).unwrap_err();
    assert!(matches!(error, SubprocessError::EndedEarly { .. }), "{error}");
    assert!(error.to_string().contains("the port is taken"), "{error}");
}

/// Not a test of its own: the parent that the next test kills. It does nothing unless it is told to.
#[test]
fn helper_parent() {
    let Some(folder) = std::env::var_os(HELPER_FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut command = Command::new("sleep");
    command.arg("60");
    let server =
        Subprocess::spawn(Launch { name: "sleep", command, log: folder.join("log") }).unwrap();
    fs::write(folder.join("pid.partial"), server.pid().to_string()).unwrap();
    fs::rename(folder.join("pid.partial"), folder.join("pid")).unwrap();
    io::stdin().read_line(&mut String::new()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_dies_with_a_parent_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_parent", "--nocapture"])
        .env(HELPER_FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let noted = folder.path().join("pid");
    wait_until(PATIENCE, || noted.exists()).unwrap();
    let pid: u32 = fs::read_to_string(&noted).unwrap().parse().unwrap();
    assert!(alive(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    // An orphan is reaped by whatever stands in for init, in its own time: a zombie counts as dead.
    wait_until(PATIENCE, || !alive(pid) || state(pid) == 'Z').unwrap();
}
