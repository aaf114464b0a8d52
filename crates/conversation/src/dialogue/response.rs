//! One response of the agent, from the LLM's text to playback.

use super::placeholders;
use super::sentence_splitter::{SentenceSplitter, SplitSegment, ends_sentence};
use super::text_normalization::{NormalizedText, SpeechStyle};
use std::borrow::Cow;
use trunkline_domain::call_facts::CallVariables;
use trunkline_domain::chat::ToolCall;
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::transcript::TurnAuthor;
use trunkline_media::turn::script::{has_no_blanks, joins_previous};
use trunkline_providers::Stall;

/// Assumed speech rate while a segment's length is unknown: characters a second.
const CHARS_PER_SECOND: u64 = 15;
const RATE_HZ: u64 = 8_000;

/// What happens after the response was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterResponse {
    /// The caller's next turn is awaited.
    AwaitCaller,
    /// The call ends for this reason.
    HangUp(EndReason),
    /// The caller is put through.
    Transfer,
    /// Let the next agent take over.
    HandOver,
}

impl AfterResponse {
    /// The call ends then, whatever the caller says: a required provider has failed, or the time is over.
    pub fn is_final(self) -> bool {
        matches!(self, Self::HangUp(EndReason::ProviderError | EndReason::MaxDuration))
    }
}

#[derive(Clone, Debug)]
struct Segment {
    /// Text for transcript and history.
    text: String,
    /// Both forms, to find out what was heard; empty for text that was not normalized.
    said: NormalizedText,
    /// No white space stands between it and the segment before.
    is_glued: bool,
    /// Length, once TTS has finished it.
    samples: Option<u64>,
    /// Samples and characters spoken by then, if TTS sends word timestamps.
    marks: Vec<(u64, u32)>,
    heard: SegmentPlayback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SegmentPlayback {
    Waiting,
    Playing,
    Played,
    /// TTS failed: it was not heard.
    Failed,
}

/// The beginning of a response that is being heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseStart {
    /// When its first sound left, in milliseconds of the call.
    pub at_ms: u64,
    /// Which turn of the transcript it is.
    pub transcript_turn: u32,
}

/// One response of the agent: its segments, how far each was played, and what follows.
#[derive(Debug)]
pub struct AgentResponse {
    /// Number of the response within the call, from 1.
    pub response_id: u32,
    /// The LLM request that writes it; the same number, unless an earlier response to it was withdrawn.
    pub request_id: u32,
    /// What follows once the response was heard.
    pub after: AfterResponse,
    segments: Vec<Segment>,
    splitter: SentenceSplitter,
    /// What placeholders stand for that the model writes.
    variables: CallVariables,
    style: SpeechStyle,
    llm_done: bool,
    /// The LLM has begun a tool call behind its words.
    has_open_call: bool,
    /// Tool calls of the LLM; they run when the text before them was heard.
    pub tool_calls: Vec<ToolCall>,
    /// When its first sound left and its turn in the transcript; `None` before anything was heard.
    pub begun: Option<ResponseStart>,
    /// Scripted, not written by the LLM.
    pub is_scripted: bool,
    /// A filler said while a tool runs: already in the history.
    pub is_filler: bool,
    /// Number of segments that are fillers.
    fillers: usize,
    /// Barge-in is disabled.
    pub is_uninterruptible: bool,
    /// Whose words it is, where they are not the agent's own.
    pub said_by: Option<TurnAuthor>,
}

impl AgentResponse {
    /// A reply that the model will write.
    pub fn from_model(response_id: u32, style: SpeechStyle) -> Self {
        Self {
            response_id,
            request_id: response_id,
            style: style.clone(),
            after: AfterResponse::AwaitCaller,
            segments: Vec::new(),
            splitter: SentenceSplitter::new(style),
            variables: CallVariables::default(),
            llm_done: false,
            has_open_call: false,
            tool_calls: Vec::new(),
            begun: None,
            is_scripted: false,
            is_filler: false,
            fillers: 0,
            is_uninterruptible: false,
            said_by: None,
        }
    }

    /// The same response, with what placeholders stand for.
    #[must_use]
    pub fn with_variables(self, variables: CallVariables) -> Self {
        Self { variables, ..self }
    }

    /// The answer to the same request, without anything that it has said so far.
    #[must_use]
    pub fn begun_anew(&self, response_id: u32) -> Self {
        Self {
            request_id: self.request_id,
            is_uninterruptible: self.is_uninterruptible,
            ..Self::from_model(response_id, self.style.clone()).with_variables(self.variables.clone())
        }
    }

