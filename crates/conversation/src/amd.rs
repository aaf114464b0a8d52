//! Answering machine detection (AMD): who has answered an outbound call, and when voicemail is ready. A plain value fed
//! with voice activity, words and tones. It causes no delay: a person is greeted while it runs.

use crate::dialogue::amd_phrases::{AmdResult, AnnouncementEvidence, classify_announcement, is_statement};
use std::time::{Duration, Instant};
use trunkline_media::detect::tone::Tone;

/// AMD runs for this long after the answer.
const AMD_TIMEOUT: Duration = Duration::from_secs(25);
/// Speech without pause that no person answers with, when no words are known.
const MONOLOGUE_MIN: Duration = Duration::from_millis(6_000);
/// Speech without pause, now over, that makes a machine of words that a person could say too.
const ANNOUNCEMENT_MIN: Duration = Duration::from_millis(4_000);
/// The same while it goes on: a receptionist may still offer help.
const ANNOUNCEMENT_GOING_ON_MIN: Duration = Duration::from_secs(10);
/// How long after its words a beep belongs to an announcement, whoever has spoken since.
const BEEP_AFTER_MAX: Duration = Duration::from_secs(10);
/// How long after a statement that was answered a beep still belongs to it: "Hi, this is Bob." is all that some mailboxes say.
const BEEP_AFTER_STATEMENT_MAX: Duration = Duration::from_secs(3);
/// A pause that ends an utterance.
const PAUSE: Duration = Duration::from_millis(700);
/// A short utterance followed by a pause is a person.
const SHORT_UTTERANCE_MAX: Duration = Duration::from_millis(3_500);
/// What a question ends with.
const QUESTION_MARKS: [char; 3] = ['?', '？', '؟'];
/// Fax tones: CED 2100 Hz and CNG 1100 Hz, within 25 Hz.
const CED_HZ: u32 = 2_100;
const CNG_HZ: u32 = 1_100;
const FAX_DRIFT_HZ: u32 = 25;
/// A beep is at least this long and at most that.
const BEEP_MS: std::ops::RangeInclusive<u32> = 120..=2_500;

/// What was heard of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeardVoice {
    /// Nothing yet.
    None,
    /// A run of speech goes on since `run`, perhaps after short pauses; `last_sound` is from before them.
    Speaking { run: Instant, last_sound: Option<Instant> },
    /// The run has ended for now.
    Quiet { run: Instant, last_sound: Instant },
}

/// How far the call has come: the further, the more it takes to be a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallStage {
    /// On the way to the callee: persons do not speak here.
    EarlyMedia,
    /// Answered. Words that only recordings say are enough, and so is a beep after speech.
    Opening,
    /// A person has answered and has been answered: words need a second sign, a monologue or a beep.
    Conversation,
}

/// What words made likely and no second sign has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WordHint {
    amd: AmdResult,
    /// STT does not change the words any more.
    is_settled: bool,
}

/// What was said first, and was answered.
#[derive(Clone, Debug)]
struct Opening {
    last_sound: Instant,
    words: String,
    /// STT does not change the words any more.
    is_settled: bool,
}

/// Answering machine detection for one outbound call. It ends 25 s after the answer, or with any result but a person.
#[derive(Clone, Debug)]
pub struct AmdDetector {
    since: Instant,
    voice: HeardVoice,
    words: String,
    /// STT has found words, which may still change.
    has_words: bool,
    stage: CallStage,
    hint: Option<WordHint>,
    /// `None` before it was answered, and when something else was said.
    opening: Option<Opening>,
    /// When words of a mailbox were heard last, with nothing else since.
    announced: Option<Instant>,
    result: Option<AmdResult>,
}

impl AmdDetector {
    /// The callee is audible from now on, after the answer.
    pub fn new(now: Instant) -> Self {
        let (voice, stage) = (HeardVoice::None, CallStage::Opening);
        Self {
            since: now,
            voice,
            words: String::new(),
            has_words: false,
            stage,
            hint: None,
            opening: None,
            announced: None,
            result: None,
        }
    }

