//! The API key that commands present, and where it is found. Never an argument: those are seen by
//! everybody on the machine.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::settings::Settings;

/// The operator's key in a data folder.
pub(crate) const KEY_FILE: &str = "operator.key";

/// A key, and where it came from. Does not print.
#[derive(Clone)]
pub(crate) struct ApiKey {
    text: String,
    pub(crate) from: KeyFrom,
}

/// Where a key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyFrom {
    /// A file that a flag or a setting names.
    File(PathBuf),
    /// The environment, or `tally.toml`.
    Settings(String),
    /// Beside the addresses of the tally that runs here.
    DataFolder(PathBuf),
}

impl fmt::Display for KeyFrom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::DataFolder(path) => path.display().fmt(formatter),
            Self::Settings(name) => formatter.write_str(name),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiKey").field("from", &self.from).finish_non_exhaustive()
    }
}

impl ApiKey {
    /// The key that is named, else the operator's in `folder`, when there is one that this user may
    /// read.
    pub(crate) fn find(
        settings: &Settings,
        folder: Option<&Path>,
    ) -> Result<Option<Self>, Failure> {
        if let Some(file) = settings.text("key_file") {
            let path = PathBuf::from(file);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::Usage(format!("the API key in {file}: {error}")))?;
            return Self::of(&text, KeyFrom::File(path)).map(Some);
        }
        if let Some(text) = settings.text("key") {
            let from = settings.origin("key").unwrap_or("key").to_owned();
            return Self::of(text, KeyFrom::Settings(from)).map(Some);
        }
        folder.map_or(Ok(None), Self::in_folder)
    }

    /// The operator's key in a data folder.
    pub(crate) fn in_folder(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join(KEY_FILE);
        // Another user's folder: its tally says what is missing.
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        Self::of(&text, KeyFrom::DataFolder(path)).map(Some)
    }

    fn of(text: &str, from: KeyFrom) -> Result<Self, Failure> {
        let text = text.trim();
        // What it is not is never shown: it may be another secret.
        match text.starts_with("tally_") && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self { text: text.to_owned(), from }),
            false => Err(Failure::Usage(format!(
                "{from} holds no API key: one looks like tally_<id>_<secret>"
            ))),
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_key_beats_the_operators_and_none_prints() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        assert!(ApiKey::find(&settings, Some(folder.path())).unwrap().is_none());
        std::fs::write(folder.path().join(KEY_FILE), "tally_a_operators\n").unwrap();
        let find =
            |settings: &Settings| ApiKey::find(settings, Some(folder.path())).unwrap().unwrap();
        assert_eq!(find(&settings).text(), "tally_a_operators");
        settings.read_variable("TALLY_KEY", "tally_b_environment".to_owned()).unwrap();
        assert_eq!(find(&settings).text(), "tally_b_environment");
        assert_eq!(find(&settings).from.to_string(), "TALLY_KEY");
        let named = folder.path().join("named.key");
        std::fs::write(&named, "tally_c_named").unwrap();
        settings.flag("key_file", Some(named.display()));
        assert_eq!(find(&settings).text(), "tally_c_named");
        let shown = format!("{:?} {settings:?}", find(&settings));
        assert!(!shown.contains("tally_"), "{shown}");
        // It has to be there when it is named, and what is in it is not shown.
        std::fs::write(&named, "hunter2").unwrap();
        let error = ApiKey::find(&settings, None).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        std::fs::remove_file(&named).unwrap();
        assert!(matches!(ApiKey::find(&settings, None), Err(Failure::Usage(_))));
    }
}
