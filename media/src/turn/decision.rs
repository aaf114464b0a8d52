//! Whether a turn is over: one pure function from what is known to a probability and a waiting time.

use super::cues::{BIAS, Cue, WEIGHTS, weight};
use super::evidence::{Evidence, Prosody, SttSign};
use super::language::table_for;
use super::syntax::{Sign, signs};
use std::time::Duration;

/// Signs that an explanation names.
const REASONS_MAX: usize = 4;
/// Words that came this long after the last sound, or later, are all that STT has.
pub(super) const STT_LAG: Duration = Duration::from_millis(150);

/// How long the caller is silent before a turn ends, by how likely it is over. Between the points the time is on a
/// straight line; it never grows with the probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitCurve {
    /// At a probability of 1.
    pub min_silence: Duration,
    /// At 0.9: a complete answer.
    pub complete_silence: Duration,
    /// At 0.5: it may be over or not.
    pub silence: Duration,
    /// At 0.1: a clause or a number that lacks its end.
    pub unfinished_silence: Duration,
    /// At 0, and where STT is late or stuck.
    pub max_silence: Duration,
}

impl WaitCurve {
    /// The wait at a probability from 0 to 1.
    pub fn wait(&self, probability: f32) -> Duration {
        let complete = self.complete_silence.min(self.silence).max(self.min_silence);
        let silence = self.silence.max(complete);
        let unfinished = self.unfinished_silence.max(silence);
        let points = [
            (0.0, self.max_silence.max(unfinished)),
            (0.1, unfinished),
            (0.5, silence),
            (0.9, complete),
            (1.0, self.min_silence),
        ];
        let probability = f64::from(probability.clamp(0.0, 1.0));
        let between = points.windows(2).find_map(|pair| match pair {
            [(from, longer), (to, shorter)] if probability <= *to => {
                let share = (probability - from) / (to - from);
                let fall_ms = longer.saturating_sub(*shorter).as_millis() as f64 * share;
                Some(longer.saturating_sub(Duration::from_millis(fall_ms.round() as u64)))
            }
            _ => None,
        });
        between.unwrap_or(self.min_silence)
    }
}

/// Whether a turn is over, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// How likely the turn is over, from 0 to 1.
    pub probability: f32,
    /// Signs with what each counted, the weightiest first; at most four.
    pub reasons: Vec<(Cue, f32)>,
}

/// Judges a turn by what is known of it.
pub fn judge(evidence: &Evidence<'_>) -> Judgement {
    let found = signs_of(evidence);
    if found.is_empty() && evidence.words.trim().is_empty() {
        return Judgement { probability: 0.0, reasons: Vec::new() };
    }
    let weights = table_for(evidence.language, evidence.words).map_or(WEIGHTS, |table| table.weights);
    let mut reasons: Vec<(Cue, f32)> =
        found.into_iter().map(|(cue, strength)| (cue, weight(weights, cue) * strength)).collect();
    let logit: f32 = BIAS + reasons.iter().map(|(_, counted)| counted).sum::<f32>();
    reasons.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    reasons.truncate(REASONS_MAX);
    Judgement { probability: 1.0 / (1.0 + (-logit).exp()), reasons }
}

/// All signs of a turn, each with its strength from 0 to 1: what the weights are fitted to.
pub fn signs_of(evidence: &Evidence<'_>) -> Vec<(Cue, f32)> {
    let mut found = signs(table_for(evidence.language, evidence.words), evidence);
    if found.is_empty() && evidence.words.trim().is_empty() {
        return found;
    }
    found.extend(stt_signs(evidence));
    found.extend(evidence.prosody.iter().flat_map(prosody_signs));
    found
}

fn stt_signs(evidence: &Evidence<'_>) -> Vec<Sign> {
    let mut signs = Vec::new();
    match evidence.stt {
        SttSign::None => {}
        SttSign::SpeechFinal => signs.push((Cue::SpeechFinal, 1.0)),
        SttSign::UtteranceEnd => signs.push((Cue::UtteranceEnd, 1.0)),
        SttSign::EndOfTurn => signs.push((Cue::TurnModelEnd, 1.0)),
    }
    if evidence.is_interim {
        signs.push((Cue::Interim, 1.0));
        if evidence.words_after_sound.is_none_or(|lag| lag < STT_LAG) {
            signs.push((Cue::Uncovered, 1.0));
        }
    }
    signs
}

fn prosody_signs(prosody: &Prosody) -> Vec<Sign> {
    let fall = prosody.fall.clamp(-1.0, 1.0);
    let voice = if fall >= 0.0 { (Cue::VoiceFell, fall) } else { (Cue::VoiceHeld, -fall) };
    vec![voice, (Cue::Drawn, prosody.lengthening.clamp(0.0, 1.0))]
}

#[cfg(test)]
mod tests;
