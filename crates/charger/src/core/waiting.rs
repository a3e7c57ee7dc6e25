//! Usage that waited for a price: charged by itself once a version that covers it was adopted.

use domain::{Money, Text};
use flow::Ending;
use ledger::decide::Moment;
use ledger::{Body, Cause};

use super::usage::Priced;
use super::{Halt, PartitionCore};
use crate::Prices;

impl PartitionCore {
    /// Prices up to `most` waiting events again; the rest comes with the next call, so that no
    /// transaction grows without bound. Returns how many were charged.
    ///
    /// # Errors
    /// [`Halt`], as for a record.
    pub fn drain_waiting(&mut self, most: usize, prices: &Prices) -> Result<usize, Halt> {
        let mut charged = 0;
        for _ in 0..most {
            let Some(from) = self.drain_from else { break };
            let Some((unrated, waiting)) = self.state.waiting_from(from) else {
                self.drain_from = None;
                break;
            };
            self.drain_from = Some(unrated.next());
            let priced = Priced {
                event: waiting.event.clone(),
                content: waiting.content,
                plan: waiting.plan.as_deref().map(|plan| Text::Owned(plan.to_owned())),
            };
            let moment = Moment {
                number: self.state.next_number(),
                ledger_time: self.ledger_time,
                cause: Cause::Catalogue { next: prices.next },
            };
            let account = self.state.account(&waiting.event.account);
            let (mut entry, ending) = self.price(account, priced, prices, moment);
            let Body::Debit(debit) = &mut entry.body else { continue };
            debit.resolves = Some(unrated);
            self.write(&entry)?;
            if let Ending::Debit { credits, vendor_cost } = ending {
                self.batch.charged_later(credits, vendor_cost);
            } else {
                self.batch.charged_later(domain::Credits::ZERO, Money::ZERO);
            }
            charged += 1;
        }
        Ok(charged)
    }

    /// Whether usage waits that the catalogue in use may price.
    pub fn has_waiting_to_drain(&self) -> bool {
        self.drain_from.is_some()
    }
}
