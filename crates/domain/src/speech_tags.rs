//! Tags in the text for a voice: pauses and sounds, as ElevenLabs and Cartesia write them. A voice gets those that it
//! takes; nothing of a tag is ever left to be read aloud. Word timestamps count the characters beside the tags.

/// How the tags begin and end.
const BREAK: (&str, &str) = ("<break time=\"", "\" />");
const PHONEME: (&str, &str) = ("<phoneme alphabet=\"ipa\" ph=\"", "\">");
const PHONEME_END: &str = "</phoneme>";

/// A pause of so many milliseconds.
pub fn pause(ms: u32) -> String {
    format!("{}{}s{}", BREAK.0, f64::from(ms) / 1_000.0, BREAK.1)
}

/// The tags around what is said with these sounds, which have no quotation marks in them.
pub fn sounds(ipa: &str) -> (String, &'static str) {
    (format!("{}{ipa}{}", PHONEME.0, PHONEME.1), PHONEME_END)
}

/// Whether there are tags in a text.
pub fn are_in(text: &str) -> bool {
    text.contains(BREAK.0) || text.contains(PHONEME.0)
}

/// The text with the tags that a voice takes.
pub fn kept(text: &str, takes_breaks: bool, takes_phonemes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let (length, is_taken) = match tag(rest) {
            Some((length, true)) => (length, takes_breaks),
            Some((length, false)) => (length, takes_phonemes),
            None => (1, true),
        };
        if is_taken {
            out.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// The text without tags, which word timestamps count in.
pub fn removed(text: &str) -> String {
    kept(text, false, false)
}

/// Octets of the tag that a text begins with, and whether it is a pause.
fn tag(text: &str) -> Option<(usize, bool)> {
    if text.starts_with(PHONEME_END) {
        return Some((PHONEME_END.len(), false));
    }
    let length = |(begin, end): (&str, &str)| {
        let value = text.strip_prefix(begin)?;
        Some(begin.len() + value.find(end)? + end.len())
    };
    length(BREAK).map(|length| (length, true)).or_else(|| length(PHONEME).map(|length| (length, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_gets_the_tags_that_it_takes() {
        let (open, close) = sounds("bɑːθ");
        let text = format!("To {open}Bath{close},{} and 5 < 6.", pause(1_500));
        let with = |takes_breaks, takes_phonemes| kept(&text, takes_breaks, takes_phonemes);
        assert_eq!(with(true, true), text);
        assert_eq!(with(true, false), "To Bath,<break time=\"1.5s\" /> and 5 < 6.");
        assert_eq!(with(false, true), "To <phoneme alphabet=\"ipa\" ph=\"bɑːθ\">Bath</phoneme>, and 5 < 6.");
        assert_eq!(removed(&text), "To Bath, and 5 < 6.");
        assert!(are_in(&text) && !are_in("5 < 6"));
        assert_eq!(removed("a <break time=\"2"), "a <break time=\"2", "no tag of ours");
    }
}
