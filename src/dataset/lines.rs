//! Reads lines that are a text each, or fields with something between them: `{label}:{fine} {text}`.

use std::fmt;

use super::error::RowProblem;
use super::manifest::Column;
use super::read::{Cell, Record, Role};

/// How a line is written: fields by their names, and what stands before, between and behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What every line begins with.
    before: String,
    /// Each field, and what stands behind it: nothing, for the last one, where it goes on to the line's end.
    fields: Vec<(String, String)>,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("a field is `{{name}}`, and a literal brace is doubled")]
    Brace,
    #[error("there is no field; the line as a whole is `{{text}}`")]
    NoField,
    #[error("field `{{{0}}}` is there twice")]
    Twice(String),
    #[error("nothing stands between field `{{{0}}}` and the next one, so nobody knows where it ends")]
    Touching(String),
}

impl Line {
    /// A line that is a text.
    pub fn whole() -> Self {
        Self { before: String::new(), fields: vec![("text".to_owned(), String::new())] }
    }

    /// Reads a pattern: fields in braces, all else as it stands, literal braces doubled.
    ///
    /// # Errors
    /// A pattern that does not say where each field ends.
    pub fn parse(pattern: &str) -> Result<Self, LineError> {
        let mut line = Self { before: String::new(), fields: Vec::new() };
        let mut rest = pattern;
        while let Some(c) = rest.chars().next() {
            let literal = line.fields.last_mut().map_or(&mut line.before, |(_, behind)| behind);
            if let Some(behind) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push(c);
                rest = behind;
            } else if let Some(inner) = rest.strip_prefix('{') {
                let (name, behind) = inner.split_once('}').ok_or(LineError::Brace)?;
                if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                    return Err(LineError::Brace);
                }
                if line.fields.iter().any(|(known, _)| known == name) {
                    return Err(LineError::Twice(name.to_owned()));
                }
                line.fields.push((name.to_owned(), String::new()));
                rest = behind;
            } else if c == '}' {
                return Err(LineError::Brace);
            } else {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        let Some((_, inner)) = line.fields.split_last() else { return Err(LineError::NoField) };
        match inner.iter().find(|(_, behind)| behind.is_empty()) {
            Some((name, _)) => Err(LineError::Touching(name.clone())),
            None => Ok(line),
        }
    }

    /// Its fields' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// The fields of one line: each ends where what stands behind it comes first, the last one with the line.
    fn fields<'a>(&self, line: &'a str) -> Result<Vec<&'a str>, RowProblem> {
        let lacks = |what: &str| RowProblem::NotLine { what: what.to_owned(), pattern: self.to_string() };
        let mut rest = line.strip_prefix(self.before.as_str()).ok_or_else(|| lacks(&self.before))?;
        let mut fields = Vec::with_capacity(self.fields.len());
        for (at, (_, behind)) in self.fields.iter().enumerate() {
            if at + 1 == self.fields.len() {
                fields.push(rest.strip_suffix(behind.as_str()).ok_or_else(|| lacks(behind))?);
                break;
            }
            let (field, next) = rest.split_once(behind.as_str()).ok_or_else(|| lacks(behind))?;
            fields.push(field);
            rest = next;
        }
        Ok(fields)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doubled = |text: &str| text.replace('{', "{{").replace('}', "}}");
        f.write_str(&doubled(&self.before))?;
        self.fields.iter().try_for_each(|(name, behind)| write!(f, "{{{name}}}{}", doubled(behind)))
    }
}

/// One record per line that is not blank. Lines end at `\n`, a carriage return before it included.
pub(super) fn records<'a>(
    bytes: &'a [u8],
    wanted: &'a [(Role, &'a Column)],
    pattern: &'a Line,
) -> impl Iterator<Item = Record> + 'a {
    let lines = (1..).zip(bytes.split(|&byte| byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines.map(|(place, line)| Record { place, cells: cells(line.strip_suffix(b"\r").unwrap_or(line), wanted, pattern) })
}

fn cells(line: &[u8], wanted: &[(Role, &Column)], pattern: &Line) -> Result<Vec<Cell>, RowProblem> {
    let line = std::str::from_utf8(line).map_err(|_| RowProblem::NotUtf8)?;
    let fields = pattern.fields(line)?;
    let cell = |(_, column): &(Role, &Column)| {
        let key = column.key();
        let found = pattern.names().position(|name| name == key);
        let keys = || pattern.names().map(str::to_owned).collect();
        found.map(|at| Cell::Text(fields[at].to_owned())).ok_or_else(|| RowProblem::NoKey { wanted: key, keys: keys() })
    };
    wanted.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pattern: &str, line: &str) -> Result<Vec<String>, String> {
        let found = Line::parse(pattern).map_err(|error| error.to_string())?;
        assert_eq!(Line::parse(&found.to_string()), Ok(found.clone()));
        found.fields(line).map(|fields| fields.into_iter().map(str::to_owned).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_field_ends_where_what_stands_behind_it_comes_first() {
        let trec = "{label}:{fine} {text}";
        assert_eq!(fields(trec, "NUM:date When was 9:30 ?").unwrap(), ["NUM", "date", "When was 9:30 ?"]);
        assert_eq!(fields("{text}", " a\tb ").unwrap(), [" a\tb "]);
        assert_eq!(fields("{{{a}}} [{b}]", "{x} [y] z]").unwrap(), ["x", "y] z"]);
        assert_eq!(fields("__label__{label} {text}", "__label__pos a b").unwrap(), ["pos", "a b"]);
    }

    #[test]
    fn a_line_that_is_written_otherwise_is_told() {
        let told = |pattern, line| fields(pattern, line).unwrap_err();
        assert_eq!(told("{label}:{fine} {text}", "NUM date"), "no `:` where the line should be `{label}:{fine} {text}`");
        assert_eq!(told("{label}:{fine} {text}", "NUM:date"), "no ` ` where the line should be `{label}:{fine} {text}`");
        assert_eq!(told("# {text};", "a;"), "no `# ` where the line should be `# {text};`");
        assert_eq!(told("# {text};", "# a"), "no `;` where the line should be `# {text};`");
    }

    #[test]
    fn a_pattern_says_where_each_field_ends() {
        let wrong = |pattern: &str| Line::parse(pattern).unwrap_err();
        assert_eq!(wrong("label: text"), LineError::NoField);
        assert_eq!(wrong("{label}{text}"), LineError::Touching("label".to_owned()));
        assert_eq!(wrong("{text} {text}"), LineError::Twice("text".to_owned()));
        for pattern in ["{label {text}", "{} {text}", "{text", "{text}}"] {
            assert_eq!(wrong(pattern), LineError::Brace, "{pattern}");
        }
    }
}
