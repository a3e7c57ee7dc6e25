//! Queues of a client, and the events that come out of them.

use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys::bindings::*;
use rdkafka_sys::types::RDKafkaErrorCode as Code;

use super::{Client, Failure, PartitionList, milliseconds};

/// A queue, kept alive together with its client.
pub(crate) struct Queue {
    raw: NonNull<rd_kafka_queue_t>,
    client: Arc<Client>,
}

// SAFETY: librdkafka's queues are locked inside.
unsafe impl Send for Queue {}

/// What a queue of a group member brings.
pub(crate) enum Event {
    Assigned(PartitionList),
    Revoked(PartitionList),
    /// The answer to [`Queue::commit`].
    Committed(Result<(), Failure>),
    Failed(Failure),
    /// Nothing that concerns a caller.
    Other,
}

impl Queue {
    /// The queue of a consumer that has a group; `None` when it has none.
    pub(crate) fn of_consumer(client: &Arc<Client>) -> Option<Self> {
        // SAFETY: the client is live, and stays so with the queue.
        let raw = unsafe { rd_kafka_queue_get_consumer(client.raw()) };
        NonNull::new(raw).map(|raw| Self { raw, client: Arc::clone(client) })
    }

    /// A queue for one answer.
    pub(super) fn for_an_answer(client: &Arc<Client>) -> Option<Self> {
        // SAFETY: as above.
        let raw = unsafe { rd_kafka_queue_new(client.raw()) };
        NonNull::new(raw).map(|raw| Self { raw, client: Arc::clone(client) })
    }

    pub(super) fn raw(&self) -> *mut rd_kafka_queue_t {
        self.raw.as_ptr()
    }

    pub(crate) fn poll(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue is live; a non-null event is ours to free.
        unsafe {
            let event = rd_kafka_queue_poll(self.raw(), milliseconds(wait));
            if event.is_null() {
                return None;
            }
            let read = read_event(event);
            rd_kafka_event_destroy(event);
            Some(read)
        }
    }

    /// Commits positions of the client's group and waits for the answer; `None` when there was none
    /// in time.
    pub(crate) fn commit(
        client: &Arc<Client>,
        positions: &PartitionList,
        wait: Duration,
    ) -> Option<Result<(), Failure>> {
        let queue = Self::for_an_answer(client)?;
        // SAFETY: the list is copied by the library; the queue outlives the wait.
        let code = unsafe {
            rd_kafka_commit_queue(
                client.raw(),
                positions.raw(),
                queue.raw(),
                None,
                std::ptr::null_mut(),
            )
        };
        if let Err(failure) = Failure::from_code(code) {
            return Some(Err(failure));
        }
        match queue.poll(wait)? {
            Event::Committed(result) => Some(result),
            Event::Failed(failure) => Some(Err(failure)),
            Event::Assigned(_) | Event::Revoked(_) | Event::Other => None,
        }
    }

    /// Leaves the group, waiting for its coordinator at most as long as said.
    pub(crate) fn leave_group(&self, wait: Duration) {
        let deadline = std::time::Instant::now() + wait;
        // SAFETY: the client is live; its events are served below until it has closed.
        let started = unsafe {
            Failure::from_object(rd_kafka_consumer_close_queue(self.client.raw(), self.raw()))
        };
        // SAFETY: the client is live.
        while started.is_ok() && unsafe { rd_kafka_consumer_closed(self.client.raw()) } == 0 {
            match self.poll(Duration::from_millis(20)) {
                // A closing member gives up what it has; there is nothing left to decide.
                Some(Event::Assigned(_) | Event::Revoked(_)) => {
                    if self.client.assign(None).is_err() {
                        return;
                    }
                }
                Some(Event::Committed(_) | Event::Failed(_) | Event::Other) | None => {}
            }
            if std::time::Instant::now() >= deadline {
                return;
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: owned, freed once, before its client.
        unsafe { rd_kafka_queue_destroy(self.raw()) };
    }
}

/// # Safety
/// `event` must be a live event.
unsafe fn read_event(event: *mut rd_kafka_event_t) -> Event {
    // SAFETY: the caller's promise; what is read is copied.
    unsafe {
        let kind = rd_kafka_event_type(event);
        let code = rd_kafka_event_error(event);
        if kind == RD_KAFKA_EVENT_REBALANCE {
            let list = rd_kafka_event_topic_partition_list(event);
            let list = PartitionList::from_raw(rd_kafka_topic_partition_list_copy(list));
            match Code::from(code) {
                Code::AssignPartitions => Event::Assigned(list),
                Code::RevokePartitions => Event::Revoked(list),
                code => Event::Failed(Failure::new(code, "rebalance failed".to_owned())),
            }
        } else if kind == RD_KAFKA_EVENT_OFFSET_COMMIT {
            Event::Committed(Failure::from_code(code))
        } else if kind == RD_KAFKA_EVENT_ERROR {
            let text = CStr::from_ptr(rd_kafka_event_error_string(event)).to_string_lossy();
            let fatal = rd_kafka_event_error_is_fatal(event) != 0;
            Event::Failed(Failure { fatal, ..Failure::new(Code::from(code), text.into_owned()) })
        } else {
            Event::Other
        }
    }
}
