//! What is wrong with a spec or a manifest: every mistake with its place and the way out.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::source::is_variable;

/// All problems of one file, in the order of the file. Never empty.
///
/// `{:#}` lists them, one line a problem: `path:line:column: message (help)`; `{}` only counts them, as the headline of a
/// [`Diagnostic`] whose related ones are the problems. Each problem alone is a diagnostic too, with file, line and caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    path: PathBuf,
    problems: Vec<Problem>,
}

/// One mistake in a file.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Byte range in the file's text; `None` for a file that cannot be read.
    pub span: Option<Range<usize>>,
    /// What was found and what was wanted.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    file: Option<Arc<File>>,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), help: None, file: None }
    }

    #[must_use]
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    #[must_use]
    pub(super) fn maybe_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }

    /// Line and column of its beginning, both from 1; columns count characters.
    pub fn position(&self) -> Option<(usize, usize)> {
        let text = &self.file.as_ref()?.text;
        let start = self.span.as_ref()?.start;
        Some(position(text, start))
    }
}

/// A text with a name, as miette reads it; its columns count characters, where miette's own count bytes.
#[derive(Debug)]
struct File {
    name: String,
    text: String,
}

impl SourceCode for File {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, before, after)?;
        let column = match read.column() {
            0 => 0,
            _ => position(&self.text, read.span().offset()).1 - 1,
        };
        let name = self.name.clone();
        let contents = MietteSpanContents::new_named(name, read.data(), *read.span(), read.line(), column, read.line_count());
        Ok(Box::new(contents))
    }
}

/// Line and column of a byte of `text`, both from 1; columns count characters.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(byte)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The text with stars for what may be a secret: lines are shown with mistakes. That is what stands before the `@` of an
/// address, and what `api_key_env` is set to where it is no variable's name.
fn without_secrets(text: &str) -> String {
    let in_address = |after: &str| {
        let end = after.find(|c: char| c.is_whitespace() || "/\"'?#".contains(c)).unwrap_or(after.len());
        0..after[..end].rfind('@').unwrap_or(0)
    };
    let in_key = |after: &str| {
        let start = after.find(['"', '\'', '\n']).map_or(after.len(), |quote| quote + 1);
        let length = after[start..].find(['"', '\'', '\n']).unwrap_or(after.len() - start);
        let name = is_variable(&after[start..start + length]);
        start..if name { start } else { start + length }
    };
    masked(&masked(text, "://", in_address), "api_key_env", in_key)
}

/// The text with stars for the bytes that `secret` finds behind each `mark`.
fn masked(text: &str, mark: &str, secret: impl Fn(&str) -> Range<usize>) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        let secret = secret(after);
        shown.extend([before, mark, &after[..secret.start], &"*".repeat(secret.len())]);
        rest = &after[secret.end..];
    }
    shown + rest
}

impl Problems {
    pub(crate) fn new(path: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        let file = Arc::new(File { name: path.to_string_lossy().into_owned(), text: without_secrets(text) });
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        for problem in &mut problems {
            // Whole characters within the text: what a caret can be drawn under.
            problem.span = problem.span.take().map(|span| {
                let start = text.floor_char_boundary(span.start);
                start..text.ceil_char_boundary(span.end).max(start)
            });
            problem.file = Some(Arc::clone(&file));
        }
        Self { path: path.to_owned(), problems }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let help = match error.kind() {
            io::ErrorKind::InvalidData => "save the file as UTF-8",
            io::ErrorKind::IsADirectory => "name a file, not a folder",
            _ => "check the path; it is relative to the working directory",
        };
        let problem =
            Problem { span: None, message: format!("cannot read the spec: {error}"), help: Some(help.to_owned()), file: None };
        Self { path: path.to_owned(), problems: vec![problem] }
    }

    /// The file they are in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of problems, at least 1.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// In the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            let plural = if self.len() == 1 { "" } else { "s" };
            return write!(f, "{} has {} problem{plural}", self.path.display(), self.len());
        }
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.path.display())?;
            if let Some((line, column)) = problem.position() {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {}", problem.message)?;
            if let Some(help) = &problem.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

impl PartialEq for Problem {
    fn eq(&self, other: &Self) -> bool {
        (&self.span, &self.message, &self.help) == (&other.span, &other.message, &other.help)
    }
}

impl Eq for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.file.as_deref().map(|file| file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, span))))
    }
}

#[cfg(test)]
mod tests {
    use miette::{GraphicalReportHandler, GraphicalTheme};

    use super::*;

    fn two() -> Problems {
        let problems = vec![Problem::new(9..10, "second").help("do this"), Problem::new(1..2, "first")];
        Problems::new(Path::new("a.toml"), "ab\n词 = 1\n", problems)
    }

    #[test]
    fn passwords_are_not_shown() {
        let text = "a = \"http://me:词2@host/v1@2\" # see https://host/a";
        assert_eq!(without_secrets(text), "a = \"http://*******@host/v1@2\" # see https://host/a");
        assert_eq!(without_secrets(text).len(), text.len());
        assert_eq!(without_secrets("http://@"), "http://@");
        assert_eq!(without_secrets("e = { api_key_env = \"sk-1\", n = \"m\" }"), "e = { api_key_env = \"****\", n = \"m\" }");
        let good = "api_key_env = 'KEY_1'\napi_key_env";
        assert_eq!(without_secrets(good), good);
    }

    #[test]
    fn lists_in_the_order_of_the_file() {
        assert_eq!(two().to_string(), "a.toml has 2 problems");
        assert_eq!(format!("{:#}", two()), "a.toml:1:2: first\na.toml:2:5: second (do this)");
        assert_eq!(two().len(), 2);
    }

    #[test]
    fn carets_never_leave_the_text() {
        let problems = vec![Problem::new(4..400, "beyond"), Problem::new(4..4, "within a character")];
        let problems = Problems::new(Path::new("a.toml"), "ab\n词", problems);
        assert_eq!(problems.iter().map(|problem| problem.span.clone()).collect::<Vec<_>>(), [Some(3..6), Some(3..6)]);
    }

    #[test]
    fn an_empty_file_has_a_place_too() {
        let problems = Problems::new(Path::new("a.toml"), "", vec![Problem::new(0..0, "nothing")]);
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
        let mut drawn = String::new();
        handler.render_report(&mut drawn, &problems.problems[0]).unwrap();
        assert!(drawn.contains("[a.toml:1:1]"), "{drawn}");
        assert_eq!(format!("{problems:#}"), "a.toml:1:1: nothing");
    }

    #[test]
    fn draws_file_line_caret_and_help() {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(80);
        let mut drawn = String::new();
        handler.render_report(&mut drawn, &two().problems[1]).unwrap();
        let wanted = "  × second
   ╭─[a.toml:2:5]
 1 │ ab
 2 │ 词 = 1
   ·      ─
   ╰────
  help: do this
";
        assert_eq!(drawn, wanted);
    }
}
