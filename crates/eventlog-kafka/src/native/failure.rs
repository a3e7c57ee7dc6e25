//! What went wrong, as librdkafka says it, and what that means to a caller.

use std::ffi::CStr;
use std::fmt;

use eventlog::LogError;
use rdkafka_sys::bindings::{
    rd_kafka_error_code, rd_kafka_error_destroy, rd_kafka_error_is_fatal,
    rd_kafka_error_is_retriable, rd_kafka_error_string, rd_kafka_error_t,
    rd_kafka_error_txn_requires_abort, rd_kafka_resp_err_t,
};
use rdkafka_sys::types::RDKafkaErrorCode as Code;

use super::log_lines::last_complaint;

/// An error of the client library or of a broker.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The client instance is of no more use.
    pub(crate) fatal: bool,
    /// The open transaction must be aborted, and can be.
    pub(crate) requires_abort: bool,
    pub(crate) retriable: bool,
}

impl Failure {
    pub(crate) fn from_code(code: rd_kafka_resp_err_t) -> Result<(), Self> {
        match Code::from(code) {
            Code::NoError => Ok(()),
            code => Err(Self::new(code, code.to_string())),
        }
    }

    pub(crate) fn new(code: Code, message: String) -> Self {
        let fatal = code == Code::Fatal;
        Self { code, message, fatal, requires_abort: false, retriable: false }
    }

    /// Takes over an error object; null is success.
    ///
    /// # Safety
    /// `error` must be null or an error object that nothing else frees.
    pub(super) unsafe fn from_object(error: *mut rd_kafka_error_t) -> Result<(), Self> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: `error` is a live error object; its text is copied before it is freed.
        unsafe {
            let failure = Self {
                code: Code::from(rd_kafka_error_code(error)),
                message: CStr::from_ptr(rd_kafka_error_string(error))
                    .to_string_lossy()
                    .into_owned(),
                fatal: rd_kafka_error_is_fatal(error) != 0,
                requires_abort: rd_kafka_error_txn_requires_abort(error) != 0,
                retriable: rd_kafka_error_is_retriable(error) != 0,
            };
            rd_kafka_error_destroy(error);
            Err(failure)
        }
    }

    /// Somebody else holds the transactional name, the group instance or a newer epoch of it.
    pub(crate) fn is_fenced(&self) -> bool {
        matches!(
            self.code,
            Code::Fenced
                | Code::ProducerFenced
                | Code::InvalidProducerEpoch
                | Code::FencedInstanceId
                | Code::FencedMemberEpoch
        )
    }

    /// Nobody answered; why is known to the client's threads alone.
    fn has_no_answer(&self) -> bool {
        matches!(
            self.code,
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::MessageTimedOut
        )
    }

    /// The authorizer says no; it may not even say whether the topic is there.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.code == Code::TopicAuthorizationFailed
    }

    /// Waiting will not help: a permission, an argument or a limit is wrong.
    fn needs_a_person(&self) -> bool {
        matches!(
            self.code,
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::SSL
                | Code::InvalidArgument
                | Code::InvalidTransactionTimeout
                | Code::UnsupportedFeature
                | Code::UnsupportedVersion
                | Code::UnsupportedCompressionType
                | Code::NotImplemented
                | Code::PolicyViolation
                | Code::MessageSizeTooLarge
                | Code::InvalidMessageSize
                | Code::InvalidRecord
                | Code::InvalidMessage
                | Code::BadMessage
                | Code::BadCompression
                | Code::InvalidTopic
                | Code::InconsistentGroupProtocol
                | Code::InvalidSessionTimeout
        )
    }

    /// What a caller does about it, with what was being done.
    pub(crate) fn into_log_error(self, doing: &str) -> LogError {
        let mut text = format!("{doing}: {self}");
        if let Some(why) = last_complaint().filter(|_| self.has_no_answer()) {
            text = format!("{text}: {why}");
        }
        if self.is_fenced() {
            LogError::Fenced(text)
        } else if self.needs_a_person() {
            LogError::Halt(text)
        } else {
            LogError::Unavailable(text)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({:?})", self.message, self.code)
    }
}
