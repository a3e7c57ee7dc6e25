//! Batches of fetched messages, lent one by one and given back at once.
//!
//! `rd_kafka_consume_batch_queue` is the cheapest reader that librdkafka has: one lock and one call
//! for many messages, whose bytes stay where the fetch put them.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use domain::{Offset, Timestamp};
use eventlog::HeaderLookup;
use rdkafka_sys::bindings::*;
use rdkafka_sys::types::RDKafkaErrorCode as Code;

use super::{Failure, Queue, milliseconds};

/// Room for messages, used again at every poll.
pub(crate) struct Batch {
    messages: Vec<*mut rd_kafka_message_t>,
    /// Those before it have been given back.
    given_back: usize,
}

// SAFETY: messages belong to whoever holds them, on whatever thread.
unsafe impl Send for Batch {}

/// One element of a batch.
pub(crate) enum Delivered<'a> {
    Message(Message<'a>),
    /// The end of the partition was reached: the next offset, past control records.
    End(Offset),
    Failed(Failure),
}

/// Where an element comes from, as long as it is lent.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    topic: *mut rd_kafka_topic_t,
    pub(crate) partition: i32,
    lent: PhantomData<&'a ()>,
}

/// Tells the sources within one batch apart, without looking at names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId(usize, i32);

/// A message, lent.
pub(crate) struct Message<'a> {
    raw: &'a mut rd_kafka_message_t,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { messages: Vec::new(), given_back: 0 }
    }

    /// Takes what is there, up to `count_max`; when there is nothing, waits for the first.
    pub(crate) fn fill(&mut self, queue: &Queue, count_max: usize, wait: Duration) {
        self.give_back();
        self.take(queue, count_max, Duration::ZERO);
        // One call with a time-out would wait for all of `count_max`, not for the first.
        if self.messages.is_empty() && !wait.is_zero() && count_max > 0 {
            self.take(queue, 1, wait);
            if !self.messages.is_empty() {
                self.take(queue, count_max - 1, Duration::ZERO);
            }
        }
    }

    fn take(&mut self, queue: &Queue, count_max: usize, wait: Duration) {
        if count_max == 0 {
            return;
        }
        self.messages.reserve(count_max);
        let length = self.messages.len();
        // SAFETY: room for `count_max` pointers was reserved; the call says how many it wrote, and
        // each of them is ours until it is destroyed.
        unsafe {
            let room = self.messages.as_mut_ptr().add(length);
            let taken =
                rd_kafka_consume_batch_queue(queue.raw(), milliseconds(wait), room, count_max);
            self.messages.set_len(length + usize::try_from(taken).unwrap_or(0));
        }
    }

    /// Lends every element in order. Each is given back before the next is looked at, and all of
    /// them also when `visit` panics.
    pub(crate) fn drain(&mut self, visit: &mut dyn FnMut(Source<'_>, Delivered<'_>)) {
        while let Some(message) = self.messages.get(self.given_back).copied() {
            // SAFETY: a live message that nothing else looks at.
            let raw = unsafe { &mut *message };
            let source = Source { topic: raw.rkt, partition: raw.partition, lent: PhantomData };
            let delivered = match Code::from(raw.err) {
                Code::NoError => Delivered::Message(Message { raw }),
                Code::PartitionEOF => Delivered::End(Offset(raw.offset)),
                code => Delivered::Failed(Failure::new(code, error_text(raw))),
            };
            visit(source, delivered);
            self.given_back += 1;
            // SAFETY: ours, destroyed once: `given_back` has passed it.
            unsafe { rd_kafka_message_destroy(message) };
        }
        self.give_back();
    }

    fn give_back(&mut self) {
        for message in self.messages.drain(..).skip(self.given_back) {
            // SAFETY: ours, not yet destroyed.
            unsafe { rd_kafka_message_destroy(message) };
        }
        self.given_back = 0;
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn error_text(raw: &rd_kafka_message_t) -> String {
    if raw.payload.is_null() {
        return Code::from(raw.err).to_string();
    }
    // SAFETY: an error's text is a C string in the payload.
    unsafe { CStr::from_ptr(raw.payload.cast()) }.to_string_lossy().into_owned()
}

impl<'a> Source<'a> {
    pub(crate) fn id(&self) -> SourceId {
        SourceId(self.topic.addr(), self.partition)
    }

    /// The topic's name; empty for an error that belongs to no topic.
    pub(crate) fn topic_name(&self) -> &'a CStr {
        if self.topic.is_null() {
            return c"";
        }
        // SAFETY: the message that named it is lent, and holds the topic.
        unsafe { CStr::from_ptr(rd_kafka_topic_name(self.topic)) }
    }
}

impl Message<'_> {
    pub(crate) fn offset(&self) -> Offset {
        Offset(self.raw.offset)
    }

    pub(crate) fn key(&self) -> &[u8] {
        // SAFETY: a message's key has the stated length.
        unsafe { bytes(self.raw.key.cast(), self.raw.key_len) }
    }

    pub(crate) fn value(&self) -> &[u8] {
        // SAFETY: a message's payload has the stated length.
        unsafe { bytes(self.raw.payload.cast(), self.raw.len) }
    }

    /// The time in the record, in the broker's milliseconds.
    pub(crate) fn timestamp(&self) -> Timestamp {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is live.
        let millis = unsafe { rd_kafka_message_timestamp(&raw const *self.raw, &raw mut kind) };
        Timestamp::from_millis(millis.max(0))
    }
}

impl HeaderLookup for Message<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        let name = CString::new(name).ok()?;
        let mut headers: *mut rd_kafka_headers_t = ptr::null_mut();
        let (mut value, mut size) = (ptr::null(), 0_usize);
        // SAFETY: the headers are parsed at the first look and belong to the message, which `self`
        // borrows; a value has the stated length.
        unsafe {
            Failure::from_code(rd_kafka_message_headers(&raw const *self.raw, &raw mut headers))
                .ok()?;
            Failure::from_code(rd_kafka_header_get_last(
                headers,
                name.as_ptr(),
                &raw mut value,
                &raw mut size,
            ))
            .ok()?;
            Some(bytes(value.cast(), size))
        }
    }
}

/// # Safety
/// `start` must be null or point to `length` bytes that live as long as the result is used.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    if start.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, length) }
}
