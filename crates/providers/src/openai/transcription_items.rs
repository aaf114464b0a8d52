//! The utterances of a transcription session, in the order in which they were spoken. Their transcripts come in any
//! order.

use crate::SttEvent;
use crate::stt::SttUpdate;
use std::collections::VecDeque;

/// Utterances without a final transcript; beyond it the oldest is given up.
const ITEMS_MAX: usize = 8;

/// One utterance.
#[derive(Debug, Default)]
struct TranscriptionItem {
    id: String,
    /// The utterance before it, where the server said.
    previous: Option<String>,
    text: String,
    /// End of its audio, where the server said.
    ended_ms: Option<u64>,
    is_complete: bool,
}

/// Utterances that are not over, the oldest first, and which were over last: what comes of those is late or doubled.
#[derive(Debug, Default)]
pub(super) struct TranscriptionItems {
    open: VecDeque<TranscriptionItem>,
    over: VecDeque<String>,
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
    pub(super) fn append(&mut self, id: &str, delta: &str) {
        if let Some(item) = self.item(id) {
            item.text.push_str(delta);
        }
    }

    /// An utterance is over, with this transcript or with the words that came before.
    pub(super) fn complete(&mut self, id: &str, transcript: Option<String>) {
        let Some(item) = self.item(id) else { return };
        item.is_complete = true;
        if let Some(transcript) = transcript {
            item.text = transcript;
        }
    }

    /// The words so far of the utterance that is next.
    pub(super) fn interim(&self) -> Option<SttEvent> {
        let text = self.open.front()?.text.trim();
        (!text.is_empty()).then(|| SttEvent::Interim(text.to_owned()))
    }

    /// The utterances that are over and have no open one before them; `sent_ms` is the audio sent so far.
    pub(super) fn poll(&mut self, sent_ms: u64) -> SttUpdate {
        let mut update = SttUpdate::default();
        while self.open.front().is_some_and(|item| item.is_complete)
            && let Some(item) = self.open.pop_front()
        {
            if self.over.len() >= ITEMS_MAX {
                self.over.pop_front();
            }
            self.over.push_back(item.id);
            let text = item.text.trim().to_owned();
            update.events.push(SttEvent::Final { text, confidence: None, speech_final: true });
            update.settled_ms = Some(item.ended_ms.unwrap_or(sent_ms));
        }
        if !update.events.is_empty() {
            update.events.extend(self.interim());
        }
        update
    }

    /// The utterance with this id; a new one has its place before the one that follows it.
    /// `None` for one that is over; utterances without an id are told apart by their order alone.
    fn item(&mut self, id: &str) -> Option<&mut TranscriptionItem> {
        if !id.is_empty() && self.over.iter().any(|over| over == id) {
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
