//! CloudEvents JSON to a draft of an event.
//!
//! One pass with serde_json. Null counts as absent; a field that the format has and that stands
//! twice is a fault, the second value is not looked at; other fields are skipped and counted.
//! Nothing here recurses: what is nested where the format has no nesting is skipped by serde_json
//! without a stack.

mod item;
mod value;

use domain::limits::{ATTRIBUTES_MAX, ITEMS_MAX};
use domain::{Attributes, HoldAction, Reason, Status, Text, Timestamp, Traffic, UsageEvent};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess};

use crate::draft::{Draft, checked_text, checked_time, sort_attributes};
use crate::faults::{DATA, Faults, NoteFault, Path};
use item::ItemMembers;
use value::{Array, Elements, Members, Notes, Object};

/// The one version of CloudEvents, and the one type of event, that are read.
const SPECVERSION: &str = "1.0";
const TYPE: &str = "tally.usage.v1";

/// Reads one record that begins with `{`.
pub(crate) fn read<'a>(record: &'a [u8], draft: &mut Draft<'a>, faults: &mut Faults) {
    // Checked at once for the whole record: serde_json does not look into what it skips.
    let text = match std::str::from_utf8(record) {
        Ok(text) => text,
        Err(error) => {
            let shown = format!("from byte {}", error.valid_up_to());
            return faults.note(Reason::InvalidUtf8, Path::Root, &shown);
        }
    };
    let mut notes = Notes { faults, unknown_fields: 0 };
    let mut members = EventMembers { draft, seen: Seen(0), present: 0, data_present: 0 };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = Object { members: &mut members, path: Path::Root, notes: &mut notes };
    match object.deserialize(&mut deserializer).and_then(|_| deserializer.end()) {
        Ok(()) => members.check_required(notes.faults),
        Err(error) => notes.faults.note(Reason::InvalidJson, Path::Root, &error.to_string()),
    }
    let unknown_fields = notes.unknown_fields;
    draft.unknown_fields = unknown_fields;
}

/// The fields of one kind of object: a name, and a bit to remember that it was there.
macro_rules! fields {
    ($name:ident { $($variant:ident $text:literal),* $(,)? }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum $name { $($variant),* }

        impl $name {
            #[inline]
            pub(super) fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }

            pub(super) fn bit(self) -> u32 {
                1 << self as u8
            }
        }
    };
}
use fields;

/// Which fields of an object were there.
#[derive(Clone, Copy, Debug, Default)]
struct Seen(u32);

