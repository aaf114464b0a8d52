//! Splits a streamed LLM response into segments that can be spoken while the rest is generated.

/// A segment without a sentence end is split at a space after this many bytes.
const SEGMENT_BYTES_MAX: usize = 240;
/// The first segment may end at a comma once it is this long, for lower latency.
const FIRST_CLAUSE_BYTES: usize = 24;
/// Ends with a dot without being a sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "no", "nr", "vs", "etc", "e.g", "i.e", "a.m", "p.m", "approx", "dhr",
    "mevr", "mw", "bijv", "bv", "o.a", "t.a.v", "d.w.z", "z.b", "bzw", "ca", "inc", "ltd", "jr", "sr",
];

/// Collects streamed text and splits it at sentence ends, or at 240 bytes; the first segment may end at a comma.
#[derive(Clone, Debug, Default)]
pub struct SentenceSplitter {
    pending: String,
    segments: usize,
}

impl SentenceSplitter {
    /// Adds text and passes on every finished segment.
    pub fn push(&mut self, text: &str, mut segment: impl FnMut(String)) {
        self.pending.push_str(text);
        while let Some(end) = self.find_end() {
            let rest = self.pending.split_off(end);
            let done = std::mem::replace(&mut self.pending, rest);
            if done.chars().any(char::is_alphanumeric) {
                self.segments += 1;
                segment(done.trim().to_owned());
            }
        }
    }

    /// The last segment at the end of the stream.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        rest.chars().any(char::is_alphanumeric).then(|| rest.trim().to_owned())
    }

    /// End of the first segment, with its punctuation. A dot counts only before a space, because it may be part of a
    /// number or a domain.
    fn find_end(&self) -> Option<usize> {
        let text = &self.pending;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let end = at + c.len_utf8();
            if c == '\n' && !text[..at].trim().is_empty() {
                return Some(end);
            }
            let Some((_, next)) = chars.peek() else { break };
            if !next.is_whitespace() {
                continue;
            }
            let ends = match c {
                '!' | '?' | '…' | ':' | ';' | '。' => true,
                '.' => !is_abbreviation(&text[..at]),
                ')' | '"' | '”' | '\'' => text[..at].ends_with(['.', '!', '?']),
                ',' | '–' | '—' => self.segments == 0 && at >= FIRST_CLAUSE_BYTES,
                _ => false,
            };
            if ends && text[..at].chars().any(char::is_alphanumeric) {
                return Some(end);
            }
        }
        if text.len() <= SEGMENT_BYTES_MAX {
            return None;
        }
        let limit = text.floor_char_boundary(SEGMENT_BYTES_MAX);
        text[..limit].rfind(' ').map(|at| at + 1).or(Some(limit))
    }
}

fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or("").to_lowercase();
    // A single letter is an initial; "3" in "3." may be the start of a list.
    let single = word.chars().count() == 1 && word.chars().all(char::is_alphanumeric);
    single || ABBREVIATIONS.contains(&word.trim_start_matches('('))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &[&str]) {
        for size in [1, 2, 5, 1_000] {
            let mut cutter = SentenceSplitter::default();
            let mut segments = vec![];
            let chars: Vec<char> = text.chars().collect();
            for chunk in chars.chunks(size) {
                cutter.push(&chunk.iter().collect::<String>(), |segment| segments.push(segment));
            }
            segments.extend(cutter.finish());
            assert_eq!(segments, wanted, "in chunks of {size}");
        }
    }

    #[test]
    fn sentences_are_cut_at_their_ends() {
        check("Hello there. How are you? Fine!", &["Hello there.", "How are you?", "Fine!"]);
        check("One\n\nTwo", &["One", "Two"]);
        check("He said \"stop.\" Then he left.", &["He said \"stop.\"", "Then he left."]);
    }

    #[test]
    fn numbers_abbreviations_and_domains_stay_whole() {
        check("It costs 3.50 euro. Visit example.com today.", &["It costs 3.50 euro.", "Visit example.com today."]);
        check("Ask Dr. Smith, e.g. at 9 a.m. tomorrow. Bye.", &["Ask Dr. Smith, e.g. at 9 a.m. tomorrow.", "Bye."]);
    }

    #[test]
    fn the_first_piece_may_end_at_a_comma() {
        check(
            "Let me have a look at that, one moment, please. Done.",
            &["Let me have a look at that,", "one moment, please.", "Done."],
        );
        check("Yes, of course.", &["Yes, of course."]);
    }

    #[test]
    fn endless_text_is_cut_and_nothing_is_no_piece() {
        check("... !", &[]);
        let mut cutter = SentenceSplitter::default();
        let mut segments = vec![];
        cutter.push(&"word ".repeat(100), |segment| segments.push(segment));
        assert!(segments.len() == 2 && segments.iter().all(|p| p.len() <= SEGMENT_BYTES_MAX));
    }
}