    /// A reply with a given text. Returns its segments, to be spoken.
    pub fn scripted(
        response_id: u32, text: &str, then: AfterResponse, style: SpeechStyle,
    ) -> (Self, Vec<(u32, String)>) {
        let mut response = Self { after: then, is_scripted: true, ..Self::from_model(response_id, style) };
        let mut segments = response.text(text);
        segments.extend(response.finish());
        (response, segments)
    }

    /// Adds text from the LLM. Returns the completed segments with their numbers.
    pub fn text(&mut self, text: &str) -> Vec<(u32, String)> {
        let mut cut = Vec::new();
        self.splitter.push(&visible(text), |segment| cut.push(segment));
        cut.into_iter().filter_map(|segment| self.add(&segment)).collect()
    }

    /// The LLM has finished.
    pub fn finish(&mut self) -> Option<(u32, String)> {
        self.llm_done = true;
        let last = self.splitter.finish()?;
        self.add(&last)
    }

    /// Nothing more has come for a while: what ends as a sentence is said.
    pub fn end_sentence(&mut self, stall: Stall) -> Option<(u32, String)> {
        let sentence = self.splitter.end_sentence(stall)?;
        self.add(&sentence)
    }

    /// A tool call follows: all words so far are said.
    pub fn flush(&mut self) -> Option<(u32, String)> {
        self.has_open_call = true;
        let words = self.splitter.flush()?;
        self.add(&words)
    }

    /// The LLM has failed within a sentence, or within a tool call.
    pub fn lacks_end(&self) -> bool {
        let text = self.segments.last().map(|segment| segment.text.as_str()).unwrap_or_default();
        self.has_open_call || !ends_sentence(text)
    }

    /// Adds a phrase of the agent behind the LLM's words.
    pub fn add_phrase(&mut self, text: &str) -> Option<(u32, String)> {
        self.add(&SplitSegment { text: text.to_owned(), is_glued: false })
    }

    /// The LLM was cut off: a sentence that it has not ended is not said, unless nothing else is.
    pub fn cut(&mut self) {
        self.splitter.drop_unended(self.has_words());
    }

    /// Adds a filler while the LLM is slow.
    pub fn add_filler(&mut self, text: &str) -> Option<(u32, String)> {
        let segment = self.add(&SplitSegment { text: text.to_owned(), is_glued: false })?;
        self.fillers += 1;
        Some(segment)
    }

    /// Opens a segment whose text arrives with its audio or later (realtime).
    pub fn open_segment(&mut self) -> u32 {
        self.push(NormalizedText::default(), false)
    }

    /// Appends to the text of a segment, or replaces it.
    pub fn set_segment_text(&mut self, index: u32, text: &str, whole: bool) {
        if let Some(segment) = self.segments.get_mut(index as usize) {
            if whole {
                segment.text.clear();
            }
            segment.text.push_str(text);
        }
    }

    /// The first segment that was not played to its end.
    pub fn unfinished(&self) -> Option<u32> {
        self.segments.iter().position(|segment| segment.heard != SegmentPlayback::Played).map(|index| index as u32)
    }

    /// Adds a segment; `None` if nothing of it can be spoken.
    fn add(&mut self, segment: &SplitSegment) -> Option<(u32, String)> {
        // The agent's own texts were filled in before.
        let written = segment.text.as_str();
        let is_filled = self.is_scripted || !placeholders::may_have(written);
        let text = if is_filled { Cow::Borrowed(written) } else { placeholders::resolve(written, &self.variables) };
        let said = self.style.normalize(&text);
        let to_say = self.style.for_voice(&text, &said);
        (!said.spoken.is_empty()).then(|| (self.push(said, segment.is_glued), to_say))
    }

    fn push(&mut self, said: NormalizedText, is_glued: bool) -> u32 {
        self.segments.push(Segment {
            text: said.shown.clone(),
            said,
            is_glued,
            samples: None,
            marks: Vec::new(),
            heard: SegmentPlayback::Waiting,
        });
        self.segments.len() as u32 - 1
    }

    /// Records the length of a segment that TTS has finished, in samples at 8 kHz.
    pub fn record_tts_done(&mut self, index: u32, samples: u64) {
        if let Some(segment) = self.segments.get_mut(index as usize) {
            segment.samples = Some(samples);
        }
    }

