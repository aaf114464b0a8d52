//! Early media (183) before the answer: ringing and announcements, while the caller may still hang up.

use super::tts::{TtsPipeline, TtsPipelineEvent};
use super::{CallMedia, SharedServices};
use crate::dialogue::response::{AfterResponse, AgentResponse};
use crate::domain::end_reason::EndReason;
use crate::domain::ringing_config::RingingConfig;
use crate::early_description::EarlyDescription;
use crate::machine::CallSpec;
use crate::outgoing_call::EARLY_DIGITS_MAX;
use crate::registry::{CallCommand, CallSlot};
use crate::sip_causes::end_reason_before_ack;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline_media::frame::SAMPLE_RATE_HZ;
use trunkline_media::io::worker::LegHandle;
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::queue::SegmentId;
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::sip::user_agent::SipEvent;

/// How long the peer has to acknowledge our 200 before the endpoint gives up (64 T1, plus a second).
const CONFIRM_DEADLINE: Duration = Duration::from_secs(33);
/// An announcement that makes no sound for this long no longer delays the answer.
const ANNOUNCEMENT_DEADLINE: Duration = Duration::from_secs(60);
/// Ringing tone (ETSI TR 101 041-2): 425 Hz, one second of five, at -13 dBm0 less what two wires take.
const TONE_HZ: f32 = 425.0;
const TONE_LEVEL: f32 = 3_000.0;

/// Response ids of the conversation start at one.
const EARLY_RESPONSE_ID: u32 = 0;

fn tone(ms: u32) -> Vec<i16> {
    let samples = ms as usize * SAMPLE_RATE_HZ as usize / 1_000;
    let period = 5 * SAMPLE_RATE_HZ as usize;
    let sample = |at: usize| {
        let is_on = at % period < SAMPLE_RATE_HZ as usize;
        let phase = at as f32 * TONE_HZ / SAMPLE_RATE_HZ as f32 * std::f32::consts::TAU;
        if is_on { (phase.sin() * TONE_LEVEL) as i16 } else { 0 }
    };
    (0..samples).map(sample).collect()
}

/// A caller's dialog that is not answered yet.
pub(super) struct EarlyDialog<'a> {
    pub events: &'a mut mpsc::Receiver<SipEvent>,
    pub digits: &'a mut EarlyDigits,
    pub description: &'a mut EarlyDescription,
}

