//! The signs that the policy sees at each pause and end of a row, for those who fit its weights: the words before it are known
//! and final, and STT says nothing of the end.

use super::row::{HOLD_MIN, TurnRow};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_media::turn::asked_of;
use trunkline_media::turn::decision::signs_of;
use trunkline_media::turn::evidence::{Evidence, MarkHabit, StopTrust, SttSign};

/// A word that ends this little after the beginning of a silence is one before it.
const SLACK: Duration = Duration::from_millis(60);
/// How long after the last sound the words have come.
const WORDS_AFTER: Duration = Duration::from_millis(300);

/// One value for each silence that counts, in order.
pub fn signs(row: &TurnRow) -> Vec<Value> {
    let asked = asked_of(row.asked.as_deref().unwrap_or_default(), &row.language);
    let last = row.spans.len().saturating_sub(1);
    let counting = row.spans.iter().enumerate().filter(|(_, span)| span.length() >= HOLD_MIN);
    let sign = |(index, span): (usize, &super::row::SilenceSpan)| {
        let words = words_until(row, span.start + SLACK);
        let found = signs_of(&Evidence {
            words: &words,
            language: &row.language,
            is_interim: false,
            words_after_sound: Some(WORDS_AFTER),
            marks: MarkHabit::default(),
            stops: StopTrust::Unknown,
            stt: SttSign::None,
            asked,
            prosody: None,
        });
        let named: Vec<Value> = found.iter().map(|(cue, strength)| json!([cue.name(), strength])).collect();
        json!({
            "id": row.id, "lang": row.language, "speaker": row.speaker, "eot": index == last,
            "kind": span.kind.map(super::row::PauseKind::name), "asked": asked.name(), "signs": named,
            "length_ms": span.length().as_millis() as u64, "words": words,
        })
    };
    counting.map(sign).collect()
}

/// The words that end by then, without the marks around them.
fn words_until(row: &TurnRow, until: Duration) -> String {
    let words = row.words.as_deref().unwrap_or_default();
    let said = words.iter().take_while(|word| word.end <= until);
    let plain = said.map(|word| word.word.trim_end_matches(['.', ',', '?', '!', ';', ':', '…']));
    plain.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