    /// The voice says where its words are.
    pub fn add_word_timestamps(&mut self, index: u32, marks: &[(u64, u32)]) {
        if let Some(segment) = self.segments.get_mut(index as usize) {
            segment.marks.extend_from_slice(marks);
        }
    }

    /// Records that TTS failed for a segment; ignored once its playback has begun.
    pub fn record_tts_failed(&mut self, index: u32) {
        if let Some(segment) = self.segments.get_mut(index as usize)
            && segment.heard == SegmentPlayback::Waiting
        {
            segment.heard = SegmentPlayback::Failed;
        }
    }

    /// Records that the playback of a segment has begun.
    pub fn mark_playing(&mut self, index: u32) {
        if let Some(segment) = self.segments.get_mut(index as usize) {
            segment.heard = SegmentPlayback::Playing;
        }
    }

    /// Records that a segment was played to its end.
    pub fn mark_played(&mut self, index: u32) {
        if let Some(segment) = self.segments.get_mut(index as usize) {
            segment.heard = SegmentPlayback::Played;
        }
    }

    /// Returns whether there is a segment other than the fillers.
    pub fn has_words(&self) -> bool {
        self.segments.len() > self.fillers
    }

    /// The caller hears nothing because the LLM has not gone on: everything of it that came was heard.
    pub fn waits_for_model(&self) -> bool {
        let is_heard = |segment: &Segment| matches!(segment.heard, SegmentPlayback::Played | SegmentPlayback::Failed);
        let is_silent = !self.has_words() || self.segments.iter().all(is_heard);
        !self.is_scripted && !self.llm_done && is_silent
    }

    /// Returns whether the LLM has finished the text.
    pub fn is_model_done(&self) -> bool {
        self.llm_done
    }

    /// Nothing more will be heard.
    pub fn is_over(&self) -> bool {
        self.llm_done
            && self
                .segments
                .iter()
                .all(|segment| matches!(segment.heard, SegmentPlayback::Played | SegmentPlayback::Failed))
    }

    /// All segments ended without being heard: TTS failed altogether.
    pub fn was_silent(&self) -> bool {
        self.has_words() && self.segments.iter().all(|segment| segment.heard == SegmentPlayback::Failed)
    }

    /// Everything said so far, counting segments in playback as heard.
    pub fn said(&self) -> String {
        join(
            self.segments
                .iter()
                .filter(|p| matches!(p.heard, SegmentPlayback::Playing | SegmentPlayback::Played))
                .map(|p| (p.text.as_str(), p.is_glued)),
        )
    }

    /// All text of the response, heard or not.
    pub fn whole_text(&self) -> String {
        join(self.segments.iter().map(|segment| (segment.text.as_str(), segment.is_glued)))
    }

    /// Truncates the response, given the samples sent per segment. Returns the heard text and the rest.
    pub fn truncate_at(&self, sent: &[(u32, u64)]) -> (String, String) {
        let (mut heard, mut rest) = (Vec::new(), Vec::new());
        for (index, segment) in self.segments.iter().enumerate() {
            let sent_of = sent.iter().find(|(i, _)| *i as usize == index).map(|(_, samples)| *samples);
            match (segment.heard, sent_of) {
                (SegmentPlayback::Played, _) => heard.push((segment.text.as_str(), segment.is_glued)),
                (SegmentPlayback::Failed, _) => {}
                (_, Some(samples)) if samples > 0 => {
                    let (yes, no) = segment.split(samples);
                    heard.push((yes, segment.is_glued));
                    rest.push((no, segment.is_glued));
                }
                _ => rest.push((segment.text.as_str(), segment.is_glued)),
            }
        }
        (join(heard.into_iter()), join(rest.into_iter()))
    }
}

impl Segment {
    /// The heard text of the segment and the rest, as displayed.
    fn split(&self, sent: u64) -> (&str, &str) {
        // Text of a realtime model is not normalized.
        if self.said.spoken.is_empty() {
            return spoken(&self.text, sent, self.samples, &self.marks);
        }
        let (heard, _) = spoken(&self.said.spoken, sent, self.samples, &self.marks);
        let (yes, no) = self.text.split_at(self.text.floor_char_boundary(self.said.shown_by(heard.len())));
        (yes.trim_end(), no.trim_start())
    }
}

