//! Producing: records copied into the library's queue, deliveries counted by its own thread, and
//! the four calls of a transaction.

use std::ffi::{CStr, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Offset;
use eventlog::LogError;
use rdkafka_sys::bindings::*;
use rdkafka_sys::types::RDKafkaErrorCode as Code;

use super::{Client, Failure, PartitionList, Role, milliseconds, write_log_line};
use crate::settings::Properties;

/// Which deliveries are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reports {
    /// Failed ones: inside a transaction, any of them means abort, and the rest costs nothing.
    Failures,
    /// Each with its offset.
    Offsets,
}

/// What the library's thread found out about deliveries.
pub(crate) struct Deliveries {
    reports: Reports,
    failed: AtomicU64,
    state: Mutex<DeliveryState>,
}

#[derive(Default)]
struct DeliveryState {
    first_failure: Option<Failure>,
    /// By the number of the record within its flush.
    offsets: Vec<Option<Offset>>,
}

impl Deliveries {
    fn new(reports: Reports) -> Self {
        Self { reports, failed: AtomicU64::new(0), state: Mutex::default() }
    }

    /// How many failed since the last [`Self::take_failure`].
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.failed.store(0, Ordering::Release);
        self.lock().first_failure.take()
    }

    pub(crate) fn take_offsets(&self) -> Vec<Option<Offset>> {
        std::mem::take(&mut self.lock().offsets)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, DeliveryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Safety
    /// `messages` must be live delivery reports.
    unsafe fn record(&self, messages: &[*const rd_kafka_message_t]) {
        let mut state = self.lock();
        for message in messages {
            // SAFETY: the caller's promise. The opaque is the number that `produce` was given.
            let (code, offset, number) =
                unsafe { ((**message).err, (**message).offset, (**message)._private.addr()) };
            if let Err(failure) = Failure::from_code(code) {
                self.failed.fetch_add(1, Ordering::AcqRel);
                state.first_failure.get_or_insert(failure);
            } else if self.reports == Reports::Offsets {
                if state.offsets.len() <= number {
                    state.offsets.resize(number + 1, None);
                }
                if let Some(slot) = state.offsets.get_mut(number) {
                    *slot = Some(Offset(offset));
                }
            }
        }
    }
}

/// Called by the library's background thread for each event of a producer.
///
/// # Safety
/// `event` is ours to free; `opaque` is the client's [`Deliveries`], alive as long as the client.
pub(super) unsafe extern "C" fn on_event(
    _client: *mut rd_kafka_t,
    event: *mut rd_kafka_event_t,
    opaque: *mut c_void,
) {
    // SAFETY: see above; reports live as long as their event.
    unsafe {
        let deliveries = &*opaque.cast::<Deliveries>().cast_const();
        let kind = rd_kafka_event_type(event);
        if kind == RD_KAFKA_EVENT_DR {
            let mut messages = vec![ptr::null(); rd_kafka_event_message_count(event)];
            let count = rd_kafka_event_message_array(event, messages.as_mut_ptr(), messages.len());
            messages.truncate(count);
            deliveries.record(&messages);
        } else if kind == RD_KAFKA_EVENT_ERROR {
            let text = CStr::from_ptr(rd_kafka_event_error_string(event)).to_string_lossy();
            write_log_line(4, "producer", "ERROR", &text);
        }
        // The queue counts a failed record until here, so a flush that has returned has been told
        // of every failure.
        rd_kafka_event_destroy(event);
    }
}

/// A record to produce.
#[derive(Clone, Copy)]
pub(crate) struct NativeRecord<'a> {
    pub(crate) partition: i32,
    /// Empty for none.
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    /// Comes back with the report.
    pub(crate) number: usize,
}

/// A topic of a producer: saves a look-up by name per record.
struct TopicHandle(NonNull<rd_kafka_topic_t>);

/// A group member's place in its group, as a transaction has to name it.
pub(crate) struct GroupMetadata(NonNull<rd_kafka_consumer_group_metadata_t>);

/// A producing client.
pub(crate) struct NativeProducer {
    /// By the number that the owner gives a topic. Freed before the client.
    topics: Vec<Option<TopicHandle>>,
    pub(crate) deliveries: Arc<Deliveries>,
    client: Arc<Client>,
}

