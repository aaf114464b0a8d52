//! The utterances of a transcription session, in the order in which they were spoken. Their transcripts come in any
//! order.

use crate::SttEvent;
use crate::stt::SttUpdate;
use std::collections::VecDeque;

/// Utterances without a final transcript; beyond it the oldest is given up.
const ITEMS_MAX: usize = 8;
/// Audio behind the end of an utterance, and behind its last words, after which its transcript comes no more.
const TRANSCRIPT_WITHIN_MS: u64 = 2_000;

/// One utterance.
#[derive(Debug, Default)]
struct TranscriptionItem {
    id: String,
    /// The utterance before it, where the server said.
    previous: Option<String>,
    text: String,
    /// End of its audio, where the server said.
    ended_ms: Option<u64>,
    /// Audio that was sent when its last words came.
    heard_ms: u64,
    progress: ItemProgress,
}

/// How far the transcript of an utterance has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ItemProgress {
    #[default]
    Awaited,
    Complete,
    /// The server could not transcribe it.
    Failed,
}

impl TranscriptionItem {
    fn has_words(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Its transcript would have come.
    fn is_overdue(&self, sent_ms: u64) -> bool {
        let since = self.ended_ms.map(|ended| ended.max(self.heard_ms));
        since.is_some_and(|since| sent_ms >= since + TRANSCRIPT_WITHIN_MS)
    }
}

/// An utterance that is over.
#[derive(Debug)]
struct SettledItem {
    id: String,
    has_words: bool,
}

/// Utterances that are not over, the oldest first, and which were over last: what comes of those is late or doubled.
#[derive(Debug, Default)]
pub(super) struct TranscriptionItems {
    open: VecDeque<TranscriptionItem>,
    over: VecDeque<SettledItem>,
    /// The server names its utterances: words of none belong to none.
    has_ids: bool,
}

impl TranscriptionItems {
    /// The audio of an utterance has ended here, after another utterance.
    pub(super) fn end(&mut self, id: &str, previous: Option<String>, ended_ms: u64) {
        let Some(item) = self.item(id) else { return };
        item.ended_ms.get_or_insert(ended_ms);
        if previous.as_ref().is_some_and(|previous| !previous.is_empty()) {
            item.previous = previous;
        }
    }

    /// Further words of an utterance.
    pub(super) fn append(&mut self, id: &str, delta: &str, sent_ms: u64) {
        if let Some(item) = self.item(id).filter(|_| !delta.is_empty()) {
            item.text.push_str(delta);
            item.heard_ms = sent_ms;
        }
    }

    /// An utterance is over, with this transcript or with the words that came before: an empty one takes nothing back.
    pub(super) fn complete(&mut self, id: &str, transcript: Option<String>) {
        let transcript = transcript.filter(|transcript| !transcript.trim().is_empty());
        if transcript.is_some() {
            self.over.retain(|over| over.has_words || over.id != id);
        }
        let Some(item) = self.awaited(id) else { return };
        item.progress = ItemProgress::Complete;
        if let Some(transcript) = transcript {
            item.text = transcript;
        }
    }

    /// The server could not transcribe an utterance: what was heard of it before is all there is.
    pub(super) fn fail(&mut self, id: &str) {
        if let Some(item) = self.awaited(id) {
            item.progress = ItemProgress::Failed;
        }
    }

    /// The utterance that a result is about: without an id, the oldest that has none yet.
    fn awaited(&mut self, id: &str) -> Option<&mut TranscriptionItem> {
        if id.is_empty() && self.has_ids {
            return self.open.iter_mut().find(|item| item.progress == ItemProgress::Awaited);
        }
        self.item(id)
    }

    /// The words so far of the utterance that is next.
    pub(super) fn interim(&self) -> Option<SttEvent> {
        let text = self.open.front()?.text.trim();
        (!text.is_empty()).then(|| SttEvent::Interim(text.to_owned()))
    }

    /// The utterances that are over and have no open one before them; `sent_ms` is the audio sent so far.
    pub(super) fn poll(&mut self, sent_ms: u64) -> SttUpdate {
        let mut update = SttUpdate::default();
        while self.is_first_over(sent_ms)
            && let Some(item) = self.open.pop_front()
        {
            if self.over.len() >= ITEMS_MAX {
                self.over.pop_front();
            }
            self.over.push_back(SettledItem { has_words: item.has_words(), id: item.id });
            let text = item.text.trim().to_owned();
            let is_lost = text.is_empty() && item.progress == ItemProgress::Failed;
            update.events.push(SttEvent::Final { text, confidence: None, speech_final: true });
            update.events.extend(is_lost.then_some(SttEvent::Lost));
            update.settled_ms = Some(item.ended_ms.unwrap_or(sent_ms));
        }
        if !update.events.is_empty() {
            update.events.extend(self.interim());
        }
        update
    }

    /// The oldest utterance has its transcript, or waits for it in vain: then its words count, and without any it holds back
    /// no later one.
    fn is_first_over(&self, sent_ms: u64) -> bool {
        let Some(first) = self.open.front() else { return false };
        let holds_back = || self.open.iter().any(|item| item.progress == ItemProgress::Complete);
        first.progress != ItemProgress::Awaited || first.is_overdue(sent_ms) && (first.has_words() || holds_back())
    }

    /// The utterance with this id; a new one has its place before the one that follows it.
    /// `None` for one that is over; utterances of a server that gives no ids are told apart by their order alone.
    fn item(&mut self, id: &str) -> Option<&mut TranscriptionItem> {
        self.has_ids |= !id.is_empty();
        if id.is_empty() && self.has_ids || self.over.iter().any(|over| !id.is_empty() && over.id == id) {
            return None;
        }
        let known = self.open.iter().position(|item| item.id == id);
        let index = known.unwrap_or_else(|| {
            if self.open.len() >= ITEMS_MAX {
                self.open.pop_front();
            }
            let next = self.open.iter().position(|item| item.previous.as_deref() == Some(id));
            let index = next.unwrap_or(self.open.len());
            self.open.insert(index, TranscriptionItem { id: id.to_owned(), ..TranscriptionItem::default() });
            index
        });
        self.open.get_mut(index)
    }
}
