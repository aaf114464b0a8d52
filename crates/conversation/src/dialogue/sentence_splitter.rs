//! Splits a streamed LLM response into segments that can be spoken while the rest is generated.

use super::text_normalization::{AbbreviationEnd, SpeechStyle, abbreviation_end, day_end, ssml};
use trunkline_media::turn::script::{has_no_blanks, joins_previous};
use trunkline_providers::Stall;

/// A segment without a sentence end is split after this many characters, at a blank or a comma.
const SEGMENT_CHARS_MAX: usize = 240;
/// The first segment may end at a comma once it is this long, for lower latency. Characters of Chinese, Japanese and
/// Korean count twice.
const FIRST_CLAUSE_WIDTH: usize = 24;
/// Blanks behind a dot after which what follows decides no more.
const BLANKS_MAX: usize = 4;
/// Polite particles that end a sentence in Thai, before white space.
const THAI_ENDS: &[&str] = &["ครับ", "ค่ะ", "คะ", "จ้ะ", "จ้า"];

/// A segment of a streamed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitSegment {
    /// Without white space around it.
    pub text: String,
    /// No white space stands between the segment before and this one.
    pub is_glued: bool,
}

/// Collects streamed text and splits it at sentence ends, or at 240 characters; the first segment may end at a comma.
#[derive(Clone, Debug, Default)]
pub struct SentenceSplitter {
    style: SpeechStyle,
    pending: String,
    segments: usize,
    /// The pending text follows the last segment without white space.
    is_glued: bool,
}

impl SentenceSplitter {
    /// Returns a splitter that knows the abbreviations of a style's language.
    pub fn new(style: SpeechStyle) -> Self {
        Self { style, ..Self::default() }
    }

    /// Adds text and passes on every finished segment.
    pub fn push(&mut self, text: &str, mut segment: impl FnMut(SplitSegment)) {
        self.pending.push_str(text);
        while let Some(end) = self.find_end() {
            let rest = self.pending.split_off(end);
            let done = std::mem::replace(&mut self.pending, rest);
            let parted = done.ends_with(char::is_whitespace) || self.pending.starts_with(char::is_whitespace);
            if done.chars().any(char::is_alphanumeric) {
                segment(SplitSegment {
                    text: done.trim().to_owned(),
                    is_glued: self.is_glued && self.segments > 0 && !done.starts_with(char::is_whitespace),
                });
                self.segments += 1;
                self.is_glued = !parted;
            }
        }
    }

    /// The last segment at the end of the stream.
    pub fn finish(&mut self) -> Option<SplitSegment> {
        let rest = std::mem::take(&mut self.pending);
        let is_glued = self.is_glued && self.segments > 0 && !rest.starts_with(char::is_whitespace);
        rest.chars().any(char::is_alphanumeric).then(|| SplitSegment { text: rest.trim().to_owned(), is_glued })
    }

    /// What has come so far, though more may follow.
    pub fn flush(&mut self) -> Option<SplitSegment> {
        let is_parted = self.pending.ends_with(char::is_whitespace);
        let segment = self.finish()?;
        self.segments += 1;
        self.is_glued = !is_parted;
        Some(segment)
    }

    /// What has come so far if it ends as a sentence does. After a brief stall, whatever follows: no number, abbreviation or
    /// address goes on behind its dot. After a long one, nothing else is asked. Within a sentence its whole words.
    pub fn end_sentence(&mut self, stall: Stall) -> Option<SplitSegment> {
        if stall == Stall::Within {
            return self.flush_words();
        }
        let text = self.pending.trim_end();
        let open = text.trim_end_matches(is_closer);
        let before = open.trim_end_matches(is_end);
        let marks = open.get(before.len()..)?;
        let is_open_tag =
            text.rfind('<').is_some_and(|at| ssml::may_become_tag(&text[at..]) && ssml::tag_len(&text[at..]) == 0);
        if marks.is_empty() || is_open_tag || stall == Stall::Brief && marks == "." && !self.is_final_dot(before) {
            return None;
        }
        self.flush()
    }

    /// What has come so far but for the last word, which may go on.
    fn flush_words(&mut self) -> Option<SplitSegment> {
        let text = self.pending.as_str();
        let may_go_on = |c: char| !c.is_whitespace() && !has_no_blanks(c);
        let whole = text.trim_end_matches(may_go_on);
        let has_open_tag = text.rfind('<').is_some_and(|at| ssml::tag_len(&text[at..]) == 0);
        if has_open_tag || !whole.chars().any(char::is_alphanumeric) {
            return None;
        }
        let last = self.pending.split_off(whole.len());
        let segment = self.flush();
        self.pending = last;
        segment
    }