    /// The network or a mailbox may be audible from now on, before the answer.
    pub fn early_media(now: Instant) -> Self {
        Self { stage: CallStage::EarlyMedia, ..Self::new(now) }
    }

    /// The agent is heard, after what is known of the other side so far. Silence behind it is no sign of anything: people
    /// think, look for something, or wait for us to go on.
    pub fn handle_agent_speaking(&mut self) {
        self.begin_conversation();
    }

    /// After the words of a person, an agent that was heard makes it a conversation.
    fn begin_conversation(&mut self) {
        let HeardVoice::Quiet { last_sound, .. } = self.voice else { return };
        if self.result == Some(AmdResult::Human) {
            // What follows is judged by itself.
            let (words, before) = (std::mem::take(&mut self.words), self.stage);
            (self.stage, self.hint) = (CallStage::Conversation, None);
            if before != CallStage::Conversation {
                self.opening = Some(Opening { last_sound, is_settled: !words.is_empty(), words });
            }
        }
    }

    /// The call is answered: earlier sound was on the way there, unless it was a machine.
    pub fn handle_answered(&mut self, now: Instant) {
        if self.result.is_none() {
            *self = Self::new(now);
        }
    }

    /// Returns the latest result, which may still change from a person to a machine; `None` while undecided.
    pub fn result(&self) -> Option<AmdResult> {
        self.result
    }

