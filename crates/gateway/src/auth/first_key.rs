//! The first operator key: made when nobody could make one, and written where the settings say.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::{Access, Entropy, KeyBounds, KeyId, NewKey, Role};
use domain::{Offset, Timestamp};
use wire::{AccessChange, AccessRecord, KeyCreated};

use crate::appender::Appending;
use crate::follower::Followed;

const NAME: &str = "operator";
/// Who made it.
const MAKER: &str = "tally";
const MODE: u32 = 0o600;
const FOLD_PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no operator key to start with.
#[derive(Debug, thiserror::Error)]
pub enum OperatorKeyError {
    #[error(
        "there is no operator key yet, and nowhere to write one: set gateway.operator_key_file \
         (TALLY_GATEWAY_OPERATOR_KEY_FILE) to a file that only operators can read, and start again; \
         the first key is made and written there"
    )]
    Nowhere,
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(
        "{} holds no API key, and is left as it is: move it away and start again; the first \
         operator key is written there",
        path.display()
    )]
    NotAKey { path: PathBuf },
    #[error(
        "the key {key} in {} is known and is no valid operator key any more, and no other is left: \
         move the file away and start again; a new operator key is written there",
        path.display()
    )]
    NoOperator { path: PathBuf, key: KeyId },
    #[error("record {0} of the topic `access` cannot be read: was it written by a newer tally?")]
    Unreadable(Offset),
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
    #[error("the operator key could not be recorded: {0}")]
    NotRecorded(String),
}

/// Random bytes for a key, from the system.
pub(crate) fn entropy() -> Result<Entropy, getrandom::Error> {
    let mut entropy = Entropy { id: [0; KeyId::LENGTH], secret: [0; 32] };
    getrandom::fill(&mut entropy.id)?;
    getrandom::fill(&mut entropy.secret)?;
    Ok(entropy)
}

/// Makes sure that somebody can make keys. Returns once the fold has the key.
pub(crate) async fn ensure(
    file: Option<&Path>,
    followed: &Followed,
    appending: &Appending,
    now: Timestamp,
) -> Result<(), OperatorKeyError> {
    let keyring = followed.keyring();
    if let Some(offset) = keyring.unreadable() {
        return Err(OperatorKeyError::Unreadable(offset));
    }
    let Some(key) = wanted(file, &keyring.access(), now)? else { return Ok(()) };
    let created = KeyCreated {
        key: key.id,
        name: NAME.to_owned(),
        role: Role::Operator,
        hash: key.hash,
        bounds: KeyBounds::default(),
        expires: None,
        replaces: None,
        request: None,
    };
    let record =
        AccessRecord { at: now, by: MAKER.to_owned(), change: AccessChange::KeyCreated(created) };
    let next = super::append(appending, &record)
        .await
        .map_err(|problem| OperatorKeyError::NotRecorded(problem.detail().to_owned()))?;
    if !followed.access_read(next, FOLD_PATIENCE).await {
        let why = "it is in the log and was not read back in time".to_owned();
        return Err(OperatorKeyError::NotRecorded(why));
    }
    tracing::info!(key = %key.id, file = ?file, "the first operator key was made");
    Ok(())
}

/// The key that is to be recorded, if one is. It is in its file before it is in the log: a start that
/// is cut short between the two finds it there, and records it.
fn wanted(
    file: Option<&Path>,
    access: &Access,
    now: Timestamp,
) -> Result<Option<NewKey>, OperatorKeyError> {
    let has_operator = access.has_operator(now);
    let Some(path) = file else {
        return if has_operator { Ok(None) } else { Err(OperatorKeyError::Nowhere) };
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(OperatorKeyError::File { path: path.to_owned(), source }),
    };
    let written = text.as_deref().map(|text| NewKey::read(text.trim_end()));
    if has_operator {
        let known =
            |key: &NewKey| access.key(key.id).is_some_and(|known| known.state(now).is_valid());
        if !written.flatten().as_ref().is_some_and(known) {
            tracing::warn!(
                file = %path.display(),
                "no valid key of this deployment stands in the operator's file, and others are valid: \
                 name a file that holds one with --key-file"
            );
        }
        return Ok(None);
    }
    match written {
        None => make(path).map(Some),
        Some(None) => Err(OperatorKeyError::NotAKey { path: path.to_owned() }),
        Some(Some(key)) if access.key(key.id).is_some() => {
            Err(OperatorKeyError::NoOperator { path: path.to_owned(), key: key.id })
        }
        Some(Some(key)) => Ok(Some(key)),
    }
}

/// Writes a new key to a file that is not there: whole, or not at all.
fn make(path: &Path) -> Result<NewKey, OperatorKeyError> {
    let key = NewKey::of(&entropy().map_err(OperatorKeyError::Randomness)?);
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", key.id));
    let partial = PathBuf::from(partial);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&partial)?;
        file.write_all(key.text.reveal().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // Fails when another process was faster; a rename would take its key away.
        std::fs::hard_link(&partial, path)?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    let written = write();
    if let Err(error) = std::fs::remove_file(&partial) {
        tracing::debug!(%error, "no partial key file to remove");
    }
    written.map_err(|source| OperatorKeyError::File { path: path.to_owned(), source })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

    fn with(key: &NewKey, role: Role) -> Access {
        let mut access = Access::default();
        access.apply(AccessRecord {
            at: NOW,
            by: MAKER.to_owned(),
            change: AccessChange::KeyCreated(KeyCreated {
                key: key.id,
                name: NAME.to_owned(),
                role,
                hash: key.hash,
                bounds: KeyBounds::default(),
                expires: None,
                replaces: None,
                request: None,
            }),
        });
        access
    }

    #[test]
    fn a_key_is_made_once_for_this_user_alone_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        let made = wanted(Some(&path), &Access::default(), NOW).unwrap().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // A start that was cut short before the key was recorded: the same key, not another.
        let again = wanted(Some(&path), &Access::default(), NOW).unwrap().unwrap();
        assert_eq!((again.id, again.hash), (made.id, made.hash));
        assert!(wanted(Some(&path), &with(&made, Role::Operator), NOW).unwrap().is_none());
    }

    #[test]
    fn what_is_no_operator_key_is_left_alone_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        assert!(matches!(wanted(None, &Access::default(), NOW), Err(OperatorKeyError::Nowhere)));
        std::fs::write(&path, "my thesis").unwrap();
        let error = wanted(Some(&path), &Access::default(), NOW).unwrap_err();
        assert!(matches!(&error, OperatorKeyError::NotAKey { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my thesis");
        let app = NewKey::of(&entropy().unwrap());
        std::fs::write(&path, app.text.reveal()).unwrap();
        let error = wanted(Some(&path), &with(&app, Role::App), NOW).unwrap_err();
        assert!(error.to_string().contains("move the file away"), "{error}");
        let nowhere = folder.path().join("missing/operator.key");
        let error = wanted(Some(&nowhere), &Access::default(), NOW).unwrap_err();
        assert!(matches!(error, OperatorKeyError::File { .. }));
    }

    #[test]
    fn nothing_is_made_while_another_operator_key_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        let other = NewKey::of(&entropy().unwrap());
        assert!(wanted(Some(&path), &with(&other, Role::Operator), NOW).unwrap().is_none());
        assert!(!path.exists());
    }
}
