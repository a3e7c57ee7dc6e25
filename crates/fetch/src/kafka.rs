//! Apache Kafka's broker, as the jars that it is published as.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha512};

use crate::cache::{cache_folder, hex, installed, sha512};
use crate::tools::{is_executable, require, run};
use crate::{FetchError, Progress};

const KAFKA_VERSION: &str = "4.1.2";
/// Kafka 4.1 logs through SLF4J 1.7; this binding writes to standard error.
const SLF4J_VERSION: &str = "1.7.36";

/// Of the list of jars: name, space, sha-512, newline each, sorted by name. So a dependency that changed in the registry,
/// or resolves differently one day, is noticed.
const PINNED_JARS: &str = "f1b592d36507520f94022405a4cbb4e788ca7e7d7c2d7dd29f0a1da16ce600de\
    6c57adf63b03acfebbec844699b7fcc8d266a370549486e3afa2fdfd5a6e3469";

const HOW_TO_GET_JAVA: &str = "install a JDK or JRE, 17 or newer (Debian: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk)";

/// The folder of the broker's jars (all of them: the class path is `folder/*`), installed when it is not there yet
/// (43 MB).
pub fn kafka_libs(progress: Progress<'_>) -> Result<PathBuf, FetchError> {
    let name = format!("kafka-{KAFKA_VERSION}");
    installed(&cache_folder()?, &name, |partial| install_jars(partial, progress))
}

/// The `java` program: of `JAVA_HOME`, else on the PATH.
pub fn java() -> Result<PathBuf, FetchError> {
    let of_home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    match of_home.filter(|java| is_executable(java)) {
        Some(java) => Ok(java),
        None => require("java", HOW_TO_GET_JAVA),
    }
}

fn install_jars(folder: &Path, progress: Progress<'_>) -> Result<(), FetchError> {
    let maven =
        require("mvn", "install Maven (Debian: apt-get install maven; macOS: brew install maven)")?;
    progress(&format!("downloading Kafka {KAFKA_VERSION} (43 MB), once"));
    let project = folder.join("pom.xml");
    fs::write(&project, project_file()).map_err(FetchError::io(&project))?;
    run(Command::new(maven)
        .args(["--batch-mode", "--quiet", "--strict-checksums", "-DoutputDirectory=."])
        .args(["-DincludeScope=runtime", "dependency:copy-dependencies"])
        .current_dir(folder))?;
    fs::remove_file(&project).map_err(FetchError::io(&project))?;
    let found = digest_of_jars(folder)?;
    if found == PINNED_JARS {
        return Ok(());
    }
    Err(FetchError::WrongContent {
        what: format!("the set of jars of Kafka {KAFKA_VERSION}"),
        found,
        pinned: PINNED_JARS.to_owned(),
    })
}

fn project_file() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>tally</groupId><artifactId>kafka</artifactId>\
         <version>1</version><packaging>pom</packaging><dependencies>{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        dependency("org.slf4j", "slf4j-simple", SLF4J_VERSION),
    )
}

fn digest_of_jars(folder: &Path) -> Result<String, FetchError> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).map_err(FetchError::io(folder))? {
        let path = entry.map_err(FetchError::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        lines.push(format!("{name} {}\n", sha512(&path)?));
    }
    lines.sort();
    Ok(hex(&Sha512::digest(lines.concat())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_jars_sees_names_and_contents() {
        let digest_with = |name: &str, content: &str| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("a.jar"), "a").unwrap();
            fs::write(folder.path().join(name), content).unwrap();
            digest_of_jars(folder.path()).unwrap()
        };
        assert_eq!(digest_with("b.jar", "b"), digest_with("b.jar", "b"));
        assert_ne!(digest_with("b.jar", "b"), digest_with("b.jar", "c"));
        assert_ne!(digest_with("b.jar", "b"), digest_with("c.jar", "b"));
    }
}
