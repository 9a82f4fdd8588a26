//! Characters that command a terminal, reorder their neighbours or hide, made visible: dataset text is shown, never obeyed.

/// The character, or U+FFFD in place of one that commands (control characters), reorders (marks of direction) or hides
/// (byte-order marks, tags, characters that XML forbids).
pub fn visible(c: char) -> char {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}');
    if c.is_control() || reorders || hides { '\u{fffd}' } else { c }
}

/// The same lines; their ends and tabs stay.
pub fn lines(raw: &str) -> String {
    raw.replace("\r\n", "\n").chars().map(|c| if c == '\n' || c == '\t' { c } else { visible(c) }).collect()
}

/// One line; runs of white space become one space.
pub fn one_line(raw: &str) -> String {
    let spaced: String = raw.chars().map(|c| if c.is_whitespace() { ' ' } else { visible(c) }).collect();
    spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_reorders_or_hides_is_shown() {
        assert_eq!(one_line("a\u{0}b\u{202e}c\u{61c}\u{e0041}d"), "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}d");
        assert_eq!(lines("a\r\nb\tc\u{1b}[2J\u{9b}1m"), "a\nb\tc\u{fffd}[2J\u{fffd}1m");
        assert_eq!(one_line("  a \n\u{2028} b"), "a b");
        assert_eq!(
            one_line("می\u{200c}خواهم שלום"),
            "می\u{200c}خواهم שלום",
            "writing from right to left is text like any other"
        );
    }
}
