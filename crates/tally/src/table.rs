//! Tables for people: aligned columns, numbers to the right and by their decimal point.

use std::fmt::Write;

use serde_json::Value;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: &str = "  ";

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(name, align)| (name.to_owned(), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Named values as rows. The columns are those of the first row, in its order; a column whose
    /// values are all numbers, or decimal strings, is set to the right.
    pub(crate) fn of_fields(rows: &[Fields]) -> Self {
        let names: Vec<&String> =
            rows.first().into_iter().flatten().map(|(name, _)| name).collect();
        let value = |row: &Fields, name: &str| -> Option<Value> {
            row.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
        };
        let columns = names
            .iter()
            .map(|name| {
                let numeric =
                    rows.iter().filter_map(|row| value(row, name)).all(|it| is_numeric(&it));
                ((*name).clone(), if numeric { Align::Right } else { Align::Left })
            })
            .collect();
        let rows = rows
            .iter()
            .map(|row| names.iter().map(|name| cell(value(row, name).as_ref())).collect())
            .collect();
        Self { columns, rows }
    }
}

/// One row's values by name, in the order of the columns.
pub(crate) type Fields = Vec<(String, Value)>;

/// A value as a table shows it: amounts without the zeros that follow, nothing as a dash.
pub(crate) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) if is_decimal(text) => trimmed(text).to_owned(),
        Some(Value::String(text)) => text.replace('\n', " "),
        Some(Value::Bool(truth)) => if *truth { "yes" } else { "no" }.to_owned(),
        Some(other) => other.to_string(),
    }
}

/// A decimal without the zeros that end it.
pub(crate) fn trimmed(decimal: &str) -> &str {
    match decimal.contains('.') {
        true => decimal.trim_end_matches('0').trim_end_matches('.'),
        false => decimal,
    }
}

/// A decimal cut to so many decimals, for an overview; what is left out is rounded half up.
/// Not for figures that anybody adds up.
pub(crate) fn rounded(decimal: &str, decimals: usize) -> String {
    if !is_decimal(decimal) {
        return decimal.to_owned();
    }
    let (sign, digits) = match decimal.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", decimal),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let kept: String =
        fraction.chars().chain("0".repeat(decimals).chars()).take(decimals).collect();
    let next = fraction.as_bytes().get(decimals).copied().unwrap_or(b'0');
    let Ok(mut scaled) = format!("{whole}{kept}").parse::<i128>() else {
        return decimal.to_owned();
    };
    scaled += i128::from(next >= b'5');
    let text = format!("{scaled:0width$}", width = decimals + 1);
    let (whole, fraction) = text.split_at(text.len() - decimals);
    let point = if decimals == 0 { "" } else { "." };
    let sign = if scaled == 0 { "" } else { sign };
    format!("{sign}{}{point}{fraction}", grouped(whole))
}

/// Digits in threes: `1,234,567`.
pub(crate) fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.chars().all(|digit| digit.is_ascii_digit() || digit == '.')
        && digits.matches('.').count() <= 1
}

fn is_numeric(value: &Value) -> bool {
    match value {
        Value::Null | Value::Number(_) => true,
        Value::String(text) => is_decimal(text),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |text: &str| text.chars().count();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(column, (name, _))| {
                self.rows
                    .iter()
                    .map(|row| width(&row[column]))
                    .chain([width(name)])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let heads: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        for row in [&heads, &rule].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (column, text) in row.iter().enumerate() {
                let space = " ".repeat(widths[column] - width(text));
                match self.columns[column].1 {
                    Align::Left => write!(line, "{text}{space}{GAP}")?,
                    Align::Right => write!(line, "{space}{text}{GAP}")?,
                }
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn aligns_text_left_and_numbers_right() {
        let fields = |model: &str, credits: &str, events: Value| {
            vec![
                ("model".to_owned(), json!(model)),
                ("credits".to_owned(), json!(credits)),
                ("events".to_owned(), events),
            ]
        };
        let rows =
            [fields("gpt-4o", "12.500000000000", json!(3)), fields("é", "-1000", Value::Null)];
        assert_eq!(
            Table::of_fields(&rows).to_string(),
            concat!(
                "model   credits  events\n",
                "──────  ───────  ──────\n",
                "gpt-4o     12.5       3\n",
                "é         -1000       –\n",
            )
        );
    }

    #[test]
    fn an_empty_table_is_its_head() {
        let table = Table::new([("account", Align::Left), ("credits", Align::Right)]);
        assert_eq!(table.to_string(), "account  credits\n───────  ───────\n");
    }

    #[test]
    fn rounds_for_an_overview() {
        for (decimal, decimals, text) in [
            ("1234567.005", 2, "1,234,567.01"),
            ("-0.004", 2, "0.00"),
            ("-0.006", 2, "-0.01"),
            ("999.999", 2, "1,000.00"),
            ("7", 2, "7.00"),
            ("7.5", 0, "8"),
            ("–", 2, "–"),
        ] {
            assert_eq!(rounded(decimal, decimals), text, "{decimal}");
        }
    }

    #[test]
    fn what_is_no_decimal_stays() {
        assert_eq!(cell(Some(&json!("2026-11-20"))), "2026-11-20");
        assert_eq!(cell(Some(&json!("1.2.3"))), "1.2.3");
        assert_eq!(cell(Some(&json!("10.50"))), "10.5");
        assert_eq!(cell(Some(&json!("100"))), "100");
    }
}