// SAFETY: topic handles and metadata are reference-counted and locked inside the library.
unsafe impl Send for NativeProducer {}
// SAFETY: as above; it is never changed.
unsafe impl Send for GroupMetadata {}

/// Copies the record, and waits for room in the queue.
const PRODUCE_FLAGS: i32 = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK;

impl NativeProducer {
    pub(crate) fn create(reports: Reports, properties: &Properties) -> Result<Self, LogError> {
        let deliveries = Arc::new(Deliveries::new(reports));
        let client = Client::create(Role::Producer(Arc::clone(&deliveries)), properties)?;
        Ok(Self { topics: Vec::new(), deliveries, client })
    }

    /// Opens a topic that exists: naming an unknown one to a producer may create it.
    pub(crate) fn open_topic(&mut self, topic: usize, name: &CStr) -> Result<(), Failure> {
        // SAFETY: the name is copied; the handle is freed with `self`.
        let raw = unsafe { rd_kafka_topic_new(self.client.raw(), name.as_ptr(), ptr::null_mut()) };
        let handle = NonNull::new(raw).map(TopicHandle).ok_or_else(last_failure)?;
        if self.topics.len() <= topic {
            self.topics.resize_with(topic + 1, || None);
        }
        self.topics[topic] = Some(handle);
        Ok(())
    }

    /// Queues a record on an opened topic, waiting while the queue is full.
    pub(crate) fn produce(&self, topic: usize, record: NativeRecord<'_>) -> Result<(), Failure> {
        let Some(Some(TopicHandle(handle))) = self.topics.get(topic) else {
            return Err(Failure::new(Code::UnknownTopic, "the topic was not opened".to_owned()));
        };
        if !record.headers.is_empty() {
            return self.produce_with_headers(handle.as_ptr(), record);
        }
        let key = if record.key.is_empty() { ptr::null() } else { record.key.as_ptr().cast() };
        // SAFETY: key and value live for the call, which copies them.
        let result = unsafe {
            rd_kafka_produce(
                handle.as_ptr(),
                record.partition,
                PRODUCE_FLAGS,
                record.value.as_ptr().cast_mut().cast(),
                record.value.len(),
                key,
                record.key.len(),
                ptr::without_provenance_mut(record.number),
            )
        };
        if result == 0 { Ok(()) } else { Err(last_failure()) }
    }

