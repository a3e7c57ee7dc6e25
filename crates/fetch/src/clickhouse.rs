//! ClickHouse: the machine's own binary, or libchdb, the same engine as a shared library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{cache_folder, installed, sha512};
use crate::tools::{find_on_path, require, run};
use crate::{FetchError, Progress};

/// Names a libchdb to use instead of looking for one.
pub const CLICKHOUSE_LIBRARY_VARIABLE: &str = "TALLY_CLICKHOUSE_LIBRARY";

/// The version that the library's listeners were tried with. 26.5's cannot listen: it refuses `SYSTEM START LISTEN`.
const LIBRARY_VERSION: &str = "26.7.3-stable.1";

/// An older binary than this is passed over: Debian's own package is from 2018.
const BINARY_VERSION_MIN: (u32, u32) = (25, 3);

/// The npm package for one platform.
#[derive(Debug)]
struct LibraryPackage {
    platform: &'static str,
    library: &'static str,
    /// Of the package's archive. Where we have not seen the package ourselves there is none, and npm's own check of the
    /// archive against the registry's record is all there is.
    sha512: Option<&'static str>,
}

const LIBRARY_PACKAGES: [LibraryPackage; 4] = [
    LibraryPackage {
        platform: "linux-x64-gnu",
        library: "libchdb.so",
        sha512: Some(PINNED_LINUX_X64),
    },
    LibraryPackage { platform: "linux-arm64-gnu", library: "libchdb.so", sha512: None },
    LibraryPackage { platform: "darwin-arm64", library: "libchdb.so", sha512: None },
    LibraryPackage { platform: "darwin-x64", library: "libchdb.so", sha512: None },
];

const PINNED_LINUX_X64: &str = "5cff7b98caa7739b59a4a432c11f0dedc2d3b073624e61ebdf4a42e66ce8de35\
    a6ba48ca9f62016bad1cd81fe059435cb858ce3235a8a2b408082a81563e70a7";

/// A ClickHouse that can be started here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The `clickhouse` program.
    Binary(PathBuf),
    /// libchdb, to be loaded into a process of its own.
    Library(PathBuf),
}

/// What to run: the library that `TALLY_CLICKHOUSE_LIBRARY` names, else a recent `clickhouse` on the PATH, else libchdb
/// from the cache, installed when it is not there yet.
pub fn clickhouse(progress: Progress<'_>) -> Result<Engine, FetchError> {
    let named = std::env::var_os(CLICKHOUSE_LIBRARY_VARIABLE).filter(|value| !value.is_empty());
    if let Some(path) = named.map(PathBuf::from) {
        return match path.is_file() {
            true => Ok(Engine::Library(path)),
            false => Err(FetchError::NotAFile { variable: CLICKHOUSE_LIBRARY_VARIABLE, path }),
        };
    }
    if let Some(binary) = find_on_path("clickhouse") {
        match binary_version(&binary) {
            Some(version) if version >= BINARY_VERSION_MIN => return Ok(Engine::Binary(binary)),
            Some((major, minor)) => {
                progress(&format!("passing over {}: {major}.{minor} is too old", binary.display()));
            }
            None => progress(&format!("passing over {}: no version", binary.display())),
        }
    }
    clickhouse_library(progress).map(Engine::Library)
}

/// libchdb in the user's cache, installed when it is not there yet (166 MB to download, 570 MB on disk).
pub fn clickhouse_library(progress: Progress<'_>) -> Result<PathBuf, FetchError> {
    let package = library_package(std::env::consts::OS, std::env::consts::ARCH)?;
    let name = format!("chdb-{LIBRARY_VERSION}-{}", package.platform);
    let folder =
        installed(&cache_folder()?, &name, |partial| install_library(package, partial, progress))?;
    Ok(folder.join(package.library))
}

fn library_package(os: &str, arch: &str) -> Result<&'static LibraryPackage, FetchError> {
    let platform = match (os, arch) {
        ("linux", "x86_64") if cfg!(not(target_env = "musl")) => "linux-x64-gnu",
        ("linux", "aarch64") if cfg!(not(target_env = "musl")) => "linux-arm64-gnu",
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", "x86_64") => "darwin-x64",
        _ => return Err(FetchError::UnsupportedPlatform(format!("{os} {arch}"))),
    };
    LIBRARY_PACKAGES
        .iter()
        .find(|package| package.platform == platform)
        .ok_or_else(|| FetchError::UnsupportedPlatform(platform.to_owned()))
}

/// Packs rather than installs: `npm install` would refuse nothing that we pinned, and leaves a tree that nobody needs.
fn install_library(
    package: &LibraryPackage,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<(), FetchError> {
    let npm = require(
        "npm",
        "install Node.js with npm (Debian: apt-get install npm; macOS: brew install node)",
    )?;
    let tar = require("tar", "install tar (Debian: apt-get install tar)")?;
    let specification = format!("@chdb/lib-{}@{LIBRARY_VERSION}", package.platform);
    progress(&format!("downloading ClickHouse ({specification}, 166 MB), once"));
    run(Command::new(npm)
        .args(["pack", "--silent", "--pack-destination", ".", &specification])
        .current_dir(folder))?;
    let archive = only_archive(folder, &specification)?;
    if let Some(pinned) = package.sha512 {
        let found = sha512(&archive)?;
        if found != pinned {
            return Err(FetchError::WrongContent {
                what: specification,
                found,
                pinned: pinned.to_owned(),
            });
        }
    }
    progress("unpacking ClickHouse (570 MB)");
    run(Command::new(tar)
        .args(["-x", "-z", "--strip-components=1", "-f"])
        .arg(&archive)
        .arg(format!("package/{}", package.library))
        .current_dir(folder))?;
    fs::remove_file(&archive).map_err(FetchError::io(&archive))?;
    match folder.join(package.library).is_file() {
        true => Ok(()),
        false => {
            Err(FetchError::Incomplete { what: specification, missing: package.library.to_owned() })
        }
    }
}

fn only_archive(folder: &Path, specification: &str) -> Result<PathBuf, FetchError> {
    for entry in fs::read_dir(folder).map_err(FetchError::io(folder))? {
        let path = entry.map_err(FetchError::io(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "tgz") {
            return Ok(path);
        }
    }
    Err(FetchError::Incomplete {
        what: specification.to_owned(),
        missing: "its archive".to_owned(),
    })
}

/// Year and month, as in "ClickHouse local version 26.7.2.1 (official build)."
fn binary_version(binary: &Path) -> Option<(u32, u32)> {
    let output = Command::new(binary).args(["local", "--version"]).output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("version ")?;
    let mut parts = rest.split('.');
    Some((parts.next()?.trim().parse().ok()?, parts.next()?.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_that_we_name_has_a_package() {
        for (os, arch) in
            [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "aarch64"), ("macos", "x86_64")]
        {
            library_package(os, arch).unwrap();
        }
        assert!(library_package("windows", "x86_64").is_err());
    }

    #[test]
    fn a_version_is_read_from_what_clickhouse_prints() {
        assert_eq!(
            parse_version("ClickHouse local version 26.7.2.1 (official build)."),
            Some((26, 7))
        );
        assert_eq!(parse_version("ClickHouse client version 18.16.1."), Some((18, 16)));
        assert_eq!(parse_version("something else"), None);
        assert!((18, 16) < BINARY_VERSION_MIN);
    }
}