impl Seen {
    /// Remembers a field; false, with the fault noted and the value skipped, the second time.
    #[inline]
    fn first_time<'a, A: MapAccess<'a>>(
        &mut self,
        bit: u32,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<bool, A::Error> {
        if self.0 & bit != 0 {
            let again = value::raw(object)?;
            notes.faults.note(Reason::RepeatedField, path, again);
            return Ok(false);
        }
        self.0 |= bit;
        Ok(true)
    }
}

fields!(EventField {
    Specversion "specversion",
    Type "type",
    Source "source",
    Id "id",
    Time "time",
    Subject "subject",
    Data "data",
    // CloudEvents' own; they say nothing that changes the meaning here.
    Datacontenttype "datacontenttype",
    Dataschema "dataschema",
});

fields!(DataField {
    Feature "feature",
    Items "items",
    User "user",
    Team "team",
    Traffic "traffic",
    Hold "hold",
    HoldAction "hold_action",
    Run "run",
    Step "step",
    Status "status",
    Trace "trace",
    Environment "environment",
    Conversation "conversation",
    RequestedModel "requested_model",
    VendorRequestId "vendor_request_id",
    Corrects "corrects",
    Backfill "backfill",
    Attributes "attributes",
});

struct EventMembers<'d, 'a> {
    draft: &'d mut Draft<'a>,
    seen: Seen,
    /// Fields with a value that is not null, good or at fault.
    present: u32,
    data_present: u32,
}

impl EventMembers<'_, '_> {
    fn check_required(&self, faults: &mut Faults) {
        for (field, name) in [
            (EventField::Specversion, "specversion"),
            (EventField::Type, "type"),
            (EventField::Source, "source"),
            (EventField::Id, "id"),
            (EventField::Time, "time"),
            (EventField::Subject, "subject"),
            (EventField::Data, "data"),
        ] {
            if self.present & field.bit() == 0 {
                faults.note(Reason::MissingField, Path::Root.field(name), "");
            }
        }
        if self.present & EventField::Data.bit() != 0 {
            let present = |field: DataField| self.data_present & field.bit() != 0;
            if !present(DataField::Feature) {
                faults.note(Reason::MissingField, DATA.field("feature"), "");
            }
            if present(DataField::Items) && !present(DataField::Corrects) {
                self.draft.check_has_items(faults);
            } else if !present(DataField::Items) && !present(DataField::Corrects) {
                faults.note(Reason::MissingField, DATA.field("items"), "");
            }
        }
    }
}

impl<'a> Members<'a> for EventMembers<'_, 'a> {
    #[inline]
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let Some(field) = EventField::from_name(name) else {
            return value::skip_unknown(object, notes);
        };
        let path = path.field(name);
        if !self.seen.first_time(field.bit(), path, object, notes)? {
            return Ok(());
        }
        let event = &mut self.draft.event;
        let present = match field {
            EventField::Specversion => expect_word(SPECVERSION, path, object, notes)?,
            EventField::Type => expect_word(TYPE, path, object, notes)?,
            EventField::Source => required_text(&mut event.source, path, object, notes)?,
            EventField::Id => required_text(&mut event.id, path, object, notes)?,
            EventField::Subject => required_text(&mut event.account, path, object, notes)?,
            EventField::Time => {
                let raw = value::raw(object)?;
                let read = |text: &str| text.parse::<Timestamp>().ok();
                let found = value::parsed(raw, path, Reason::BadTime, notes, read);
                let present = found.is_present();
                if let Some(time) = found.value() {
                    event.time = checked_time(time.micros(), path, notes.faults);
                }
                present
            }
            EventField::Data => {
                let mut members = DataMembers::new(self.draft);
                let seed = Object { members: &mut members, path, notes };
                let present = object.next_value_seed(seed)?;
                self.data_present = members.present;
                present
            }
            EventField::Datacontenttype | EventField::Dataschema => {
                object.next_value::<IgnoredAny>()?;
                true
            }
        };
        if present {
            self.present |= field.bit();
        }
        Ok(())
    }
}

fn expect_word<'a, A: MapAccess<'a>>(
    word: &str,
    path: Path<'_>,
    object: &mut A,
    notes: &mut Notes<'_>,
) -> Result<bool, A::Error> {
    let read = |text: &str| (text == word).then_some(());
    let found = value::parsed(value::raw(object)?, path, Reason::UnsupportedType, notes, read);
    Ok(found.is_present())
}

fn required_text<'a, A: MapAccess<'a>>(
    into: &mut Text<'a>,
    path: Path<'_>,
    object: &mut A,
    notes: &mut Notes<'_>,
) -> Result<bool, A::Error> {
    let found = value::text(value::raw(object)?, path, notes);
    let present = found.is_present();
    *into = found.value().unwrap_or_default();
    Ok(present)
}

struct DataMembers<'d, 'a> {
    draft: &'d mut Draft<'a>,
    seen: Seen,
    present: u32,
}

impl<'d, 'a> DataMembers<'d, 'a> {
    fn new(draft: &'d mut Draft<'a>) -> Self {
        Self { draft, seen: Seen::default(), present: 0 }
    }
}

/// The optional text of an event that a field fills.
fn optional_text<'e, 'a>(
    event: &'e mut UsageEvent<'a>,
    field: DataField,
) -> Option<&'e mut Option<Text<'a>>> {
    match field {
        DataField::User => Some(&mut event.user),
        DataField::Team => Some(&mut event.team),
        DataField::Hold => Some(&mut event.hold),
        DataField::Run => Some(&mut event.run),
        DataField::Step => Some(&mut event.step),
        DataField::Trace => Some(&mut event.trace),
        DataField::Environment => Some(&mut event.environment),
        DataField::Conversation => Some(&mut event.conversation),
        DataField::RequestedModel => Some(&mut event.requested_model),
        DataField::VendorRequestId => Some(&mut event.vendor_request_id),
        DataField::Corrects => Some(&mut event.corrects),
        DataField::Feature
        | DataField::Items
        | DataField::Traffic
        | DataField::HoldAction
        | DataField::Status
        | DataField::Backfill
        | DataField::Attributes => None,
    }
}

