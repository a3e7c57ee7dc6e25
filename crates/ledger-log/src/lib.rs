//! Reading the ledger from its log. Whoever needs one entry asks for it by its number: the charger
//! when an event corrects another, the gateway when it explains one.

mod find;

pub use find::find_entry;
