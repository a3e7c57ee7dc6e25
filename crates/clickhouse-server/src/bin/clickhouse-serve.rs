//! `clickhouse-serve --library LIBCHDB --directory DIRECTORY`: a process that is a ClickHouse server and nothing else.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some((library, directory)) = arguments(std::env::args_os().skip(1)) else {
        eprintln!("usage: clickhouse-serve --library LIBCHDB --directory DIRECTORY");
        return ExitCode::from(2);
    };
    match clickhouse_server::serve(&library, &directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clickhouse-serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut given: impl Iterator<Item = OsString>) -> Option<(PathBuf, PathBuf)> {
    let mut library = None;
    let mut directory = None;
    while let Some(name) = given.next() {
        let slot = match name.to_str()? {
            "--library" => &mut library,
            "--directory" => &mut directory,
            _ => return None,
        };
        *slot = Some(PathBuf::from(given.next()?));
    }
    Some((library?, directory?))
}
