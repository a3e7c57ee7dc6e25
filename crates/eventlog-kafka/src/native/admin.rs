//! What an authorizer allows: asked, and changed.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys::bindings::*;
use rdkafka_sys::types::RDKafkaErrorCode as Code;

use super::{Client, Failure, Queue, milliseconds};

const ERROR_TEXT_BYTES: usize = 512;
/// Beyond the request's own time-out: it always ends with an answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// What may be done with something of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
    Create,
    Describe,
    DescribeConfigs,
}

impl Operation {
    pub(crate) const ALL: [Self; 5] =
        [Self::Read, Self::Write, Self::Create, Self::Describe, Self::DescribeConfigs];

    const fn raw(self) -> rd_kafka_AclOperation_t {
        match self {
            Self::Read => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
            Self::Write => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE,
            Self::Create => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_CREATE,
            Self::Describe => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE,
            Self::DescribeConfigs => {
                rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS
            }
        }
    }
}

/// What something of the cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    Topic,
    Group,
    TransactionalId,
    Cluster,
}

impl ResourceKind {
    const fn raw(self) -> rd_kafka_ResourceType_t {
        match self {
            Self::Topic => rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
            Self::Group => rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_GROUP,
            Self::TransactionalId => rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID,
            // The protocol's code for the cluster is the library's for a broker.
            Self::Cluster => rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER,
        }
    }
}

/// One permission.
#[derive(Clone, Debug)]
pub(crate) struct NativeAcl {
    pub(crate) kind: ResourceKind,
    pub(crate) name: CString,
    /// For everything whose name begins so.
    pub(crate) prefixed: bool,
    pub(crate) principal: CString,
    pub(crate) operation: Operation,
}

/// A request's options, freed with it.
struct Options(NonNull<rd_kafka_AdminOptions_t>);

