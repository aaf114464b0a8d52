//! Text of others on a terminal, which must not obey it.

/// Characters that move the cursor, change colours or the direction of the text are shown as `�`.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { if c == '\n' || c == '\t' { ' ' } else { '\u{fffd}' } } else { c }).collect()
}

/// The same for text of several lines.
pub(crate) fn clean_lines(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_not_obeyed() {
        assert_eq!(clean("a\u{202e}b\nc\u{1b}"), "a�b c�");
        assert_eq!(clean_lines("a\nb\u{7}"), "a\nb�");
    }
}