/// A text without signs that nobody sees or says: controls, marks of direction and width, and what could not be read.
/// Joiners stay: scripts and emoji need them.
fn visible(text: &str) -> Cow<'_, str> {
    let is_unseen = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\r' | '\t')
            || matches!(c, '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}' | '\u{FFFD}')
            || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}')
    };
    let is_line = |c: char| matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(|c| is_unseen(c) || is_line(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| !is_unseen(*c)).map(|c| if is_line(c) { '\n' } else { c }).collect())
}

/// Joins pieces with blanks, except those that follow each other without one.
fn join<'a>(parts: impl Iterator<Item = (&'a str, bool)>) -> String {
    let mut joined = String::new();
    for (part, is_glued) in parts.filter(|(part, _)| !part.is_empty()) {
        if !joined.is_empty() && !is_glued {
            joined.push(' ');
        }
        joined.push_str(part);
    }
    joined
}

/// Splits a text at the words spoken in so many samples: by word timestamps, or without them by the share of the audio;
/// a word counts if most of it was spoken. In languages without blanks each character is a word.
pub fn spoken<'a>(text: &'a str, sent: u64, total: Option<u64>, marks: &[(u64, u32)]) -> (&'a str, &'a str) {
    let chars = text.chars().count() as u64;
    // Timestamps mark word ends; up to half a second around them is interpolated.
    let last = marks.iter().rev().find(|(at, _)| *at <= sent);
    let known = marks.last().is_some_and(|(at, _)| sent <= at + RATE_HZ / 2);
    let heard_chars = match last {
        Some((_, chars)) if known => u64::from(*chars),
        None if known => 0,
        _ => {
            let total = total.unwrap_or(chars * RATE_HZ / CHARS_PER_SECOND).max(1);
            (chars * sent.min(total)).div_ceil(total)
        }
    };
    if heard_chars >= chars {
        return (text, "");
    }
    let (mut end, mut word_start, mut before) = (0, 0, ' ');
    for (count, (at, c)) in text.char_indices().enumerate() {
        let is_blank = c.is_whitespace();
        let is_seam = !before.is_whitespace() && (has_no_blanks(before) || has_no_blanks(c)) && !joins_previous(c);
        if is_blank || is_seam && !c.is_ascii_punctuation() {
            let middle = (word_start + count + usize::from(!is_blank)) as u64 / 2;
            if middle > heard_chars {
                break;
            }
            end = at;
            word_start = count + usize::from(is_blank);
        }
        before = c;
    }
    (&text[..end], text[end..].trim_start())
}

