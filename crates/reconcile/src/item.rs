//! Line items that say model and pool in one text, such as `gpt-4o-2024-08-06, cached input`.

/// A pattern: literal text with `{model}`, `{pool}` and `{any}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Model,
    Pool,
    Any,
}

/// What a text says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said<'t> {
    pub(crate) model: Option<&'t str>,
    pub(crate) pool: Option<&'t str>,
}

impl Template {
    /// # Errors
    /// A sentence about what is wrong with the pattern.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, after) = match rest.split_once('{') {
                Some((literal, after)) => (literal, Some(after)),
                None => (rest, None),
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let Some(after) = after else { break };
            let (name, after) = after.split_once('}').ok_or("a brace is not closed")?;
            let field = match name {
                "model" => Field::Model,
                "pool" => Field::Pool,
                "any" => Field::Any,
                other => {
                    return Err(format!("{{{other}}} is none of {{model}}, {{pool}}, {{any}}"));
                }
            };
            if matches!(pieces.last(), Some(Piece::Field(_))) {
                return Err("between two fields there must be text".to_owned());
            }
            pieces.push(Piece::Field(field));
            rest = after;
        }
        Ok(Self(pieces))
    }

    pub(crate) fn names(&self, field: Field) -> bool {
        self.0.contains(&Piece::Field(field))
    }

    /// What a text says by this pattern; `None` when it does not have its form. A field takes as
    /// little as it can, and at least one character.
    pub(crate) fn read<'t>(&self, text: &'t str) -> Option<Said<'t>> {
        let mut said = Said::default();
        let mut rest = text;
        let mut open: Option<Field> = None;
        for (at, piece) in self.0.iter().enumerate() {
            let literal = match piece {
                Piece::Field(field) => {
                    open = Some(*field);
                    continue;
                }
                Piece::Literal(literal) => literal,
            };
            match open.take() {
                None => rest = rest.strip_prefix(literal.as_str())?,
                Some(field) => {
                    // The last literal stands at the end, wherever else it may occur.
                    let is_last = at + 1 == self.0.len();
                    let place = match is_last {
                        true => rest.len().checked_sub(literal.len()).filter(|place| {
                            rest.is_char_boundary(*place) && rest.ends_with(literal.as_str())
                        })?,
                        false => rest.find(literal.as_str())?,
                    };
                    let value = rest.get(..place)?;
                    said.take(field, value)?;
                    rest = rest.get(place + literal.len()..)?;
                }
            }
        }
        match open {
            Some(field) => said.take(field, rest)?,
            None if rest.is_empty() => {}
            None => return None,
        }
        Some(said)
    }
}

impl<'t> Said<'t> {
    fn take(&mut self, field: Field, value: &'t str) -> Option<()> {
        let value = value.trim();
        if value.is_empty() {
            return None;
        }
        match field {
            Field::Model => self.model = Some(value),
            Field::Pool => self.pool = Some(value),
            Field::Any => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'t>(pattern: &str, text: &'t str) -> Option<(Option<&'t str>, Option<&'t str>)> {
        Template::new(pattern).unwrap().read(text).map(|said| (said.model, said.pool))
    }

    #[test]
    fn a_line_item_says_model_and_pool() {
        let plain = "{model}, {pool}";
        assert_eq!(
            read(plain, "gpt-4o-2024-08-06, cached input"),
            Some((Some("gpt-4o-2024-08-06"), Some("cached input")))
        );
        assert_eq!(read(plain, "web search tool calls"), None);
        assert_eq!(read(plain, ", input"), None);
        assert_eq!(
            read("{any} | {model}, {pool}, long context", "priority | gpt-5, output, long context"),
            Some((Some("gpt-5"), Some("output")))
        );
        assert_eq!(
            read("{model} audio, input", "gpt-audio audio, input"),
            Some((Some("gpt-audio"), None))
        );
        assert_eq!(read("{model} audio, input", "gpt-audio audio, output"), None);
    }

    #[test]
    fn bad_patterns_are_refused() {
        for pattern in ["{model", "{modle}", "{model}{pool}"] {
            assert!(Template::new(pattern).is_err(), "{pattern}");
        }
    }
}
