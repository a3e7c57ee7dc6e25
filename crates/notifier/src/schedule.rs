//! When a delivery is tried again.

use std::time::Duration;

use domain::{ContentHash, Timestamp};
use wire::EventPlace;

/// Seconds before each next try: from 5 s, three times as long each time, to 6 h; 46.6 h in all.
const DELAYS_S: [i64; 15] = [
    5, 15, 45, 135, 405, 1_215, 3_645, 10_935, 21_600, 21_600, 21_600, 21_600, 21_600, 21_600,
    21_600,
];
/// After so many tries a delivery is given up.
pub const ATTEMPTS_MAX: u32 = DELAYS_S.len() as u32 + 1;
/// A tenth to either side, so that what failed together does not come back together.
const JITTER_PARTS: i64 = 10;
/// The longest that an endpoint's `Retry-After` can put off a try.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// When to try again after the `attempt`th try (from 1) failed at `now`; `None` gives it up. The
/// jitter follows from what is delivered, so the same failure has the same answer everywhere.
pub fn next_at(
    (webhook, place): (&str, EventPlace),
    attempt: u32,
    now: Timestamp,
    not_before: Option<Duration>,
) -> Option<Timestamp> {
    let delay_s = DELAYS_S.get(usize::try_from(attempt).ok()?.checked_sub(1)?)?;
    let delay = delay_s * 1_000_000;
    let spread = (delay / JITTER_PARTS).max(1);
    let seed = ContentHash::of(format!("{webhook} {place} {attempt}").as_bytes()).0;
    let jitter = i64::try_from(seed % (2 * spread.unsigned_abs() + 1)).unwrap_or(0) - spread;
    let asked = not_before.unwrap_or_default().min(RETRY_AFTER_MAX);
    let asked = i64::try_from(asked.as_micros()).unwrap_or(i64::MAX);
    Some(now.plus_micros((delay + jitter).max(asked)))
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3, in its one form that may be sent).
pub(crate) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let micros = http_date(header)?.since(now);
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    if zone != "GMT" || parts.next().is_some() {
        return None;
    }
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use domain::{Offset, Partition};
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn place(offset: i64) -> EventPlace {
        EventPlace { partition: Partition(0), offset: Offset(offset) }
    }

    #[test]
    fn from_seconds_to_hours_about_two_days_in_all() {
        let mut now = NOW;
        for attempt in 1..ATTEMPTS_MAX {
            now = next_at(("wh", place(1)), attempt, now, None).unwrap();
        }
        assert_eq!(next_at(("wh", place(1)), ATTEMPTS_MAX, now, None), None);
        let hours = now.since(NOW) / 3_600_000_000;
        assert!((41..=52).contains(&hours), "{hours} h");
        let first = next_at(("wh", place(1)), 1, NOW, None).unwrap().since(NOW);
        assert!((4_500_000..=5_500_000).contains(&first), "{first}");
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let next = |offset| next_at(("wh", place(offset)), 9, NOW, None);
        let distinct: std::collections::BTreeSet<_> = (0..100).map(next).collect();
        assert!(distinct.len() > 95);
    }

    #[test]
    fn an_endpoint_may_ask_for_more_patience_but_not_for_less() {
        let next = |seconds| {
            let asked = Some(Duration::from_secs(seconds));
            next_at(("wh", place(1)), 1, NOW, asked).unwrap().since(NOW) / 1_000_000
        };
        assert_eq!(next(3_600), 3_600);
        assert!((4..=5).contains(&next(1)));
        assert_eq!(next(u64::from(u32::MAX)), 24 * 3_600);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:07Z".parse().unwrap();
        let read = |header| retry_after(header, now).map(|wait| wait.as_secs());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for bad in ["", "-1", "soon", "Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMT"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn it_is_never_tried_before_it_failed(attempt in 0_u32..40, header in ".{0,40}", asked in any::<u32>()) {
            let wait = retry_after(&header, NOW);
            prop_assert!(wait.is_none() || !header.is_empty());
            let asked = Some(Duration::from_secs(u64::from(asked)));
            let next = next_at(("wh", place(1)), attempt, NOW, asked);
            prop_assert_eq!(next.is_some(), (1..ATTEMPTS_MAX).contains(&attempt));
            prop_assert!(next.is_none_or(|next| next > NOW));
        }
    }
}