    /// A dot that is the end of a sentence, whether a capital or a digit follows.
    fn is_final_dot(&self, before: &str) -> bool {
        let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let goes_on = word.contains(['.', '@', '/', ':', '_']) || word.ends_with(|c: char| c.is_numeric());
        let ends = |following| abbreviation_end(&self.style, before, Some(following)) == AbbreviationEnd::No;
        !goes_on && ['A', '1'].into_iter().all(ends)
    }

    /// Drops what has come of a sentence without its end, if anything was said before it.
    pub fn drop_unended(&mut self, is_continued: bool) {
        if is_continued && !ends_sentence(&self.pending) {
            self.pending.clear();
        }
    }

    /// End of the first segment, with its marks, closing quotes, brackets and tags. One character more than these has
    /// to be known.
    fn find_end(&self) -> Option<usize> {
        let text = self.pending.as_str();
        let mut at = 0;
        let mut says = false;
        let mut width = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let end = at + c.len_utf8();
            if c == '<' {
                let length = ssml::tag_len(&text[at..]);
                if length == 0 && ssml::may_become_tag(&text[at..]) {
                    return None;
                }
                at = if length == 0 { end } else { at + length };
                continue;
            }
            if says && c == '\n' {
                return Some(end);
            }
            if says && is_particle_end(text, at, c) {
                return Some(at);
            }
            if says && is_greek_question(text, at, c) {
                match text[end..].chars().next() {
                    Some(next) if next.is_whitespace() => return Some(end),
                    Some(_) => {}
                    None => return None,
                }
            }
            if says && is_end(c) {
                match self.end_at(text, at) {
                    EndSearch::End(end) => return Some(end),
                    EndSearch::Unknown => return None,
                    EndSearch::None(behind) => at = behind.max(end),
                }
                continue;
            }
            if self.segments == 0 && width >= FIRST_CLAUSE_WIDTH && is_clause_end(text, end, c) {
                return Some(end);
            }
            says |= c.is_alphanumeric();
            width += if has_no_blanks(c) { 2 } else { 1 };
            at = end;
        }
        too_long(text)
    }

    /// Whether the run of marks at an octet ends a sentence.
    fn end_at(&self, text: &str, at: usize) -> EndSearch {
        let run: usize = text[at..].chars().take_while(|c| is_end(*c)).map(char::len_utf8).sum();
        let marks = &text[at..at + run];
        let behind = behind_closers(text, at + run);
        let Some(next) = text[behind..].chars().next() else { return EndSearch::Unknown };
        if next == '<' && ssml::may_become_tag(&text[behind..]) {
            return EndSearch::Unknown;
        }
        let before = text[..at].chars().next_back();
        let is_east_asian = before.is_some_and(has_no_blanks);
        let closed = behind > at + run;
        let hard = marks.chars().any(is_hard_end) || is_east_asian && marks.contains('．');
        if hard {
            return EndSearch::End(behind);
        }
        let spaced = next.is_whitespace() || next == '<' || has_block_tag(&text[at + run..behind]);
        if !spaced {
            let question = marks.chars().any(|c| matches!(c, '?' | '!'));
            let between = question && is_east_asian && has_no_blanks(next) && !closed;
            return if between { EndSearch::End(behind) } else { EndSearch::None(behind) };
        }
        if marks != "." {
            return EndSearch::End(behind);
        }
        let blanks = [' ', '\t', '\u{a0}', '\u{202f}'];
        let following = text[behind..].trim_start_matches(blanks).chars().next();
        // Behind a closing mark only a small letter goes on.
        let following = following.filter(|c| !closed || c.is_lowercase()).or(following.filter(|_| closed).map(|_| 'A'));
        // Blanks alone are not waited for without end.
        let blank_len = text.len() - behind - text[behind..].trim_start_matches(blanks).len();
        let following = following.or((blank_len > BLANKS_MAX).then_some('\n'));
        let ends = match self.is_abbreviation(text, at, following) {
            AbbreviationEnd::No if following.is_some_and(char::is_uppercase) => {
                day_end(&self.style, &text[..at], &text[behind..])
            }
            ends => ends,
        };
        match ends {
            AbbreviationEnd::No => EndSearch::End(behind),
            AbbreviationEnd::Unknown => EndSearch::Unknown,
            AbbreviationEnd::Always | AbbreviationEnd::Here => EndSearch::None(behind),
        }
    }

    fn is_abbreviation(&self, text: &str, dot: usize, following: Option<char>) -> AbbreviationEnd {
        abbreviation_end(&self.style, &text[..dot], following)
    }
}

