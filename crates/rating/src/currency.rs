//! One currency per deployment.

use domain::{Fault, Reason, UsageEvent};

use crate::Catalogue;

/// A cost that was reported in another currency than the deployment's is a fault of its event.
pub fn foreign_currency(event: &UsageEvent<'_>, catalogue: &Catalogue) -> Option<Fault> {
    let own = catalogue.currency()?;
    event.items.iter().enumerate().find_map(|(index, item)| {
        let reported = item.vendor_cost?;
        (reported.currency != own).then(|| {
            Fault::new(
                Reason::BadCurrency,
                format!("data.items[{index}].vendor_cost.currency"),
                reported.currency.as_str(),
            )
        })
    })
}