    /// The detection has ended.
    pub fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > AMD_TIMEOUT
            || self.result.is_some_and(|result| result != AmdResult::Human)
    }

    /// Records that voice activity began at this instant. A pause of up to 700 ms continues the same run of speech.
    pub fn handle_speech_started(&mut self, at: Instant) {
        let (run, last_sound) = match self.voice {
            HeardVoice::None => (at, None),
            HeardVoice::Speaking { run, last_sound } => (run, last_sound),
            HeardVoice::Quiet { run, last_sound } => (run, Some(last_sound)),
        };
        let paused = last_sound.is_none_or(|last| at.saturating_duration_since(last) > PAUSE);
        self.voice = HeardVoice::Speaking { run: if paused { at } else { run }, last_sound };
    }

    /// Records that voice activity ended; `last_sound` is the instant of its last sound.
    pub fn handle_speech_ended(&mut self, last_sound: Instant) {
        if let HeardVoice::Speaking { run, .. } | HeardVoice::Quiet { run, .. } = self.voice {
            self.voice = HeardVoice::Quiet { run, last_sound };
        }
    }

    /// Words of the other side, including interim results: `text` is everything since the last final result.
    pub fn handle_words(&mut self, now: Instant, text: &str, is_final: bool) -> Option<AmdResult> {
        if self.is_over(now) || text.is_empty() {
            return None;
        }
        self.has_words = true;
        self.note_opening(text, is_final);
        let all = format!("{} {text}", self.words);
        // A person who was answered may say what mailboxes say, and ask something. "Hello? I'm not here." asks nothing.
        let behind = all.rsplit(QUESTION_MARKS).next().unwrap_or_default();
        let judged = if self.stage == CallStage::Conversation { behind } else { &all };
        let found = classify_announcement(judged);
        if is_final {
            self.words = all;
        }
        let (amd, is_enough) = match found {
            Some(AnnouncementEvidence::Strong(amd)) => (amd, self.stage != CallStage::Conversation),
            Some(AnnouncementEvidence::Weak(amd)) => (amd, self.stage == CallStage::EarlyMedia),
            None => {
                (self.hint, self.announced) = (None, None);
                return None;
            }
        };
        self.announced = (amd == AmdResult::Voicemail).then_some(now);
        self.hint = Some(WordHint { amd, is_settled: is_final });
        if is_enough { self.decide(amd) } else { self.confirm_hint(now) }
    }

    /// Words that come late may be those that were answered; others end the opening.
    fn note_opening(&mut self, text: &str, is_final: bool) {
        match &mut self.opening {
            Some(opening) if !opening.is_settled => {
                (opening.words, opening.is_settled) = (text.to_owned(), is_final);
            }
            _ => self.opening = None,
        }
    }

    /// When a hint is confirmed by a monologue. In a conversation its end is waited for: it may still become a question.
    fn hint_due(&self) -> Option<Instant> {
        let hint = self.hint?;
        let is_conversation = self.stage == CallStage::Conversation;
        match self.voice {
            HeardVoice::Speaking { run, .. } => (!is_conversation).then_some(run + ANNOUNCEMENT_GOING_ON_MIN),
            HeardVoice::Quiet { run, last_sound }
                if last_sound.saturating_duration_since(run) >= ANNOUNCEMENT_MIN
                    && (hint.is_settled || !is_conversation) =>
            {
                Some(if is_conversation { last_sound + PAUSE } else { last_sound })
            }
            HeardVoice::None | HeardVoice::Quiet { .. } => None,
        }
    }

    /// Decides if a monologue has confirmed what the words made likely.
    fn confirm_hint(&mut self, now: Instant) -> Option<AmdResult> {
        if self.hint_due().is_none_or(|due| now < due) {
            return None;
        }
        let hint = self.hint.take()?;
        if self.is_over(now) { None } else { self.decide(hint.amd) }
    }

    /// Checks a tone for a fax signal or a voicemail beep; returns the result if the tone changes it.
    pub fn handle_tone(&mut self, now: Instant, tone: &Tone) -> Option<AmdResult> {
        if self.is_over(now) {
            return None;
        }
        let near = |hz: u32| tone.frequency_hz.abs_diff(hz) <= FAX_DRIFT_HZ;
        if near(CED_HZ) && tone.duration_ms >= 900 || near(CNG_HZ) && (400..=700).contains(&tone.duration_ms) {
            return self.decide(AmdResult::Fax);
        }
        // A beep after speech: voicemail whose words were not recognised.
        let spoke = match self.stage {
            CallStage::EarlyMedia | CallStage::Opening => self.voice != HeardVoice::None || !self.words.is_empty(),
            CallStage::Conversation => {
                let is_within = |at: Instant, max: Duration| now.saturating_duration_since(at) <= max;
                let opening = self.opening.as_ref().filter(|opening| is_statement(&opening.words));
                self.announced.is_some_and(|at| is_within(at, BEEP_AFTER_MAX))
                    || opening.is_some_and(|opening| is_within(opening.last_sound, BEEP_AFTER_STATEMENT_MAX))
            }
        };
        (is_beep(tone) && spoke).then(|| self.decide(AmdResult::Voicemail)).flatten()
    }

    /// Timeout: a person waits for a reply, a machine continues.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<AmdResult> {
        let at = self.poll_timeout()?;
        if now < at {
            return None;
        }
        if self.hint_due().is_some_and(|due| due <= now) {
            return self.confirm_hint(now);
        }
        match self.voice {
            HeardVoice::None => None,
            HeardVoice::Speaking { .. } => self.decide(AmdResult::Voicemail),
            HeardVoice::Quiet { .. } => self.decide(AmdResult::Human),
        }
    }

    /// Returns when the machine must be called for a timeout; `None` when no result depends on time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let by_voice = match self.result {
            None => self.voice_due(),
            Some(AmdResult::Human) => None,
            Some(_) => return None,
        };
        by_voice.into_iter().chain(self.hint_due()).min()
    }

    /// When the voice alone decides.
    fn voice_due(&self) -> Option<Instant> {
        match self.voice {
            HeardVoice::Speaking { run, .. } if !self.has_words => Some(run + MONOLOGUE_MIN),
            HeardVoice::Quiet { run, last_sound }
                if last_sound.saturating_duration_since(run) <= SHORT_UTTERANCE_MAX =>
            {
                Some(last_sound + PAUSE)
            }
            HeardVoice::None | HeardVoice::Speaking { .. } | HeardVoice::Quiet { .. } => None,
        }
    }

    fn decide(&mut self, amd: AmdResult) -> Option<AmdResult> {
        if self.result == Some(amd) {
            return None;
        }
        self.result = Some(amd);
        Some(amd)
    }
}

