//! The report: Markdown on standard output, written as it comes.

use crate::machine;

#[derive(Debug)]
pub(crate) struct Report;

impl Report {
    pub(crate) fn machine(&mut self) {
        println!("Machine: {}.\nLoad before: {}.\n", machine::facts(), machine::load());
    }

    pub(crate) fn machine_load(&mut self) {
        println!("\nLoad after: {}.", machine::load());
    }

    pub(crate) fn line(&mut self, text: &str) {
        println!("{text}");
    }

    pub(crate) fn section(&mut self, title: &str, columns: &[&str]) {
        println!("\n## {title}\n");
        self.row(columns.iter().map(|column| (*column).to_owned()));
        println!("|{}", " --- |".repeat(columns.len()));
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        println!("| {} |", cells.join(" | "));
    }
}

/// The middle one; the mean of the two in the middle when there are as many below as above. 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    let lower = values.len().saturating_sub(1) / 2;
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => 0.0,
    }
}

/// Every value, in thousands: beside a median, so that a reader sees the spread.
pub(crate) fn thousands(values: impl IntoIterator<Item = f64>) -> String {
    let values: Vec<String> =
        values.into_iter().map(|value| format!("{:.0}", value / 1e3)).collect();
    values.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median([]).abs() < 1e-9);
    }
}