impl<'a> Members<'a> for DataMembers<'_, 'a> {
    #[inline]
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let Some(field) = DataField::from_name(name) else {
            return value::skip_unknown(object, notes);
        };
        let path = path.field(name);
        if !self.seen.first_time(field.bit(), path, object, notes)? {
            return Ok(());
        }
        let event = &mut self.draft.event;
        if let Some(into) = optional_text(event, field) {
            let found = value::text(value::raw(object)?, path, notes);
            if found.is_present() {
                self.present |= field.bit();
            }
            *into = found.value();
            return Ok(());
        }
        match field {
            DataField::Feature => {
                if required_text(&mut event.feature, path, object, notes)? {
                    self.present |= field.bit();
                }
            }
            DataField::Items => {
                let mut elements = Items { draft: self.draft };
                let seed = Array { elements: &mut elements, path, notes };
                if object.next_value_seed(seed)? {
                    self.present |= field.bit();
                }
            }
            DataField::Traffic => {
                event.traffic = word(path, object, notes, Traffic::from_word)?;
            }
            DataField::HoldAction => {
                event.hold_action = word(path, object, notes, HoldAction::from_word)?;
            }
            DataField::Status => event.status = word(path, object, notes, Status::from_word)?,
            DataField::Backfill => {
                event.backfill = value::boolean(value::raw(object)?, path, notes);
            }
            DataField::Attributes => event.attributes = attributes(path, object, notes)?,
            DataField::User
            | DataField::Team
            | DataField::Hold
            | DataField::Run
            | DataField::Step
            | DataField::Trace
            | DataField::Environment
            | DataField::Conversation
            | DataField::RequestedModel
            | DataField::VendorRequestId
            | DataField::Corrects => {}
        }
        Ok(())
    }
}

/// A word that stands for one of our enums; its default when it is absent.
fn word<'a, A: MapAccess<'a>, T: Default>(
    path: Path<'_>,
    object: &mut A,
    notes: &mut Notes<'_>,
    from_word: impl FnOnce(&str) -> Option<T>,
) -> Result<T, A::Error> {
    let found = value::parsed(value::raw(object)?, path, Reason::BadValue, notes, from_word);
    Ok(found.value().unwrap_or_default())
}

struct Items<'d, 'a> {
    draft: &'d mut Draft<'a>,
}

impl<'a> Elements<'a> for Items<'_, 'a> {
    fn elements<A: SeqAccess<'a>>(
        &mut self,
        path: Path<'_>,
        mut array: A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let mut index = 0;
        while index < ITEMS_MAX {
            let mut members = ItemMembers::default();
            let path = path.index(index);
            let seed = Object { members: &mut members, path, notes };
            let Some(present) = array.next_element_seed(seed)? else {
                return Ok(());
            };
            if !present {
                notes.faults.note(Reason::WrongType, path, "null");
            }
            members.finish(self.draft, path, notes);
            index += 1;
            self.draft.items_seen = index;
        }
        while array.next_element::<IgnoredAny>()?.is_some() {
            index += 1;
        }
        if index > ITEMS_MAX {
            notes.faults.note(Reason::TooManyItems, path, &format!("{index} items"));
        }
        Ok(())
    }
}

#[derive(Default)]
struct AttributeMembers<'a> {
    attributes: Attributes<'a>,
    /// Also those that are not kept because there are too many.
    count: usize,
}

impl<'a> Members<'a> for AttributeMembers<'a> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let raw = value::raw(object)?;
        let value = value::attribute_value(raw, path.field(name), notes);
        if !value.is_present() {
            return Ok(());
        }
        self.count += 1;
        if self.count > ATTRIBUTES_MAX {
            return Ok(());
        }
        let name = checked_text(name.clone(), path, notes.faults);
        if let (Some(name), Some(value)) = (name, value.value()) {
            self.attributes.push((name, value));
        }
        Ok(())
    }
}

/// Attributes: sorted, each name once, null counts as absent.
fn attributes<'a, A: MapAccess<'a>>(
    path: Path<'_>,
    object: &mut A,
    notes: &mut Notes<'_>,
) -> Result<Attributes<'a>, A::Error> {
    let mut members = AttributeMembers::default();
    object.next_value_seed(Object { members: &mut members, path, notes })?;
    if members.count > ATTRIBUTES_MAX {
        let shown = format!("{} attributes", members.count);
        notes.faults.note(Reason::TooManyAttributes, path, &shown);
    }
    sort_attributes(&mut members.attributes, path, notes.faults);
    Ok(members.attributes)
}
