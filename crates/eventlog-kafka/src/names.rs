//! Topic names with the deployment's prefix, as Rust and as C has them.

use std::ffi::{CStr, CString};

use domain::Topic;
use eventlog::LogError;

/// The names of a deployment's topics, made once.
#[derive(Clone, Debug)]
pub(crate) struct TopicNames {
    prefix: String,
    names: Vec<CString>,
}

impl TopicNames {
    pub(crate) fn new(prefix: &str) -> Result<Self, LogError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !prefix.bytes().all(legal) {
            return Err(LogError::Halt(format!(
                "kafka: the prefix {prefix:?} may hold letters, digits, '.', '-' and '_' only"
            )));
        }
        let names = Topic::ALL
            .iter()
            .map(|topic| c_string(&format!("{prefix}{}", topic.name())))
            .collect::<Result<_, _>>()?;
        Ok(Self { prefix: prefix.to_owned(), names })
    }

    pub(crate) fn of(&self, topic: Topic) -> &CStr {
        // `names` is made of `Topic::ALL`, whose order is that of the codes.
        self.names.get(usize::from(topic.code())).map_or(c"", CString::as_c_str)
    }

    pub(crate) fn text(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    pub(crate) fn topic(&self, name: &CStr) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.of(*topic) == name)
    }

    /// The prefix also keeps the groups and writers of deployments apart.
    pub(crate) fn prefixed(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

pub(crate) fn c_string(text: &str) -> Result<CString, LogError> {
    CString::new(text).map_err(|_| LogError::Halt(format!("kafka: {text:?} holds a zero byte")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        let names = TopicNames::new("blue.").unwrap();
        for topic in Topic::ALL {
            assert_eq!(names.of(topic).to_str().unwrap(), format!("blue.{topic}"));
            assert_eq!(names.topic(names.of(topic)), Some(topic));
        }
        assert_eq!(names.topic(c"usage.raw"), None);
        assert!(TopicNames::new("no spaces").is_err());
    }
}
