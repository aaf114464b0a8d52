//! What the vendors take of a tool's definition: name, description, number. A definition beyond the limits breaks every
//! request that has it.

/// Tools that one request may offer.
pub const OFFERS_MAX: usize = 128;
/// Characters of a tool's description (OpenAI; the others take more).
pub const DESCRIPTION_CHARS_MAX: usize = 1_024;

/// A name that every vendor takes: 1 to 64 letters, digits, `_` and `-`.
pub fn is_tool_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The beginning of a description that is short enough: up to the end of a sentence where there is one in the second
/// half, or else of a word. `None` if it is short enough as it is.
pub fn shortened(description: &str) -> Option<&str> {
    let (end, _) = description.char_indices().nth(DESCRIPTION_CHARS_MAX)?;
    let head = &description[..end];
    let sentence = head
        .char_indices()
        .zip(head.chars().skip(1).map(Some).chain([None]))
        .filter(|((_, c), next)| is_sentence_end(*c, *next))
        .map(|((at, c), _)| at + c.len_utf8())
        .last();
    let word = head.rfind(char::is_whitespace);
    let cut = sentence.filter(|at| *at >= end / 2).or(word.filter(|at| *at >= end / 2)).unwrap_or(end);
    Some(head[..cut].trim_end())
}

fn is_sentence_end(c: char, next: Option<char>) -> bool {
    match c {
        '。' | '！' | '？' | '।' | '؟' | '\n' => true,
        '.' | '!' | '?' => next.is_some_and(char::is_whitespace),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_at_the_end_of_a_sentence_or_a_word() {
        let whole = "a".repeat(DESCRIPTION_CHARS_MAX);
        assert_eq!(shortened(&whole), None);
        assert_eq!(shortened(&format!("{whole}é")), Some(whole.as_str()));
        let sentences = "Looks up an order v1.2 by its number. ".repeat(40);
        let cut = shortened(&sentences).unwrap();
        assert!(cut.ends_with("by its number.") && cut.len() > 950 && cut.len() <= DESCRIPTION_CHARS_MAX, "{cut}");
        let words = "word ".repeat(400);
        assert!(shortened(&words).unwrap().ends_with(" word"));
        let chinese = "查询订单的状态。".repeat(200);
        let cut = shortened(&chinese).unwrap();
        assert!(cut.ends_with('。') && cut.chars().count() <= DESCRIPTION_CHARS_MAX);
        let early = format!("Short. {}", "x".repeat(2_000));
        assert_eq!(shortened(&early).unwrap().chars().count(), DESCRIPTION_CHARS_MAX, "most of it is kept");
    }

    #[test]
    fn names_are_those_that_every_vendor_takes() {
        assert!(is_tool_name("find_order-2") && is_tool_name(&"a".repeat(64)));
        for bad in ["", "a.b", "a b", "é", &"a".repeat(65)] {
            assert!(!is_tool_name(bad), "{bad}");
        }
    }
}
