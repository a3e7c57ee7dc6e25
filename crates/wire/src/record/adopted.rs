//! Adoptions of a newer catalogue (`schemas/catalogue-adopted`).

use ledger::CatalogueAdopted;

use crate::avro::Writer;
use crate::record::error::RecordError;
use crate::record::fields::Fields;
use crate::record::schema::CATALOGUE_ADOPTED_V1_FINGERPRINT;

/// Appends an adoption to `out` as an Avro single-object record.
pub fn encode_adopted(adopted: &CatalogueAdopted, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.single_object_header(CATALOGUE_ADOPTED_V1_FINGERPRINT);
    writer.long(adopted.next.0);
    writer.fixed(&adopted.hash);
    writer.time(adopted.recorded_at);
}

pub(super) fn read(mut fields: Fields<'_>) -> Result<CatalogueAdopted, RecordError> {
    let adopted = CatalogueAdopted {
        next: fields.offset("next"),
        hash: fields.fixed("hash"),
        recorded_at: fields.time("recorded_at"),
    };
    fields.end(adopted)
}
