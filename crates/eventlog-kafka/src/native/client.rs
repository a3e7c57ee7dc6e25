//! A client instance: created from properties, destroyed with the last thing that uses it.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use domain::Offset;
use eventlog::LogError;
use rdkafka_sys::bindings::*;
use rdkafka_sys::types::RDKafkaErrorCode as Code;

use super::log_lines::on_log;
use super::producer::{Deliveries, on_event};
use super::{Failure, PartitionList, milliseconds};
use crate::names::c_string;
use crate::settings::Properties;

/// What a client is for, with what it must be told before it starts.
pub(crate) enum Role {
    /// Reads what it is told to, or asks questions.
    Consumer,
    /// Takes part in a group: rebalances and commits come back as events.
    Member,
    /// Writes: a thread of the library reports deliveries here.
    Producer(Arc<Deliveries>),
}

/// An instance of librdkafka, with its threads and connections.
pub(crate) struct Client {
    raw: NonNull<rd_kafka_t>,
    /// The library holds a bare pointer to it; freed after the instance.
    _deliveries: Option<Arc<Deliveries>>,
}

// SAFETY: librdkafka's instances may be used from any thread at any time (its documentation,
// "Threads and callbacks").
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

const ERROR_TEXT_BYTES: usize = 512;

impl Client {
    pub(crate) fn create(role: Role, properties: &Properties) -> Result<Arc<Self>, LogError> {
        let configuration = Configuration::new(properties)?;
        let raw_configuration = configuration.0;
        let (kind, deliveries) = match role {
            Role::Consumer => (rd_kafka_type_t::RD_KAFKA_CONSUMER, None),
            Role::Member => {
                let events =
                    RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR;
                // SAFETY: the configuration is live until `rd_kafka_new` takes it.
                unsafe { rd_kafka_conf_set_events(raw_configuration, events) };
                (rd_kafka_type_t::RD_KAFKA_CONSUMER, None)
            }
            Role::Producer(deliveries) => {
                let opaque = Arc::as_ptr(&deliveries).cast_mut().cast::<c_void>();
                // SAFETY: as above; the client keeps `deliveries` alive until after its end.
                unsafe {
                    rd_kafka_conf_set_opaque(raw_configuration, opaque);
                    rd_kafka_conf_set_events(
                        raw_configuration,
                        RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR,
                    );
                    rd_kafka_conf_set_background_event_cb(raw_configuration, Some(on_event));
                }
                (rd_kafka_type_t::RD_KAFKA_PRODUCER, Some(deliveries))
            }
        };
        let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
        // SAFETY: on success the library owns the configuration; on failure we still do.
        let raw = unsafe { rd_kafka_new(kind, raw_configuration, text.as_mut_ptr(), text.len()) };
        let Some(raw) = NonNull::new(raw) else {
            return Err(LogError::Halt(format!("kafka: {}", text_of(&text))));
        };
        configuration.release();
        let client = Self { raw, _deliveries: deliveries };
        client.serve_main_queue_elsewhere(kind);
        Ok(Arc::new(client))
    }

    /// A producer's events go to the library's own thread, so that a full queue empties even while
    /// the only thread of ours waits for room in it. A consumer's go to its one queue.
    fn serve_main_queue_elsewhere(&self, kind: rd_kafka_type_t) {
        // SAFETY: the instance is live; the queue handles are freed here, the queues stay.
        unsafe {
            if kind == rd_kafka_type_t::RD_KAFKA_PRODUCER {
                let main = rd_kafka_queue_get_main(self.raw());
                let background = rd_kafka_queue_get_background(self.raw());
                if !background.is_null() {
                    rd_kafka_queue_forward(main, background);
                    rd_kafka_queue_destroy(background);
                }
                rd_kafka_queue_destroy(main);
            } else {
                // Without a group there is no such queue, and no one to serve it.
                let _ = rd_kafka_poll_set_consumer(self.raw());
            }
        }
    }

    pub(super) fn raw(&self) -> *mut rd_kafka_t {
        self.raw.as_ptr()
    }

