//! Which characters belong to languages that write without blanks.

/// Whether words of the character's script follow each other without blanks: Chinese, Japanese, Thai, Lao, Khmer and
/// Burmese. Marks of these scripts are included; Korean has blanks.
pub(crate) fn has_no_blanks(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF00..=0xFF9F | 0x20000..=0x3FFFF)
}

/// Whether a character cannot begin a piece: combining marks, small kana, marks of length, closing signs.
pub(crate) fn joins_previous(c: char) -> bool {
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
