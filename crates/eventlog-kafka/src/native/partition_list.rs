//! Lists of partitions with offsets, as librdkafka takes and gives them.

use std::ffi::{CStr, c_void};
use std::ptr;

use domain::Offset;
use rdkafka_sys::bindings::*;

use super::Failure;

/// An owned list.
pub(crate) struct PartitionList(*mut rd_kafka_topic_partition_list_t);

/// One element, lent.
pub(crate) struct Listed<'a> {
    pub(crate) topic: &'a CStr,
    pub(crate) partition: i32,
    /// `None` when nothing stands there (not committed, not set).
    pub(crate) offset: Option<Offset>,
    pub(crate) metadata: &'a [u8],
    pub(crate) result: Result<(), Failure>,
}

impl PartitionList {
    pub(crate) fn new() -> Self {
        // SAFETY: allocation; the library aborts the process when there is no memory.
        Self(unsafe { rd_kafka_topic_partition_list_new(8) })
    }

    /// Takes over a list that the library gave to us.
    ///
    /// # Safety
    /// `raw` must be a live list that nothing else frees.
    pub(super) unsafe fn from_raw(raw: *mut rd_kafka_topic_partition_list_t) -> Self {
        Self(raw)
    }

    pub(super) fn raw(&self) -> *mut rd_kafka_topic_partition_list_t {
        self.0
    }

    pub(crate) fn add(&mut self, topic: &CStr, partition: i32) {
        // SAFETY: the list is live; the name is copied.
        unsafe { rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition) };
    }

    pub(crate) fn add_at(&mut self, topic: &CStr, partition: i32, offset: Offset, metadata: &str) {
        // SAFETY: the list is live; the element stays valid until the next change of the list. The
        // metadata is allocated with `malloc`, because the list frees it with `free`.
        unsafe {
            let element =
                &mut *rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition);
            element.offset = offset.0;
            if !metadata.is_empty() {
                let copy = libc::malloc(metadata.len());
                if !copy.is_null() {
                    ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast::<u8>(), metadata.len());
                    element.metadata = copy.cast::<c_void>();
                    element.metadata_size = metadata.len();
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        // SAFETY: the elements live as long as the list is not changed, which the borrow rules out.
        let elements = unsafe {
            let list = &*self.0;
            let count = usize::try_from(list.cnt).unwrap_or(0);
            if count == 0 { &[] } else { std::slice::from_raw_parts(list.elems, count) }
        };
        elements.iter().map(|element| Listed {
            // SAFETY: an element's name is a C string and its metadata has the stated length.
            topic: unsafe { CStr::from_ptr(element.topic) },
            partition: element.partition,
            offset: (element.offset >= 0).then_some(Offset(element.offset)),
            metadata: if element.metadata.is_null() {
                &[]
            } else {
                // SAFETY: as above.
                unsafe {
                    std::slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size)
                }
            },
            result: Failure::from_code(element.err),
        })
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { rd_kafka_topic_partition_list_destroy(self.0) };
    }
}