/// Whether a tone is a voicemail beep.
pub fn is_beep(tone: &Tone) -> bool {
    !tone.lasting && BEEP_MS.contains(&tone.duration_ms) && tone.frequency_hz.abs_diff(CED_HZ) > FAX_DRIFT_HZ
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn answered() -> (Instant, AmdDetector) {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let now = Instant::now();
        (now, AmdDetector::new(now))
    }

    fn tone(frequency_hz: u32, duration_ms: u32) -> Tone {
        Tone { frequency_hz, duration_ms, lasting: duration_ms >= 1_000 }
    }

    #[test]
    fn person_says_hello_and_waits() {
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        d.handle_speech_ended(t + 800 * MS);
        assert_eq!(d.handle_words(t + 1_000 * MS, "Hello?", true), None);
        assert_eq!(d.poll_timeout(), Some(t + 1_500 * MS));
        assert_eq!(d.handle_timeout(t + 1_500 * MS), Some(AmdResult::Human));
    }

    #[test]
    fn voicemail_greeting_that_begins_like_a_person() {
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        d.handle_speech_ended(t + 1_500 * MS);
        assert_eq!(d.handle_timeout(t + 2_300 * MS), Some(AmdResult::Human), "Hi, this is John.");
        d.handle_speech_started(t + 2_400 * MS);
        let words = "Hi, this is John. I can't come to the phone";
        assert_eq!(d.handle_words(t + 4_000 * MS, words, false), None, "a person may say so");
        let words = format!("{words}, so leave a message");
        assert_eq!(d.handle_words(t + 5_000 * MS, &words, false), Some(AmdResult::Voicemail));
        assert_eq!(d.handle_words(t + 5_000 * MS, "press one", true), None, "decided is decided");
    }

    #[test]
    fn voicemail_greeting_in_an_unknown_language() {
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        assert_eq!(d.handle_timeout(t + 6_300 * MS), Some(AmdResult::Voicemail));
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        d.handle_speech_ended(t + 5_000 * MS);
        assert_eq!(d.handle_timeout(t + 5_700 * MS), None, "too long for a person, and it waits: nothing is certain");
        assert_eq!(d.handle_tone(t + 6_000 * MS, &tone(1_000, 400)), Some(AmdResult::Voicemail));
    }

    #[test]
    fn fax_machines_are_known_by_their_tones() {
        let (t, mut d) = answered();
        assert_eq!(d.handle_tone(t + 2_000 * MS, &tone(2_098, 1_000)), Some(AmdResult::Fax));
        let (t, mut d) = answered();
        assert_eq!(d.handle_tone(t + 2_000 * MS, &tone(1_102, 500)), Some(AmdResult::Fax));
        let (t, mut d) = answered();
        assert_eq!(d.handle_tone(t + 2_000 * MS, &tone(425, 1_000)), None, "still ringing");
    }

    /// "Hello?", a pause, and the agent's answer.
    fn in_conversation() -> (Instant, AmdDetector) {
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        d.handle_speech_ended(t + 800 * MS);
        assert_eq!(d.handle_timeout(t + 1_500 * MS), Some(AmdResult::Human));
        d.handle_agent_speaking();
        (t, d)
    }

    #[test]
    fn a_person_who_was_answered_stays_a_person_whatever_the_words() {
        for words in [
            "He is not available right now, can I take a message?",
            "I'm driving, can I get back to you?",
            "You have reached the Smith residence, who's calling?",
            "I'll have you forwarded to accounting.",
            "I deleted your voicemail, what was it about?",
            "Should I record your message after the tone?",
            "Press one and see what happens.",
        ] {
            let (t, mut d) = in_conversation();
            d.handle_speech_started(t + 5_000 * MS);
            assert_eq!(d.handle_words(t + 6_000 * MS, words, false), None, "{words}");
            d.handle_speech_ended(t + 8_000 * MS);
            assert_eq!(d.handle_words(t + 8_300 * MS, words, true), None, "{words}");
            assert_eq!(d.result(), Some(AmdResult::Human));
        }
    }

    #[test]
    fn a_second_sign_makes_a_mailbox_even_after_an_answer() {
        let (t, mut d) = in_conversation();
        d.handle_speech_started(t + 3_000 * MS);
        let words = "I can't come to the phone. Please leave a message after the tone.";
        assert_eq!(d.handle_words(t + 6_000 * MS, words, false), None);
        assert_eq!(d.handle_words(t + 7_000 * MS, words, true), None, "it may still become a question");
        d.handle_speech_ended(t + 7_200 * MS);
        assert_eq!(d.poll_timeout(), Some(t + 7_900 * MS));
        assert_eq!(d.handle_timeout(t + 7_900 * MS), Some(AmdResult::Voicemail), "a monologue");
        assert_eq!(d.poll_timeout(), None);
        let (t, mut d) = in_conversation();
        d.handle_speech_started(t + 3_000 * MS);
        d.handle_speech_ended(t + 8_000 * MS);
        assert_eq!(d.handle_words(t + 8_300 * MS, words, false), None);
        assert_eq!(d.poll_timeout(), None, "they may still change");
        assert_eq!(d.handle_words(t + 8_800 * MS, words, true), Some(AmdResult::Voicemail), "its words came late");
        let (t, mut d) = in_conversation();
        assert_eq!(d.handle_tone(t + 4_000 * MS, &tone(1_000, 400)), None, "a key or a spoon");
        d.handle_words(t + 6_000 * MS, "please leave a message", true);
        assert_eq!(d.handle_tone(t + 7_000 * MS, &tone(1_000, 400)), Some(AmdResult::Voicemail), "a beep");
    }

    #[test]
    fn a_joke_of_a_person_who_was_answered_is_no_mailbox() {
        for rest in ["No really, who is this?", "Who is this? I mean it.", "Seriously, who are you ?"] {
            let (t, mut d) = in_conversation();
            let joke = "If this is about money leave a message after the beep, ha ha.";
            d.handle_speech_started(t + 3_000 * MS);
            assert_eq!(d.handle_words(t + 7_200 * MS, joke, false), None);
            assert_eq!(d.handle_words(t + 7_300 * MS, joke, true), None);
            d.handle_speech_ended(t + 7_000 * MS);
            d.handle_speech_started(t + 7_600 * MS);
            assert_eq!(d.handle_words(t + 8_400 * MS, rest, true), None, "{rest}");
            d.handle_speech_ended(t + 8_600 * MS);
            assert_eq!((d.poll_timeout(), d.result()), (None, Some(AmdResult::Human)), "{rest}");
            assert_eq!(d.handle_tone(t + 9_000 * MS, &tone(1_000, 400)), None, "{rest}");
        }
    }

    #[test]
    fn a_greeting_without_a_beep_is_a_mailbox_by_its_words_and_its_length() {
        let words = "Hi this is Anna. Sorry I missed you. I will call you back as soon as I can. Thanks, bye.";
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        d.handle_speech_ended(t + 5_800 * MS);
        assert_eq!(d.handle_words(t + 6_200 * MS, words, true), Some(AmdResult::Voicemail));
        // Words that say less, and come before the end.
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        assert_eq!(d.handle_words(t + 1_500 * MS, "I will get back to you as soon as I can", true), None);
        assert_eq!(d.poll_timeout(), Some(t + 10_300 * MS));
        assert_eq!(d.handle_timeout(t + 10_300 * MS), Some(AmdResult::Voicemail));
        // A person who asks, and one who stops.
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        assert_eq!(d.handle_words(t + 1_500 * MS, "He is not available", false), None);
        assert_eq!(d.handle_words(t + 3_500 * MS, "He is not available, can I take a message?", true), None);
        assert_ne!(d.handle_timeout(t + 4_300 * MS), Some(AmdResult::Voicemail));
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        assert_eq!(d.handle_words(t + 1_500 * MS, "I'll call you back as soon as I can.", true), None);
        d.handle_speech_ended(t + 2_300 * MS);
        assert_eq!(d.handle_timeout(t + 3_000 * MS), Some(AmdResult::Human));
    }

    /// A sentence of two seconds, and the agent's answer.
    fn said_and_answered((t, mut d): (Instant, AmdDetector), words: &str) -> (Instant, AmdDetector) {
        d.handle_speech_started(t + 3_000 * MS);
        d.handle_speech_ended(t + 5_000 * MS);
        d.handle_words(t + 5_300 * MS, words, true);
        d.handle_timeout(t + 5_700 * MS);
        d.handle_agent_speaking();
        (t, d)
    }

    #[test]
    fn who_says_a_sentence_and_is_silent_then_is_a_person() {
        for words in [
            "Hello? Who is it?",
            "Hello who is it",
            "I can't come to the phone right now",
            "He is not available",
            "Ik ben er nu niet",
            "Ich rufe Sie zurück",
            "Je ne peux pas répondre",
            "No puedo atender ahora",
            "Adesso non posso rispondere",
            "Agora não posso atender",
            "Die Mailbox ist nicht meine, das ist die von meinem Mann.",
            "You have reached the right person, go on.",
            "If you want to leave a message I can write it down.",
            "Laat maar een bericht achter bij mij, ik geef het door.",
            "",
        ] {
            for start in [answered(), in_conversation()] {
                let (t, d) = said_and_answered(start, words);
                for seconds in [0, 6, 12] {
                    let mut d = d.clone();
                    assert_eq!(d.handle_timeout(t + (8_000 + seconds * 1_000) * MS), None, "{words}");
                    assert_eq!((d.poll_timeout(), d.result()), (None, Some(AmdResult::Human)), "{words}");
                }
            }
        }
    }

    #[test]
    fn who_was_answered_and_speaks_of_a_mailbox_and_is_silent_then_is_a_person() {
        for words in ["My mailbox is full, so please don't leave a message there.", "Please leave it after the tone"] {
            let (t, d) = said_and_answered(in_conversation(), words);
            for seconds in [0, 6, 12] {
                let mut d = d.clone();
                assert_eq!(d.handle_timeout(t + (8_000 + seconds * 1_000) * MS), None, "{words}");
                assert_eq!((d.poll_timeout(), d.result()), (None, Some(AmdResult::Human)), "{words}");
            }
        }
    }

    #[test]
    fn words_that_may_still_change_are_words_too() {
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        assert_eq!(d.handle_words(t + 2_000 * MS, "Hello? Who is it?", false), None);
        assert_eq!((d.poll_timeout(), d.handle_timeout(t + 9_000 * MS)), (None, None), "the line is noisy");
    }

    #[test]
    fn weak_words_at_the_beginning_need_a_second_sign_too() {
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        assert_eq!(d.handle_words(t + 2_000 * MS, "She is not available", false), None);
        assert_eq!(d.handle_words(t + 4_400 * MS, "She is not available today and", false), None, "it goes on");
        d.handle_speech_ended(t + 5_000 * MS);
        assert_eq!(d.handle_timeout(t + 5_000 * MS), Some(AmdResult::Voicemail), "a monologue");
        let (t, mut d) = answered();
        d.handle_speech_started(t + 300 * MS);
        assert_eq!(d.handle_words(t + 4_400 * MS, "the doctor is not available at the moment", false), None);
        let whole = "the doctor is not available at the moment but I can help you";
        assert_eq!(d.handle_words(t + 7_000 * MS, whole, false), None);
        d.handle_speech_ended(t + 8_100 * MS);
        assert_eq!(d.handle_words(t + 8_400 * MS, whole, true), None);
        assert_ne!(d.handle_timeout(t + 12_000 * MS), Some(AmdResult::Voicemail), "a receptionist");
    }

    #[test]
    fn a_person_who_was_answered_and_is_silent_then_is_a_person() {
        for words in [
            "I got your voicemail yesterday about the message you left after the beep.",
            "Please leave it at the door, I am not available right now.",
            "She is not available today.",
        ] {
            let (t, mut d) = in_conversation();
            d.handle_speech_started(t + 4_000 * MS);
            d.handle_speech_ended(t + 7_000 * MS);
            assert_eq!(d.handle_words(t + 7_300 * MS, words, true), None, "{words}");
            d.handle_agent_speaking();
            assert_eq!((d.poll_timeout(), d.result()), (None, Some(AmdResult::Human)), "{words}");
        }
    }

    #[test]
    fn a_mailbox_with_pauses_is_known_by_its_beep_though_it_was_answered() {
        let (t, mut d) = in_conversation();
        d.handle_speech_started(t + 4_000 * MS);
        d.handle_speech_ended(t + 6_000 * MS);
        assert_eq!(d.handle_words(t + 6_300 * MS, "So do your thing after the tone.", true), None);
        d.handle_agent_speaking();
        assert_eq!(d.handle_tone(t + 9_500 * MS, &tone(1_000, 500)), Some(AmdResult::Voicemail));
        let (t, mut d) = in_conversation();
        assert_eq!(d.handle_words(t + 6_300 * MS, "So do your thing after the tone.", true), None);
        assert_eq!(d.handle_tone(t + 17_000 * MS, &tone(1_000, 500)), None, "too long ago");
    }

    #[test]
    fn a_beep_behind_a_short_introduction_is_a_mailbox_though_it_was_answered() {
        let after = |words: &str, is_late: bool, beep_ms: u32| {
            let (t, mut d) = answered();
            d.handle_speech_started(t + 300 * MS);
            d.handle_speech_ended(t + 1_500 * MS);
            if !is_late {
                d.handle_words(t + 1_800 * MS, words, true);
            }
            assert_eq!(d.handle_timeout(t + 2_200 * MS), Some(AmdResult::Human), "{words}");
            d.handle_agent_speaking();
            if is_late {
                d.handle_words(t + 2_400 * MS, "Hi, this", false);
                d.handle_words(t + 2_500 * MS, words, true);
            }
            d.handle_tone(t + beep_ms * MS, &tone(1_000, 700))
        };
        for words in [
            "Hi, this is Bob.",
            "You've got Anna.",
            "Hallo, met Jan de Vries.",
            "Hallo, hier ist Max.",
            "Bonjour, c'est Marie.",
            "Hola, soy Ana.",
            "Ciao, sono Luca.",
            "Olá, aqui é o João.",
        ] {
            assert_eq!(after(words, false, 2_900), Some(AmdResult::Voicemail), "{words}");
            assert_eq!(after(words, true, 2_900), Some(AmdResult::Voicemail), "{words}");
            assert_eq!(after(words, false, 6_000), None, "{words}: too late");
        }
        for words in ["Hello?", "Hello.", "Yes?", "Hello, who is this?", "Acme, how may I help you"] {
            assert_eq!(after(words, false, 2_900), None, "{words}");
        }
        let (t, mut d) = in_conversation();
        d.handle_words(t + 3_000 * MS, "I can hear you now.", true);
        d.handle_words(t + 3_200 * MS, "Go on.", true);
        assert_eq!(d.handle_tone(t + 3_600 * MS, &tone(1_000, 700)), None, "a person goes on");
    }

    #[test]
    fn a_mailbox_that_plays_a_person_is_known_by_the_words_behind_its_questions() {
        for words in
            ["Hello? Just kidding, I'm not here. You know what to do.", "Hello? So do your thing after the tone."]
        {
            let (t, mut d) = in_conversation();
            d.handle_speech_started(t + 4_000 * MS);
            d.handle_speech_ended(t + 7_000 * MS);
            d.handle_words(t + 7_300 * MS, words, true);
            assert_eq!(d.handle_tone(t + 8_500 * MS, &tone(1_000, 500)), Some(AmdResult::Voicemail), "{words}");
        }
        let (t, mut d) = in_conversation();
        d.handle_words(t + 7_300 * MS, "You know what to do, don't you?", true);
        assert_eq!(d.handle_tone(t + 8_500 * MS, &tone(1_000, 500)), None, "a person asks");
    }

    #[test]
    fn voicemail_in_early_media_is_still_voicemail_when_answered() {
        let (t, _) = answered();
        let mut d = AmdDetector::early_media(t);
        assert_eq!(d.handle_words(t + 2_000 * MS, "niet bereikbaar", false), Some(AmdResult::Voicemail));
        d.handle_answered(t + 4_000 * MS);
        assert_eq!(d.result(), Some(AmdResult::Voicemail));
        let (t, mut d) = answered();
        d.handle_speech_started(t);
        d.handle_answered(t + 4_000 * MS);
        assert_eq!(d.poll_timeout(), None, "an announcement on the way is forgotten");
    }
}
