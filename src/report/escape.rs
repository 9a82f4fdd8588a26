//! Makes text that others wrote (labels, ids, samples, reasons) safe to place in Markdown and XML.

use std::io;

use crate::visible::visible;
pub use crate::visible::{lines, one_line};

/// Text as inline Markdown that shows exactly its characters: one line, no markup, no HTML, no table breaks.
pub fn text(raw: &str) -> String {
    let line = one_line(raw);
    let mut escaped = String::with_capacity(line.len() + 8);
    for (at, c) in line.char_indices() {
        let item =
            matches!(c, '.' | ')') && is_number(&line[..at]) && line[at + 1..].chars().next().is_none_or(|next| next == ' ');
        let opens_block = item || (at == 0 && matches!(c, '-' | '+' | '='));
        if opens_block || matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#' | '$') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Text as a code span, with a fence longer than any run of backticks in it.
pub fn code(raw: &str) -> String {
    let line = one_line(raw);
    if line.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&line, '`') + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// A fenced block that shows `raw` line by line.
pub fn fenced(language: &str, raw: &str) -> String {
    let body = lines(raw);
    let fence = "`".repeat(longest_run(&body, '`').max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", body.trim_end_matches('\n'))
}

/// Inline Markdown as a table cell: pipes inside code spans would end the cell.
pub fn cell(inline: &str) -> String {
    let mut escaped = String::with_capacity(inline.len());
    let mut previous = ' ';
    for c in inline.chars() {
        if c == '|' && previous != '\\' {
            escaped.push('\\');
        }
        escaped.push(c);
        previous = c;
    }
    escaped
}

/// At most `limit` characters, the last an ellipsis when something was left out.
pub fn shorten(raw: &str, limit: usize) -> String {
    let line = one_line(raw);
    if line.chars().count() <= limit {
        return line;
    }
    let mut short: String = line.chars().take(limit.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// The same lines with a character for each of the text's, so that places in it stay: a carriage return that ends a line is a space.
pub fn in_place(raw: &str) -> String {
    lines(&raw.replace("\r\n", " \n"))
}

/// Adds JSON, as it is written, for a `script` element: no text in it can end the element, or a line where JavaScript ends one.
pub struct Json<'a>(pub &'a mut String);

impl io::Write for Json<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        for c in str::from_utf8(written).map_err(io::Error::other)?.chars() {
            match c {
                '<' => self.0.push_str("\\u003c"),
                '>' => self.0.push_str("\\u003e"),
                '&' => self.0.push_str("\\u0026"),
                '\u{2028}' => self.0.push_str("\\u2028"),
                '\u{2029}' => self.0.push_str("\\u2029"),
                other => self.0.push(other),
            }
        }
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text for an XML attribute or element.
pub fn xml(raw: &str) -> String {
    let mut escaped = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(visible(other)),
        }
    }
    escaped
}

fn is_number(before: &str) -> bool {
    !before.is_empty() && before.len() <= 9 && before.bytes().all(|b| b.is_ascii_digit())
}

fn longest_run(text: &str, wanted: char) -> usize {
    text.split(|c| c != wanted).map(|run| run.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_not_obeyed() {
        assert_eq!(text("a|b <b>*x*</b>\nc"), r"a\|b \<b\>\*x\*\</b\> c");
        assert_eq!(text("- no list"), r"\- no list");
        assert_eq!(text("12. no list"), r"12\. no list");
        assert_eq!(text("no 12. change"), "no 12. change");
        assert_eq!(text("0.1.0"), "0.1.0");
        assert_eq!(text("&lt; [a](b)"), r"\&lt; \[a\](b)");
    }

    #[test]
    fn code_spans_outgrow_their_backticks() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(fenced("", "```\nx\n"), "````\n```\nx\n````\n");
    }

    #[test]
    fn cells_keep_their_pipes_inside() {
        assert_eq!(cell(&code("a|b")), r"`a\|b`");
        assert_eq!(cell(&text("a|b")), r"a\|b");
    }

    #[test]
    fn control_and_direction_characters_are_made_visible() {
        assert_eq!(text("a\u{0}b\u{202e}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(xml("<\u{1}&\">"), "&lt;\u{fffd}&amp;&quot;&gt;");
    }

    #[test]
    fn json_cannot_end_its_element() {
        let evil = "</script><!--\u{2028}&\"";
        let mut written = String::new();
        serde_json::to_writer(Json(&mut written), evil).unwrap();
        assert_eq!(written, r#""\u003c/script\u003e\u003c!--\u2028\u0026\"""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), evil);
    }

    #[test]
    fn places_in_a_text_stay() {
        let raw = "a\r\nb\u{1b}\u{202e}词\r";
        assert_eq!(in_place(raw), "a \nb\u{fffd}\u{fffd}词\u{fffd}");
        assert_eq!(in_place(raw).chars().count(), raw.chars().count());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shorten("休闲益智游戏", 4), "休闲益…");
        assert_eq!(shorten("休闲益智", 4), "休闲益智");
    }
}
