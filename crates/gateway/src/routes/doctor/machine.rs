//! This machine: disks, permissions, snapshots.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Finding, Severity};
use crate::GatewaySettings;

const GIB: u64 = 1024 * 1024 * 1024;
/// Below either, a disk is full before somebody has had time to see to it.
const FREE_BYTES_MIN: u64 = 2 * GIB;
const FREE_PERCENT_MIN: u64 = 5;
const FREE_PERCENT_WARNED: u64 = 15;
const SNAPSHOT: &str = "snapshot";
const SNAPSHOT_OLD: Duration = Duration::from_secs(7 * 86_400);

/// Bytes of a disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) free: u64,
    pub(super) total: u64,
}

/// Looks at what the settings name.
pub(super) fn findings(settings: &GatewaySettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(folder) = &settings.data_folder {
        findings.push(disk(folder));
        findings.push(owner(folder));
    }
    if let Some(folder) = &settings.state_folder {
        findings.push(snapshots(folder));
    }
    if let Some(file) = &settings.operator_key_file {
        findings.extend(key_file(file));
    }
    findings
}

/// Whether there is room.
pub(super) fn space(what: &str, space: Space, todo: &str) -> Finding {
    const CHECK: &str = "disk";
    let Space { free, total } = space;
    let percent = (u128::from(free) * 100 / u128::from(total.max(1))) as u64;
    let found = format!("{what} has {} GiB free, {percent} %", free / GIB);
    if free < FREE_BYTES_MIN || percent < FREE_PERCENT_MIN {
        return Finding::new(CHECK, Severity::Wrong, found, todo);
    }
    if percent < FREE_PERCENT_WARNED {
        return Finding::new(CHECK, Severity::Warning, found, todo);
    }
    Finding::fine(CHECK, found)
}

fn disk(folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(stat) => {
            let space_of = Space {
                free: stat.f_bavail.saturating_mul(stat.f_frsize),
                total: stat.f_blocks.saturating_mul(stat.f_frsize),
            };
            let what = format!("the disk of {}", folder.display());
            space(&what, space_of, "add space: without it nothing more can be accepted")
        }
        Err(error) => cannot_look("disk", folder, &error.to_string()),
    }
}

fn cannot_look(check: &'static str, at: &Path, why: &str) -> Finding {
    let todo = "see that it exists, and that tally's user may read it";
    Finding::new(check, Severity::Warning, format!("{}: {why}", at.display()), todo)
}

const PERMISSIONS: &str = "permissions";

/// The data folder belongs to whom tally runs as, and nobody else writes there.
fn owner(folder: &Path) -> Finding {
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) => return cannot_look(PERMISSIONS, folder, &error.to_string()),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o002 != 0 {
        return Finding::new(
            PERMISSIONS,
            Severity::Wrong,
            format!("everybody may write to {} (mode {mode:o})", folder.display()),
            format!("chmod o-w {}", folder.display()),
        );
    }
    // Linux says there as whom this process runs; elsewhere only the mode is looked at.
    let runs_as = fs::metadata("/proc/self").ok().map(|own| own.uid());
    match runs_as.filter(|uid| *uid != metadata.uid()) {
        Some(uid) => Finding::new(
            PERMISSIONS,
            Severity::Warning,
            format!(
                "{} belongs to user {}, and tally runs as {uid}",
                folder.display(),
                metadata.uid()
            ),
            format!("chown -R {uid} {}, or run tally as its owner", folder.display()),
        ),
        None => Finding::fine(PERMISSIONS, format!("{} is ours, mode {mode:o}", folder.display())),
    }
}

/// The first operator key is read by its owner alone. It may have been taken away, to a safe.
fn key_file(file: &Path) -> Option<Finding> {
    let mode = match fs::metadata(file) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(cannot_look(PERMISSIONS, file, &error.to_string())),
    };
    Some(match mode & 0o077 {
        0 => Finding::fine(PERMISSIONS, format!("{} is its owner's alone", file.display())),
        _ => Finding::new(
            PERMISSIONS,
            Severity::Wrong,
            format!("others may read the operator's key {} (mode {mode:o})", file.display()),
            format!("chmod 600 {}, then `tally key rotate`: it may have been read", file.display()),
        ),
    })
}

/// How old the newest snapshot of each partition is: what a start after a crash folds again.
fn snapshots(folder: &Path) -> Finding {
    const CHECK: &str = "snapshots";
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return cannot_look(CHECK, folder, &error.to_string()),
    };
    let (mut partitions, mut with, mut oldest) = (0, 0, None);
    for partition in entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
        partitions += 1;
        if let Some(newest) = newest_snapshot(&partition.path()) {
            with += 1;
            oldest = Some(oldest.map_or(newest, |oldest: SystemTime| oldest.min(newest)));
        }
    }
    let age = oldest.and_then(|oldest| SystemTime::now().duration_since(oldest).ok());
    match age {
        Some(age) if age > SNAPSHOT_OLD => Finding::new(
            CHECK,
            Severity::Note,
            format!("the oldest newest snapshot is {} days old", age.as_secs() / 86_400),
            "one is taken every 500,000 inputs and at an orderly stop: restart the charger when it \
             suits",
        ),
        Some(age) => Finding::fine(
            CHECK,
            format!(
                "{with} of {partitions} partitions have one; the oldest is {} s old",
                age.as_secs()
            ),
        ),
        None => Finding::fine(CHECK, "none yet: a start folds the whole ledger"),
    }
}

fn newest_snapshot(folder: &Path) -> Option<SystemTime> {
    let files = fs::read_dir(folder).ok()?;
    files
        .filter_map(Result::ok)
        .filter(|file| file.path().extension().is_some_and(|extension| extension == SNAPSHOT))
        .filter_map(|file| file.metadata().ok()?.modified().ok())
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_runs_out_by_bytes_and_by_share() {
        let of = |free, total| space("d", Space { free, total }, "add").severity;
        assert_eq!(of(50 * GIB, 100 * GIB), Severity::Fine);
        assert_eq!(of(14 * GIB, 100 * GIB), Severity::Warning);
        assert_eq!(of(4 * GIB, 100 * GIB), Severity::Wrong);
        assert_eq!(of(GIB, 4 * GIB), Severity::Wrong);
        assert_eq!(of(0, 0), Severity::Wrong);
    }

    #[test]
    fn a_key_that_others_may_read_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.key");
        assert_eq!(key_file(&file), None);
        fs::write(&file, "k").unwrap();
        let with = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            key_file(&file).unwrap().severity
        };
        assert_eq!(with(0o600), Severity::Fine);
        assert_eq!(with(0o640), Severity::Wrong);
    }

    #[test]
    fn a_folder_that_everybody_writes_to_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let with = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            owner(folder.path()).severity
        };
        assert_eq!(with(0o700), Severity::Fine);
        assert_eq!(with(0o777), Severity::Wrong);
    }

    #[test]
    fn snapshots_are_found_by_partition() {
        let folder = tempfile::tempdir().unwrap();
        assert!(snapshots(folder.path()).found.contains("none yet"));
        for partition in ["partition-00000", "partition-00001"] {
            fs::create_dir(folder.path().join(partition)).unwrap();
        }
        fs::write(folder.path().join("partition-00001/0000000000000010.snapshot"), "").unwrap();
        let found = snapshots(folder.path()).found;
        assert!(found.starts_with("1 of 2 partitions have one"), "{found}");
    }
}
