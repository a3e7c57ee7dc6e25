//! What the decoders must never do, and that the three ways to write an event mean the same.

mod avro_value;
mod generate;
mod json_text;

use std::sync::LazyLock;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{GenericSingleObjectWriter, Schema};
use domain::{Fault, Reason};
use proptest::prelude::*;

use crate::avro::{SINGLE_OBJECT_HEADER_BYTES, SINGLE_OBJECT_MARKER};
use crate::draft::Draft;
use crate::usage_avro::encode_draft;
use crate::{
    Decoded, USAGE_EVENT_V1_FINGERPRINT, USAGE_EVENT_V2_FINGERPRINT, decode_usage, encode_usage,
};

static V1: LazyLock<Schema> = LazyLock::new(|| {
    Schema::parse_str(include_str!("../../../schemas/usage-event/v1.avsc")).unwrap()
});
static V2: LazyLock<Schema> = LazyLock::new(|| {
    Schema::parse_str(include_str!("../../../schemas/usage-event/v2.avsc")).unwrap()
});

/// The version that a draft is written under: the older one where it will do.
fn schema(draft: &Draft<'_>) -> &'static Schema {
    if draft.event.corrects.is_some() { &V2 } else { &V1 }
}

fn avro(draft: &Draft<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_draft(draft, &mut out);
    out
}

fn single_object(fingerprint: u64, body: Vec<u8>) -> Vec<u8> {
    [&SINGLE_OBJECT_MARKER[..], &fingerprint.to_le_bytes(), &body].concat()
}

/// What a fault promises, whatever the bytes were.
fn check_fault(fault: &Fault) {
    let whole_record = matches!(
        fault.reason,
        Reason::RecordTooLarge
            | Reason::UnsupportedFraming
            | Reason::UnknownSchema
            | Reason::InvalidAvro
            | Reason::InvalidUtf8
            | Reason::InvalidJson
    );
    assert!(whole_record || !fault.field.is_empty(), "{fault:?}");
    assert!(fault.field.len() < 1_024 && fault.value.chars().count() <= 65, "{fault:?}");
}

fn never_panics(record: &[u8]) {
    match decode_usage(record) {
        Ok(Decoded { event, .. }) => {
            let mut again = Vec::new();
            encode_usage(&event, &mut again);
            assert_eq!(decode_usage(&again).unwrap().event, event);
        }
        Err(fault) => check_fault(&fault),
    }
}

proptest! {
    #[test]
    fn json_and_avro_mean_the_same(draft in generate::draft(), spaced: bool) {
        let json = json_text::write(&draft, spaced);
        let from_json = decode_usage(json.as_bytes()).map_err(|fault| format!("{fault}: {json}")).unwrap();
        let record = avro(&draft);
        let from_avro = decode_usage(&record).unwrap();
        prop_assert_eq!(&from_json, &from_avro);
        prop_assert_eq!(from_avro, draft.finish());
    }

    #[test]
    fn a_decoded_event_encodes_to_itself(draft in generate::draft()) {
        let event = draft.finish().event;
        let mut record = Vec::new();
        encode_usage(&event, &mut record);
        prop_assert_eq!(decode_usage(&record).unwrap().event, event);
    }

    #[test]
    fn our_avro_is_read_by_apache_avro(draft in generate::draft()) {
        let record = avro(&draft);
        let mut body = &record[SINGLE_OBJECT_HEADER_BYTES..];
        let reader = GenericDatumReader::builder(schema(&draft)).build().unwrap();
        let value = reader.read_value(&mut body).unwrap();
        prop_assert!(body.is_empty());
        prop_assert_eq!(value, avro_value::of(&draft));
    }

    #[test]
    fn apache_avros_single_object_writer_writes_our_header(draft in generate::draft()) {
        let mut writer = GenericSingleObjectWriter::new_with_capacity(schema(&draft), 256).unwrap();
        let mut record = Vec::new();
        writer.write_value(avro_value::of(&draft), &mut record).unwrap();
        prop_assert_eq!(decode_usage(&record).unwrap(), draft.finish());
    }

    #[test]
    fn apache_avros_bytes_are_read_by_us(draft in generate::draft()) {
        let writer = GenericDatumWriter::builder(schema(&draft)).build().unwrap();
        let body = writer.write_value_to_vec(avro_value::of(&draft)).unwrap();
        let fingerprint = match draft.event.corrects {
            None => USAGE_EVENT_V1_FINGERPRINT,
            Some(_) => USAGE_EVENT_V2_FINGERPRINT,
        };
        let record = single_object(fingerprint, body);
        prop_assert_eq!(decode_usage(&record).unwrap(), draft.finish());
    }

    #[test]
    fn arbitrary_bytes_never_panic(body: Vec<u8>) {
        never_panics(&body);
        never_panics(&[b"{", &body[..]].concat());
        never_panics(&single_object(USAGE_EVENT_V1_FINGERPRINT, body.clone()));
        never_panics(&single_object(USAGE_EVENT_V2_FINGERPRINT, body));
    }

    #[test]
    fn mutated_records_never_panic(
        draft in generate::draft(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..4),
    ) {
        for mut record in [json_text::write(&draft, false).into_bytes(), avro(&draft)] {
            for (index, byte, kind) in &edits {
                let at = index.index(record.len().max(1));
                match (kind, record.get_mut(at)) {
                    (0, Some(_)) => record.truncate(at),
                    (1, Some(_)) => { record.remove(at); }
                    (2, Some(there)) => *there = *byte,
                    (_, _) => record.insert(at, *byte),
                }
            }
            never_panics(&record);
        }
    }

    #[test]
    fn cutting_a_record_anywhere_is_a_fault(draft in generate::draft(), cut: prop::sample::Index) {
        for record in [json_text::write(&draft, false).into_bytes(), avro(&draft)] {
            let cut = cut.index(record.len());
            let fault = decode_usage(&record[..cut]).unwrap_err();
            prop_assert!(
                matches!(fault.reason, Reason::InvalidJson | Reason::InvalidAvro
                    | Reason::UnsupportedFraming | Reason::InvalidUtf8),
                "{:?}", fault
            );
        }
    }
}