impl Options {
    fn new(client: &Client, request: rd_kafka_admin_op_t, wait: Duration) -> Result<Self, Failure> {
        // SAFETY: the client is live; the options are ours.
        let raw = unsafe { rd_kafka_AdminOptions_new(client.raw(), request) };
        let options = Self(NonNull::new(raw).ok_or_else(no_memory)?);
        let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
        // SAFETY: the options are live, and the text is as long as it says.
        let code = unsafe {
            rd_kafka_AdminOptions_set_request_timeout(
                options.0.as_ptr(),
                milliseconds(wait),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        Failure::from_code(code)?;
        Ok(options)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { rd_kafka_AdminOptions_destroy(self.0.as_ptr()) };
    }
}

/// An answer, freed when it has been read.
struct Answer(NonNull<rd_kafka_event_t>);

impl Answer {
    fn wait_for(queue: &Queue, wait: Duration) -> Result<Self, Failure> {
        // SAFETY: the queue is live; the event is ours.
        let raw = unsafe { rd_kafka_queue_poll(queue.raw(), milliseconds(wait + ANSWER_MARGIN)) };
        let Some(raw) = NonNull::new(raw) else {
            return Err(Failure::new(Code::OperationTimedOut, "no answer came".to_owned()));
        };
        let answer = Self(raw);
        // SAFETY: the event is live; its text is copied.
        unsafe {
            let code = rd_kafka_event_error(answer.0.as_ptr());
            Failure::from_code(code).map_err(|failure| {
                let text = CStr::from_ptr(rd_kafka_event_error_string(answer.0.as_ptr()));
                Failure { message: text.to_string_lossy().into_owned(), ..failure }
            })?;
        }
        Ok(answer)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

fn no_memory() -> Failure {
    Failure::new(Code::Fail, "the library has no memory left".to_owned())
}

/// # Safety
/// `error` must be null or live; it stays its owner's.
unsafe fn read_error(error: *const rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise; the text is copied.
    unsafe {
        let text = CStr::from_ptr(rd_kafka_error_string(error)).to_string_lossy().into_owned();
        Failure::from_code(rd_kafka_error_code(error))
            .map_err(|failure| Failure { message: text, ..failure })
    }
}

impl Client {
    /// What we may do with each of these topics, in their order; an error for a topic that is not
    /// there, or that we may not even know of.
    pub(crate) fn allowed(
        self: &Arc<Self>,
        topics: &[&CStr],
        wait: Duration,
    ) -> Result<Vec<Result<Vec<Operation>, Failure>>, Failure> {
        let request = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = Options::new(self, request, wait)?;
        let queue = Queue::for_an_answer(self).ok_or_else(no_memory)?;
        let mut names: Vec<*const c_char> = topics.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: everything handed over lives for its call, and the library copies it; what the
        // answer lends is copied while the answer is live, as far as its counts say.
        unsafe {
            let asks = options.0.as_ptr();
            Failure::from_object(rd_kafka_AdminOptions_set_include_authorized_operations(asks, 1))?;
            let collection =
                rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            rd_kafka_DescribeTopics(self.raw(), collection, asks, queue.raw());
            rd_kafka_TopicCollection_destroy(collection);
            let answer = Answer::wait_for(&queue, wait)?;
            let result = rd_kafka_event_DescribeTopics_result(answer.0.as_ptr());
            let mut count = 0;
            let described = rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            let described = std::slice::from_raw_parts(described.cast_const(), count);
            let of_topic = |wanted: &&CStr| {
                let found = described
                    .iter()
                    .find(|topic| {
                        CStr::from_ptr(rd_kafka_TopicDescription_name(**topic)) == *wanted
                    })
                    .ok_or_else(|| Failure::new(Code::UnknownTopicOrPartition, String::new()))?;
                read_error(rd_kafka_TopicDescription_error(*found))?;
                let mut count = 0;
                let allowed =
                    rd_kafka_TopicDescription_authorized_operations(*found, &raw mut count);
                if allowed.is_null() || count == 0 {
                    return Ok(Vec::new());
                }
                let allowed = std::slice::from_raw_parts(allowed, count);
                let is_allowed = |one: &Operation| allowed.contains(&one.raw());
                Ok(Operation::ALL.into_iter().filter(is_allowed).collect())
            };
            Ok(topics.iter().map(of_topic).collect())
        }
    }

    /// Allows all of this; what is allowed already stays so.
    pub(crate) fn allow(
        self: &Arc<Self>,
        acls: &[NativeAcl],
        wait: Duration,
    ) -> Result<(), Failure> {
        let options = Options::new(self, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATEACLS, wait)?;
        let queue = Queue::for_an_answer(self).ok_or_else(no_memory)?;
        let mut bindings = Bindings::of(acls)?;
        // SAFETY: the bindings are copied by the library; the results are read while the answer is live.
        unsafe {
            let (new, count) = (bindings.0.as_mut_ptr(), bindings.0.len());
            rd_kafka_CreateAcls(self.raw(), new, count, options.0.as_ptr(), queue.raw());
            let answer = Answer::wait_for(&queue, wait)?;
            let result = rd_kafka_event_CreateAcls_result(answer.0.as_ptr());
            let mut count = 0;
            let results = rd_kafka_CreateAcls_result_acls(result, &raw mut count);
            let results = std::slice::from_raw_parts(results.cast_const(), count);
            results.iter().try_for_each(|result| read_error(rd_kafka_acl_result_error(*result)))
        }
    }
}

/// Permissions as the library has them, freed together.
struct Bindings(Vec<*mut rd_kafka_AclBinding_t>);

impl Bindings {
    fn of(acls: &[NativeAcl]) -> Result<Self, Failure> {
        let mut bindings = Self(Vec::with_capacity(acls.len()));
        for acl in acls {
            let pattern = if acl.prefixed {
                rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_PREFIXED
            } else {
                rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL
            };
            let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
            // SAFETY: all texts live for the call, and the library copies them.
            let binding = unsafe {
                rd_kafka_AclBinding_new(
                    acl.kind.raw(),
                    acl.name.as_ptr(),
                    pattern,
                    acl.principal.as_ptr(),
                    c"*".as_ptr(),
                    acl.operation.raw(),
                    rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
                    text.as_mut_ptr(),
                    text.len(),
                )
            };
            if binding.is_null() {
                // SAFETY: the library ended the text with a zero.
                let why = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
                return Err(Failure::new(Code::InvalidArgument, why));
            }
            bindings.0.push(binding);
        }
        Ok(bindings)
    }
}

impl Drop for Bindings {
    fn drop(&mut self) {
        // SAFETY: each is ours, and freed once.
        unsafe { rd_kafka_AclBinding_destroy_array(self.0.as_mut_ptr(), self.0.len()) };
    }
}