/// Whether a text has anything that a voice can say.
pub fn is_sayable(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_that_nobody_sees_are_not_said_or_kept() {
        let mut response = AgentResponse::from_model(1, SpeechStyle::default());
        let text = "It\u{200b} is\0 on\u{202e} its\u{feff} way\u{2028}So\u{ad}on.\u{fffd} \u{200e}Yes.\n";
        let said: Vec<String> = response.text(text).into_iter().map(|(_, text)| text).collect();
        assert_eq!(said, ["It is on its way", "Soon.", "Yes."]);
    }

    #[test]
    fn an_interrupted_reply_is_cut_at_the_word_that_was_heard() {
        let mut response = AgentResponse::from_model(1, SpeechStyle::default());
        assert_eq!(
            response.text("Your order was shipped. It will arrive on Monday morning.\n"),
            [(0, "Your order was shipped.".to_owned()), (1, "It will arrive on Monday morning.".to_owned()),]
        );
        response.mark_playing(0);
        response.mark_played(0);
        response.mark_playing(1);
        response.record_tts_done(1, 16_000);
        let (heard, rest) = response.truncate_at(&[(1, 8_000)]);
        assert_eq!((heard.as_str(), rest.as_str()), ("Your order was shipped. It will arrive on", "Monday morning."));
        let (heard, rest) = response.truncate_at(&[(1, 0)]);
        assert_eq!((heard.as_str(), rest.as_str()), ("Your order was shipped.", "It will arrive on Monday morning."));
        let (heard, rest) = response.truncate_at(&[(1, 16_000)]);
        assert_eq!((heard.as_str(), rest.as_str()), ("Your order was shipped. It will arrive on Monday morning.", ""));
    }

    #[test]
    fn what_is_said_differently_is_cut_as_it_is_shown() {
        let mut response = AgentResponse::from_model(1, SpeechStyle::default());
        assert_eq!(response.text("It costs €12.50 a month.\n"), [(0, "It costs 12 euros 50 a month.".to_owned())]);
        response.mark_playing(0);
        response.record_tts_done(0, 16_000);
        let cut = |sent| response.truncate_at(&[(0, sent)]);
        assert_eq!(cut(4_000), ("It costs".to_owned(), "€12.50 a month.".to_owned()));
        assert_eq!(cut(9_000), ("It costs €12.50".to_owned(), "a month.".to_owned()));
        assert_eq!(cut(16_000), ("It costs €12.50 a month.".to_owned(), String::new()));
    }

    #[test]
    fn tts_word_timestamps_say_what_was_heard() {
        let text = "Slowly now. It will arrive on Monday.";
        // The first two words take almost all of the time.
        let marks = [(8_000, 7), (14_000, 11), (14_500, 14), (15_000, 19), (15_400, 26), (15_600, 29), (16_000, 37)];
        let spoken = |sent| spoken(text, sent, Some(16_000), &marks);
        assert_eq!(spoken(4_000), ("", text));
        assert_eq!(spoken(14_100), ("Slowly now.", "It will arrive on Monday."));
        assert_eq!(spoken(15_500), ("Slowly now. It will arrive", "on Monday."));
        assert_eq!(spoken(16_000), (text, ""));
    }

    /// What is heard of a text of so many samples after some of them.
    fn heard_of(language: &str, text: &str, samples: u64, sent: u64) -> (String, String) {
        let mut response = AgentResponse::from_model(1, SpeechStyle::new(language, false));
        let segments = response.text(text).len() + usize::from(response.finish().is_some());
        assert_eq!(segments, 1);
        response.mark_playing(0);
        response.record_tts_done(0, samples);
        response.truncate_at(&[(0, sent)])
    }

    #[test]
    fn languages_without_blanks_are_cut_at_the_character_that_was_heard() {
        let long = "我们明天下午三点可以给您送货请您在家等候我们的司机会提前给您打电话";
        let (heard, rest) = heard_of("zh", long, 52_000, 24_000);
        assert_eq!(heard + &rest, long);
        let share = heard_of("zh", long, 52_000, 24_000).0.chars().count() * 100 / long.chars().count();
        assert!((40..=50).contains(&share), "{share} %");
        for (language, text) in [
            ("zh", "我们明天下午三点，可以给您送货。"),
            ("ja", "ご注文の商品は明日の午後に届きますので少々お待ちください。"),
            ("th", "เราจะส่งของให้คุณพรุ่งนี้ตอนบ่ายสามโมงกรุณารอที่บ้าน"),
        ] {
            for sent in (0..=32_000).step_by(1_000) {
                let (heard, rest) = heard_of(language, text, 32_000, sent);
                assert_eq!(format!("{heard}{rest}"), text);
                let (share, wanted) = (heard.chars().count() * 32_000, text.chars().count() * sent as usize);
                assert!(share.abs_diff(wanted) <= 32_000 * 5, "{language}: {heard:?} after {sent}");
                assert!(rest.is_empty() || !rest.starts_with(joins_previous), "{rest:?}");
            }
        }
        assert_eq!(heard_of("zh", "您的 order 已经发货。", 8_000, 4_000).0, "您的 order");
    }

    #[test]
    fn pieces_are_joined_as_the_model_wrote_them() {
        for (language, text) in [
            ("zh", "您好！请问您需要什么帮助？我可以帮您查询订单。"),
            ("zh", "OK! 我来帮您。Please wait. 谢谢。"),
            ("hi", "नमस्ते।मैं आपकी मदद कर सकता हूँ। ठीक है?"),
            ("ar", "هل أنت متأكد؟نعم. شكرا."),
        ] {
            let mut response = AgentResponse::from_model(1, SpeechStyle::new(language, false));
            let pieces = response.text(text).len() + usize::from(response.finish().is_some());
            (0..pieces as u32).for_each(|index| response.mark_played(index));
            assert_eq!((pieces > 1, response.said()), (true, text.to_owned()));
        }
    }

    #[test]
    fn a_reply_is_over_when_all_of_it_was_heard() {
        let (mut response, segments) =
            AgentResponse::scripted(3, "One. Two.", AfterResponse::AwaitCaller, SpeechStyle::default());
        assert_eq!(segments.len(), 2);
        response.mark_played(0);
        assert!(!response.is_over());
        response.record_tts_failed(1);
        assert!(response.is_over() && !response.was_silent());
        assert_eq!(response.said(), "One.");
    }
}