    fn produce_with_headers(
        &self,
        handle: *mut rd_kafka_topic_t,
        record: NativeRecord<'_>,
    ) -> Result<(), Failure> {
        let memory = |bytes: &[u8]| rd_kafka_vu_s__bindgen_ty_1 {
            mem: rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                ptr: if bytes.is_empty() {
                    ptr::null_mut()
                } else {
                    bytes.as_ptr().cast_mut().cast()
                },
                size: bytes.len(),
            },
        };
        let argument = |vtype, u| rd_kafka_vu_t { vtype, u };
        // SAFETY: names, values, key and payload live for the call, which copies them; the headers
        // are ours again only when it fails.
        unsafe {
            let headers = rd_kafka_headers_new(record.headers.len());
            for (name, value) in record.headers {
                let added = rd_kafka_header_add(
                    headers,
                    name.as_ptr().cast(),
                    isize::try_from(name.len()).unwrap_or(isize::MAX),
                    value.as_ptr().cast(),
                    isize::try_from(value.len()).unwrap_or(isize::MAX),
                );
                if let Err(failure) = Failure::from_code(added) {
                    rd_kafka_headers_destroy(headers);
                    return Err(failure);
                }
            }
            let arguments = [
                argument(
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                    rd_kafka_vu_s__bindgen_ty_1 { rkt: handle },
                ),
                argument(
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                    rd_kafka_vu_s__bindgen_ty_1 { i32_: record.partition },
                ),
                argument(
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                    rd_kafka_vu_s__bindgen_ty_1 { i: PRODUCE_FLAGS },
                ),
                argument(rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, memory(record.key)),
                // An empty value must not become a tombstone.
                argument(
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                    rd_kafka_vu_s__bindgen_ty_1 {
                        mem: rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                            ptr: record.value.as_ptr().cast_mut().cast(),
                            size: record.value.len(),
                        },
                    },
                ),
                argument(
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                    rd_kafka_vu_s__bindgen_ty_1 { headers },
                ),
                argument(
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                    rd_kafka_vu_s__bindgen_ty_1 { ptr: ptr::without_provenance_mut(record.number) },
                ),
            ];
            let error = rd_kafka_produceva(self.client.raw(), arguments.as_ptr(), arguments.len());
            Failure::from_object(error).inspect_err(|_| rd_kafka_headers_destroy(headers))
        }
    }

    /// Waits until nothing is queued or in flight any more, delivered or failed.
    pub(crate) fn flush(&self, wait: Duration) -> Result<(), Failure> {
        // SAFETY: the instance is live.
        Failure::from_code(unsafe { rd_kafka_flush(self.client.raw(), milliseconds(wait)) })
    }

    /// Fences whoever wrote under the same name, and settles what it left open.
    pub(crate) fn init_transactions(&self, wait: Duration) -> Result<(), Failure> {
        // SAFETY: the instance is live; the error object is ours.
        unsafe {
            Failure::from_object(rd_kafka_init_transactions(self.client.raw(), milliseconds(wait)))
        }
    }

    pub(crate) fn begin_transaction(&self) -> Result<(), Failure> {
        // SAFETY: as above.
        unsafe { Failure::from_object(rd_kafka_begin_transaction(self.client.raw())) }
    }

    pub(crate) fn send_offsets(
        &self,
        positions: &PartitionList,
        group: &GroupMetadata,
        wait: Duration,
    ) -> Result<(), Failure> {
        // SAFETY: the list and the metadata are copied by the library.
        unsafe {
            Failure::from_object(rd_kafka_send_offsets_to_transaction(
                self.client.raw(),
                positions.raw(),
                group.0.as_ptr(),
                milliseconds(wait),
            ))
        }
    }

    /// Flushes and commits. Without delivery callbacks the flush waits on a condition, so there is
    /// no 100 ms floor.
    pub(crate) fn commit_transaction(&self, wait: Duration) -> Result<(), Failure> {
        // SAFETY: the instance is live; the error object is ours.
        unsafe {
            Failure::from_object(rd_kafka_commit_transaction(self.client.raw(), milliseconds(wait)))
        }
    }

    pub(crate) fn abort_transaction(&self, wait: Duration) -> Result<(), Failure> {
        // SAFETY: as above.
        unsafe {
            Failure::from_object(rd_kafka_abort_transaction(self.client.raw(), milliseconds(wait)))
        }
    }

    pub(crate) fn fatal_error(&self) -> Option<Failure> {
        self.client.fatal_error()
    }
}

impl GroupMetadata {
    /// Of a member as it stands now; `None` when it stands in no generation of its group. Sent
    /// without a generation, a commit would pass the coordinator unchecked.
    pub(crate) fn of(client: &Client) -> Option<Self> {
        // SAFETY: the instance is live; the object is ours.
        let raw = unsafe { rd_kafka_consumer_group_metadata(client.raw()) };
        let metadata = Self(NonNull::new(raw)?);
        (metadata.generation() >= 0).then_some(metadata)
    }

    /// Of nobody: the positions of a group that has no members, as the bare copy commits them.
    pub(crate) fn without_membership(group: &CStr) -> Option<Self> {
        // SAFETY: the name is copied; the object is ours.
        NonNull::new(unsafe { rd_kafka_consumer_group_metadata_new(group.as_ptr()) }).map(Self)
    }

    fn generation(&self) -> i32 {
        // SAFETY: the object is live.
        unsafe { rd_kafka_consumer_group_metadata_generation_id(self.0.as_ptr()) }
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) };
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: owned, freed once, before its client.
        unsafe { rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

/// Why the last call on this thread failed.
fn last_failure() -> Failure {
    // SAFETY: reads a thread-local value.
    let code = Code::from(unsafe { rd_kafka_last_error() });
    Failure { fatal: code == Code::Fatal, ..Failure::new(code, code.to_string()) }
}