    /// The first and the next offset, as a reader at this client's isolation level sees them.
    pub(crate) fn watermarks(
        &self,
        topic: &CStr,
        partition: i32,
        wait: Duration,
    ) -> Result<(Offset, Offset), Failure> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: all pointers live for the call.
        let code = unsafe {
            rd_kafka_query_watermark_offsets(
                self.raw(),
                topic.as_ptr(),
                partition,
                &raw mut low,
                &raw mut high,
                milliseconds(wait),
            )
        };
        Failure::from_code(code).map(|()| (Offset(low), Offset(high)))
    }

    /// How many partitions a topic has; never creates it.
    pub(crate) fn partition_count(
        &self,
        topic: &CStr,
        wait: Duration,
    ) -> Result<Option<u32>, Failure> {
        // SAFETY: the handle and the metadata are freed before the function returns, and nothing of
        // them is kept.
        unsafe {
            let handle = rd_kafka_topic_new(self.raw(), topic.as_ptr(), ptr::null_mut());
            if handle.is_null() {
                return Failure::from_code(rd_kafka_last_error()).map(|()| None);
            }
            let mut metadata: *const rd_kafka_metadata = ptr::null();
            let code =
                rd_kafka_metadata(self.raw(), 0, handle, &raw mut metadata, milliseconds(wait));
            rd_kafka_topic_destroy(handle);
            Failure::from_code(code)?;
            let count = if (*metadata).topic_cnt == 1 {
                let found = &*(*metadata).topics;
                match Code::from(found.err) {
                    Code::NoError | Code::LeaderNotAvailable => {
                        Ok(u32::try_from(found.partition_cnt).ok().filter(|count| *count > 0))
                    }
                    Code::UnknownTopicOrPartition | Code::UnknownTopic => Ok(None),
                    code => Err(Failure::new(code, code.to_string())),
                }
            } else {
                Ok(None)
            };
            rd_kafka_metadata_destroy(metadata);
            count
        }
    }

    pub(crate) fn subscribe(&self, topics: &PartitionList) -> Result<(), Failure> {
        // SAFETY: the list is copied by the library.
        Failure::from_code(unsafe { rd_kafka_subscribe(self.raw(), topics.raw()) })
    }

    /// Takes a new assignment, or with `None` gives all of it up; answers a rebalance.
    pub(crate) fn assign(&self, partitions: Option<&PartitionList>) -> Result<(), Failure> {
        let list = partitions.map_or(ptr::null(), |list| list.raw().cast_const());
        // SAFETY: the list is copied by the library.
        Failure::from_code(unsafe { rd_kafka_assign(self.raw(), list) })
    }

    pub(crate) fn assign_more(&self, partitions: &PartitionList) -> Result<(), Failure> {
        // SAFETY: the list is copied by the library; the error object is ours.
        unsafe { Failure::from_object(rd_kafka_incremental_assign(self.raw(), partitions.raw())) }
    }

    pub(crate) fn assign_fewer(&self, partitions: &PartitionList) -> Result<(), Failure> {
        // SAFETY: as above.
        unsafe { Failure::from_object(rd_kafka_incremental_unassign(self.raw(), partitions.raw())) }
    }

    /// Whether the group took the current assignment away without asking.
    pub(crate) fn assignment_lost(&self) -> bool {
        // SAFETY: the instance is live.
        unsafe { rd_kafka_assignment_lost(self.raw()) != 0 }
    }

    /// Fills in the group's committed positions: stable ones, at read_committed.
    pub(crate) fn committed(
        &self,
        partitions: &PartitionList,
        wait: Duration,
    ) -> Result<(), Failure> {
        // SAFETY: the list is ours and lives for the call.
        Failure::from_code(unsafe {
            rd_kafka_committed(self.raw(), partitions.raw(), milliseconds(wait))
        })
    }

    /// The error that made the instance useless, if one did.
    pub(crate) fn fatal_error(&self) -> Option<Failure> {
        let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
        // SAFETY: the buffer is ours and its length is passed.
        let code = unsafe { rd_kafka_fatal_error(self.raw(), text.as_mut_ptr(), text.len()) };
        match Code::from(code) {
            Code::NoError => None,
            code => Some(Failure { fatal: true, ..Failure::new(code, text_of(&text)) }),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the last user is gone; queues and topic handles hold an `Arc` of this or are
        // freed before it. A group was left before, or is left to notice.
        unsafe { rd_kafka_destroy_flags(self.raw(), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
    }
}

/// A configuration until a client takes it.
struct Configuration(*mut rd_kafka_conf_t);

impl Configuration {
    fn new(properties: &Properties) -> Result<Self, LogError> {
        // SAFETY: allocation without arguments; the log callback is a plain function.
        let configuration = unsafe {
            let raw = rd_kafka_conf_new();
            rd_kafka_conf_set_log_cb(raw, Some(on_log));
            Self(raw)
        };
        for (name, value) in properties {
            configuration.set(name, value)?;
        }
        Ok(configuration)
    }

    fn set(&self, name: &str, value: &str) -> Result<(), LogError> {
        let (c_name, c_value) = (c_string(name)?, c_string(value)?);
        let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
        // SAFETY: all pointers live for the call.
        let result = unsafe {
            rd_kafka_conf_set(
                self.0,
                c_name.as_ptr(),
                c_value.as_ptr(),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        match result {
            rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN
            | rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => {
                let mut why = text_of(&text);
                // Without the value: it may be a password.
                if !value.is_empty() {
                    why = why.replace(value, "…");
                }
                Err(LogError::Halt(format!("kafka: the setting `{name}` was refused: {why}")))
            }
        }
    }

    /// The client has taken it.
    fn release(self) {
        std::mem::forget(self);
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: not yet taken by a client.
        unsafe { rd_kafka_conf_destroy(self.0) };
    }
}

fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> =
        buffer.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
