//! libchdb as the server of the process that calls us.

use std::ffi::{CStr, CString, NulError, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};

use crate::settings::{configuration_of, data_of};

/// Starts the listeners and then takes 136 years to return: the engine has no call of its own that only serves.
const SERVE_QUERY: &str = "SYSTEM START LISTEN HTTP; \
     SYSTEM START LISTEN TCP; \
     SELECT sleepEachRow(1) FROM numbers(4294967295) \
     SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 100000000000 \
     FORMAT Null";

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{path} could not be loaded: {source}")]
    NotLoaded { path: PathBuf, source: libloading::Error },
    #[error("a path contains a zero byte: {0}")]
    BadPath(#[from] NulError),
    #[error("ClickHouse ended: {0}")]
    Ended(String),
}

/// chdb.h: `chdb_result * chdb_query_cmdline(int argc, char ** argv)`.
type QueryCommandLine = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;
/// chdb.h: `const char * chdb_result_error(chdb_result * result)`, null when there is none.
type ResultError = unsafe extern "C" fn(*mut c_void) -> *const c_char;

/// Makes this process a ClickHouse server over `directory`, which a [`Server`](crate::Server) has prepared. Returns only
/// when the server ends, and then with the reason.
///
/// The library installs signal handlers, starts threads, and is never unloaded: call this last.
pub fn serve(library: &Path, directory: &Path) -> Result<(), ServeError> {
    #[cfg(not(target_os = "linux"))]
    end_with_parent();
    let not_loaded = |source| ServeError::NotLoaded { path: library.to_owned(), source };
    // The library resolves symbols of its own through the global scope.
    // SAFETY: loading runs the library's initialisers; they are what we load it for.
    let loaded =
        unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) }.map_err(not_loaded)?;
    // SAFETY: both types are as in chdb.h.
    let query: Symbol<QueryCommandLine> =
        unsafe { loaded.get(b"chdb_query_cmdline\0") }.map_err(not_loaded)?;
    // SAFETY: as above.
    let error_of: Symbol<ResultError> =
        unsafe { loaded.get(b"chdb_result_error\0") }.map_err(not_loaded)?;

    let mut arguments = [
        CString::new("clickhouse")?,
        option("--config-file=", &configuration_of(directory))?,
        option("--path=", &data_of(directory))?,
        CString::new(format!("--query={SERVE_QUERY}"))?,
    ]
    .map(CString::into_raw);
    let count = arguments.len() as c_int;
    // SAFETY: `arguments` holds `count` strings that end in zero, live until the process ends (they are leaked), and may be
    // written to, as argv may.
    let result = unsafe { query(count, arguments.as_mut_ptr()) };
    if result.is_null() {
        return Err(ServeError::Ended("without a result".to_owned()));
    }
    // SAFETY: `result` is what the call above returned, not null and not destroyed.
    let message = unsafe { error_of(result) };
    // SAFETY: an error that is not null is a string that lives as long as the result.
    let message =
        (!message.is_null()).then(|| unsafe { CStr::from_ptr(message) }.to_string_lossy());
    // Its threads still run its code.
    std::mem::forget(loaded);
    Err(ServeError::Ended(
        message.map_or_else(|| "its query returned".to_owned(), |text| text.into_owned()),
    ))
}

fn option(name: &str, path: &Path) -> Result<CString, NulError> {
    CString::new([name.as_bytes(), path.as_os_str().as_bytes()].concat())
}

/// Linux's kernel ends us with our parent; elsewhere we look whether we have been given another one.
#[cfg(not(target_os = "linux"))]
fn end_with_parent() {
    use std::os::unix::process::parent_id;
    let parent = parent_id();
    std::thread::spawn(move || {
        while parent_id() == parent {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        std::process::exit(0);
    });
}
