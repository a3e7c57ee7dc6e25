//! The bundled trace as rows.

use std::io::Read;

use domain::Timestamp;
use flate2::read::GzDecoder;

const TRACE: &[u8] = include_bytes!("../../data/azure_llm_conv_2023.csv.gz");
const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";

/// One request of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) at: Timestamp,
    /// The prompt, cached parts included.
    pub(crate) context_tokens: u64,
    pub(crate) generated_tokens: u64,
}

/// A line that is not of the trace's form; the file is ours, so this is a damaged build.
#[derive(Debug, thiserror::Error)]
#[error("the bundled trace, line {line}: {text:?}")]
pub(crate) struct DamagedTrace {
    line: usize,
    text: String,
}

/// The bundled rows, in the order of their times.
pub(crate) fn bundled() -> Result<Vec<Row>, DamagedTrace> {
    let mut text = String::new();
    GzDecoder::new(TRACE)
        .read_to_string(&mut text)
        .map_err(|error| DamagedTrace { line: 0, text: error.to_string() })?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Row>, DamagedTrace> {
    let damaged = |line: usize, text: &str| DamagedTrace { line: line + 1, text: text.to_owned() };
    let mut lines = text.lines().enumerate();
    match lines.next() {
        Some((_, HEADER)) => {}
        other => return Err(damaged(0, other.map_or("", |(_, line)| line))),
    }
    lines.map(|(number, line)| row(line).ok_or_else(|| damaged(number, line))).collect()
}

fn row(line: &str) -> Option<Row> {
    let (at, tokens) = line.split_once(',')?;
    let (context, generated) = tokens.split_once(',')?;
    Some(Row {
        // The trace's times name no offset; which one is meant does not matter, they are moved.
        at: format!("{at}Z").parse().ok()?,
        context_tokens: context.parse().ok()?,
        generated_tokens: generated.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_trace_is_whole_and_in_order() {
        let rows = bundled().unwrap();
        assert_eq!(rows.len(), 19_366);
        assert!(rows.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert_eq!((rows[0].context_tokens, rows[0].generated_tokens), (374, 44));
        let hour = rows[rows.len() - 1].at.since(rows[0].at);
        assert!((3_400_000_000..3_700_000_000).contains(&hour), "{hour}");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let error = parse(&format!("{HEADER}\n2023-11-16 18:15:46.68,1,2\nnonsense")).unwrap_err();
        assert_eq!(error.to_string(), "the bundled trace, line 3: \"nonsense\"");
    }
}
