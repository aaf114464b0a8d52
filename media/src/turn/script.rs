//! Which characters belong to languages that write without blanks, and the words of a text in any language.

/// Whether words of the character's script follow each other without blanks: Chinese, Japanese, Thai, Lao, Khmer and
/// Burmese. Marks of these scripts are included; Korean has blanks.
pub fn has_no_blanks(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF00..=0xFF9F | 0x20000..=0x3FFFF)
}

/// Whether a character cannot begin a piece: combining marks, small kana, marks of length, closing signs.
pub fn joins_previous(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F | 0x0E30..=0x0E3A | 0x0E45..=0x0E4E | 0x0EB1 | 0x0EB4..=0x0EBC | 0x0EC8..=0x0ECD
        | 0x102B..=0x103E | 0x17B4..=0x17D3 | 0x3099..=0x309C | 0x200D | 0xFE00..=0xFE0F)
        || matches!(
            c,
            'ー' | '々'
                | '〻'
                | 'ゝ'
                | 'ゞ'
                | 'ヽ'
                | 'ヾ'
                | 'ぁ'
                | 'ぃ'
                | 'ぅ'
                | 'ぇ'
                | 'ぉ'
                | 'っ'
                | 'ゃ'
                | 'ゅ'
                | 'ょ'
                | 'ァ'
                | 'ィ'
                | 'ゥ'
                | 'ェ'
                | 'ォ'
                | 'ッ'
                | 'ャ'
                | 'ュ'
                | 'ョ'
                | '。'
                | '、'
                | '，'
                | '！'
                | '？'
                | '：'
                | '；'
                | '）'
                | '」'
                | '』'
                | '】'
                | '》'
        )
}

/// The words of a text, punctuation included: what stands between blanks, and each sign of a language that writes without
/// them, with the marks that belong to it.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|token| {
        let mut previous = None;
        let starts: Vec<usize> = token
            .char_indices()
            .filter(|(_, c)| {
                let begins = c.is_alphanumeric()
                    && !joins_previous(*c)
                    && previous.is_none_or(|last| has_no_blanks(last) || has_no_blanks(*c));
                // An opening sign belongs to the word that follows it.
                let is_first = previous.is_none();
                if c.is_alphanumeric() && !joins_previous(*c) {
                    previous = Some(*c);
                }
                begins && !is_first
            })
            .map(|(at, _)| at)
            .collect();
        let ends = starts.clone().into_iter().chain([token.len()]);
        let starts = [0].into_iter().chain(starts);
        starts.zip(ends).filter_map(|(from, to)| token.get(from..to)).collect::<Vec<_>>()
    })
}

/// What follows the first words of a text, as it is written.
pub fn after_words(text: &str, count: usize) -> &str {
    match words(text).nth(count) {
        // Words are slices of the text.
        Some(word) => text.get(word.as_ptr() as usize - text.as_ptr() as usize..).unwrap_or_default().trim_end(),
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn words_are_found_with_and_without_blanks() {
        assert_eq!(split(" Where is it? "), ["Where", "is", "it?"]);
        assert_eq!(split("我的订单，在哪里？"), ["我", "的", "订", "单，", "在", "哪", "里？"]);
        assert_eq!(split("「はい」です。"), ["「は", "い」", "で", "す。"]);
        assert_eq!(split("ที่นี่"), ["ที่", "นี่"]);
        assert_eq!(split("주문이 어디 있나요?"), ["주문이", "어디", "있나요?"]);
        assert_eq!(split("订单ABC12号"), ["订", "单", "ABC12", "号"]);
        assert!(split(" ").is_empty());
    }

    #[test]
    fn the_rest_is_as_it_was_written() {
        assert_eq!(after_words("Yes, on  Monday please.", 2), "Monday please.");
        assert_eq!(after_words("我的订单在哪里？", 4), "在哪里？");
        assert_eq!((after_words("Yes", 1), after_words("", 0)), ("", ""));
    }
}