/// Plays ringing and announcements on an unanswered leg. `Err` when the caller cancels or the call is ended.
pub(super) async fn play_early_media(
    context: &SharedServices, ringing: &RingingConfig, spec: &CallSpec, media: Option<CallMedia>,
    dialog: EarlyDialog<'_>, slot: &mut CallSlot,
) -> Result<CallMedia, EndReason> {
    let EarlyDialog { events, digits, description } = dialog;
    let Some(mut media) = media else { return Err(EndReason::Overload) };
    let mut tts = TtsPipeline::new(context.providers.clone(), spec.clone(), true);
    let mut unheard = Vec::new();
    if ringing.ring_ms > 0 {
        let segment = SegmentId { response_id: EARLY_RESPONSE_ID, index: 0 };
        unheard.push(segment);
        let _ = media.leg.play(segment, tone(ringing.ring_ms), true);
    }
    if let Some(text) = &ringing.announcement {
        let (_, segments) = AgentResponse::scripted(EARLY_RESPONSE_ID, text, AfterResponse::AwaitCaller, spec.style());
        for (index, text) in segments {
            let segment = SegmentId { response_id: EARLY_RESPONSE_ID, index: index + 1 };
            unheard.push(segment);
            tts.speak(segment, text, None);
        }
    }
    let patience = Duration::from_millis(ringing.ring_ms.into()) + ANNOUNCEMENT_DEADLINE;
    let deadline = tokio::time::Instant::now() + patience;
    while !unheard.is_empty() {
        tokio::select! {
            event = events.recv() => match event {
                Some(SipEvent::Ended { .. }) | None => return Err(EndReason::Canceled),
                Some(event) => {
                    let early = Some((&mut *description, Some(&media.leg)));
                    handle_early_event(&context.sip, event, digits, early).await;
                }
            },
            command = slot.commands.recv() => match command {
                Some(CallCommand::End(reason)) => return Err(reason),
                Some(_) => {}
                None => return Err(EndReason::Canceled),
            },
            event = media.events.recv() => match event {
                Some(LegEvent::SegmentFinished { heard, .. }) => {
                    unheard.retain(|segment| *segment != heard.segment);
                    tts.handle_segment_played(heard.segment);
                }
                Some(LegEvent::DtmfReceived { digit, .. }) => digits.push(digit),
                Some(_) => {}
                None => return Err(EndReason::Overload),
            },
            event = tts.next() => match event {
                TtsPipelineEvent::Audio { segment, samples } => drop(media.leg.play(segment, samples, false)),
                TtsPipelineEvent::Done { segment, samples, .. } => drop(media.leg.play(segment, samples, true)),
                // A failed announcement does not delay the answer.
                TtsPipelineEvent::Failed { segment, .. } => unheard.retain(|one| *one != segment),
                TtsPipelineEvent::WordTimestamps { .. } | TtsPipelineEvent::AskedAgain { .. } | TtsPipelineEvent::FailedOver { .. } | TtsPipelineEvent::Requested { .. } => {}
            },
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    Ok(media)
}

/// Keys that were pressed before the conversation: its first events.
#[derive(Debug, Default)]
pub(super) struct EarlyDigits(VecDeque<char>);

impl EarlyDigits {
    /// The digits of a call of ours, which were pressed before its answer.
    pub(super) fn of_call(digits: &str) -> Self {
        let mut kept = Self::default();
        digits.chars().for_each(|digit| kept.push(digit));
        kept
    }

    /// Keeps a key that was pressed; those over the limit are forgotten.
    fn push(&mut self, digit: char) {
        if self.0.len() < EARLY_DIGITS_MAX {
            self.0.push_back(digit);
        }
    }

    /// Takes the next one.
    pub(super) fn pop(&mut self) -> Option<char> {
        self.0.pop_front()
    }
}

/// Keeps keys (INFO), answers offers where something was agreed already, and rejects at once requests that are not
/// possible before the answer. `media`: the description, and the leg that rings, if there is one.
pub(super) async fn handle_early_event(
    sip: &SipHandle, event: SipEvent, digits: &mut EarlyDigits,
    media: Option<(&mut EarlyDescription, Option<&LegHandle>)>,
) {
    match event {
        SipEvent::DigitReceived { digit, .. } => {
            if let Some((_, Some(leg))) = media {
                let _ = leg.note_signalled_digit();
            }
            digits.push(digit);
        }
        event @ SipEvent::ReofferReceived { call, .. } => {
            let Some((description, leg)) = media else { return sip.answer_reoffer(call, None).await };
            let event = sip.resolve_event(event, description.negotiation.signalling()).await;
            let answer = description.answer_offer(&event);
            if let Some((leg, stream)) = leg.zip(answer.stream) {
                let _ = leg.renegotiate(stream);
            }
            sip.answer_reoffer(call, answer.text).await;
        }
        SipEvent::ReferReceived { call, .. } => sip.answer_refer(call, false).await,
        SipEvent::ReplacesReceived { by, .. } => sip.reject(by.call, 481, None).await,
        _ => {}
    }
}

/// Returns when the caller cancels.
pub(super) async fn wait_for_cancel(sip: &SipHandle, events: &mut mpsc::Receiver<SipEvent>) {
    loop {
        match events.recv().await {
            Some(SipEvent::Ended { .. }) | None => return,
            // No leg is there yet, and nobody who could listen; the offer of the INVITE is not answered either.
            Some(event) => handle_early_event(sip, event, &mut EarlyDigits::default(), None).await,
        }
    }
}

/// Waits for the ACK; its body when there is one.
pub(super) async fn wait_for_ack(
    sip: &SipHandle, events: &mut mpsc::Receiver<SipEvent>, digits: &mut EarlyDigits,
    (description, leg): (&mut EarlyDescription, Option<&LegHandle>),
) -> Result<Option<Vec<u8>>, EndReason> {
    let until = tokio::time::Instant::now() + CONFIRM_DEADLINE;
    loop {
        match tokio::time::timeout_at(until, events.recv()).await {
            Ok(Some(SipEvent::Acknowledged { sdp, .. })) => return Ok(sdp),
            Ok(Some(SipEvent::Ended { cause, .. })) => return Err(end_reason_before_ack(&cause)),
            Ok(Some(event)) => handle_early_event(sip, event, digits, Some((&mut *description, leg))).await,
            Ok(None) | Err(_) => return Err(EndReason::NetworkLost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_before_the_conversation_are_kept_in_order_and_bounded() {
        let mut digits = EarlyDigits::default();
        for digit in "12#".chars().chain("0".repeat(2 * EARLY_DIGITS_MAX).chars()) {
            digits.push(digit);
        }
        let kept: String = std::iter::from_fn(|| digits.pop()).collect();
        assert!(kept.len() == EARLY_DIGITS_MAX && kept.starts_with("12#0"), "{kept}");
    }

    #[test]
    fn digits_before_the_answer_of_a_call_of_ours_are_its_first_events() {
        let mut digits = EarlyDigits::of_call("4#");
        assert_eq!([digits.pop(), digits.pop(), digits.pop()], [Some('4'), Some('#'), None]);
    }

    #[test]
    fn it_rings_one_second_of_five() {
        let samples = tone(6_000);
        let loud = |from: usize, to: usize| samples[from..to].iter().any(|sample| sample.abs() > 2_500);
        assert_eq!(samples.len(), 48_000);
        assert!(loud(0, 8_000) && !loud(8_100, 40_000) && loud(40_000, 48_000));
    }
}