/// What a mark turned out to be.
enum EndSearch {
    End(usize),
    /// What follows decides, and has not come yet.
    Unknown,
    /// No end; the search goes on at this octet.
    None(usize),
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…') || is_hard_end(c) || c == '．'
}

/// Ends that need no white space behind them.
fn is_hard_end(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡' | '।' | '॥' | '؟' | '۔' | '።' | '။' | '។' | '։')
}

/// The question mark of Greek looks like a semicolon.
fn is_greek_question(text: &str, at: usize, c: char) -> bool {
    let is_greek = |c: char| matches!(u32::from(c), 0x370..=0x3FF | 0x1F00..=0x1FFF) && c.is_alphabetic();
    matches!(c, ';' | '\u{37E}') && text[..at].chars().next_back().is_some_and(is_greek)
}

fn is_closer(c: char) -> bool {
    matches!(
        c,
        ')' | '"'
            | '”'
            | '’'
            | '\''
            | '»'
            | ']'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '〉'
            | '］'
            | '｣'
            | '*'
            | '_'
            | '`'
    )
}

/// Whether a text ends as a sentence does.
pub fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end().trim_end_matches(is_closer);
    let asks = text.char_indices().next_back().is_some_and(|(at, c)| is_greek_question(text, at, c));
    asks || text.ends_with(is_end) || THAI_ENDS.iter().any(|end| text.ends_with(end))
}

/// Behind closing quotes, brackets and tags.
fn behind_closers(text: &str, at: usize) -> usize {
    let mut at = at;
    while let Some(rest) = text.get(at..) {
        let length = if rest.starts_with("</") || rest.starts_with("<br") { ssml::tag_len(rest) } else { 0 };
        match rest.chars().next() {
            _ if length > 0 => at += length,
            // A quote that opens stands before a letter, one that closes before white space or another mark.
            Some(c) if is_closer(c) => at += c.len_utf8(),
            _ => break,
        }
    }
    at
}

fn has_block_tag(closers: &str) -> bool {
    ["</s>", "</p>", "<br", "</li>", "</h", "</div>"].iter().any(|tag| closers.contains(tag))
}

/// White space behind a polite particle of Thai, perhaps in quotes.
fn is_particle_end(text: &str, at: usize, c: char) -> bool {
    if !c.is_whitespace() {
        return false;
    }
    let before = text[..at].trim_end_matches(is_closer);
    THAI_ENDS.iter().any(|end| before.ends_with(end))
}

/// A comma or dash behind which the first segment may end; not within numbers and dates, nor before a key.
fn is_clause_end(text: &str, end: usize, c: char) -> bool {
    let rest = &text[end..];
    match c {
        '，' | '、' | '；' => !rest.is_empty(),
        ',' | ';' | '–' | '—' | '،' | '؛' => {
            let number =
                rest.trim_start().chars().next().is_none_or(|next| next.is_ascii_digit() || matches!(next, '*' | '#'));
            rest.starts_with(char::is_whitespace) && !number
        }
        _ => false,
    }
}

/// A text without an end is cut at its limit: at white space, a comma, or, where words have no blanks, between two of
/// them as far as that can be seen.
fn too_long(text: &str) -> Option<usize> {
    let limit = text.char_indices().nth(SEGMENT_CHARS_MAX).map(|(at, _)| at)?;
    let head = &text[..limit];
    let blank = head.rfind(char::is_whitespace).filter(|at| !head[..*at].trim().is_empty());
    if let Some(at) = blank {
        return Some(at + head[at..].chars().next().map_or(1, char::len_utf8));
    }
    if let Some((at, c)) =
        head.char_indices().rev().find(|(_, c)| matches!(c, '，' | '、' | '；' | '：' | ',' | ';' | '،'))
    {
        return Some(at + c.len_utf8());
    }
    let hiragana = |c: char| ('\u{3041}'..='\u{309F}').contains(&c);
    let pairs = head.char_indices().rev().zip(head.chars().rev().skip(1));
    let particle = pairs.into_iter().find(|((_, c), before)| hiragana(*before) && !hiragana(*c) && !joins_previous(*c));
    if let Some(((at, _), _)) = particle.filter(|((at, _), _)| *at > head.len() / 2) {
        return Some(at);
    }
    // A word that never ends is cut at twice the limit.
    let (last, c) = text.char_indices().nth(SEGMENT_CHARS_MAX * 2)?;
    let start = text[..last].char_indices().rev().take(8).find(|_| !joins_previous(c)).map_or(last, |_| last);
    Some(start)
}

#[cfg(test)]
mod tests;
