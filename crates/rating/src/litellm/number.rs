//! JSON numbers, digit for digit.

use crate::decimal::Decimal;

/// The decimal that a JSON number writes, times `10^shift`; `None` when it is none that a price
/// book can hold (negative, or too many digits).
pub(super) fn decimal(text: &str, shift: i32) -> Option<Decimal> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let written = format!("{whole}{fraction}");
    if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mantissa = written.trim_start_matches('0');
    let kept = mantissa.trim_end_matches('0');
    if kept.is_empty() {
        return Some(Decimal::ZERO);
    }
    let dropped = i32::try_from(mantissa.len() - kept.len()).ok()?;
    let power = exponent
        .checked_add(shift)?
        .checked_add(dropped)?
        .checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let decimals = u32::try_from(power.checked_neg()?.max(0)).ok()?;
    let zeros = "0".repeat(usize::try_from(power.max(0)).ok().filter(|zeros| *zeros <= 16)?);
    // Through the document's own form, so that both have the same limits.
    Decimal::new(format!("{kept}{zeros}").parse().ok()?, decimals)?.to_string().parse().ok()
}

/// The product of two decimals, as far as a price book can hold it.
pub(super) fn product(a: Decimal, b: Decimal) -> Option<Decimal> {
    Decimal::new(a.mantissa().checked_mul(b.mantissa())?, a.decimals() + b.decimals())?
        .to_string()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_digit_and_shifts_exactly() {
        for (text, shift, shown) in [
            ("3e-06", 6, "3"),
            ("1.5625e-06", 6, "1.5625"),
            ("3.3333333333333335e-05", 6, "33.333333333333335"),
            ("0.0002833333333333333", 0, "0.0002833333333333333"),
            ("3.625e-09", 6, "0.003625"),
            ("0.039", 0, "0.039"),
            ("0.0", 6, "0"),
            ("0", 6, "0"),
            ("1E+2", 0, "100"),
            ("1200", 0, "1200"),
        ] {
            assert_eq!(decimal(text, shift).unwrap().to_string(), shown, "{text}");
        }
        for text in ["-1", "true", "\"1\"", "1e40", "1e-50", "null", ""] {
            assert_eq!(decimal(text, 6), None, "{text}");
        }
    }
}
