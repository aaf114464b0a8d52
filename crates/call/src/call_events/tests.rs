//! Events of leg, TTS and sessions, with a machine in virtual time.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

use super::*;
use crate::domain::agent::AgentFields;
use crate::machine::{CallOutput, CallSpec};
use crate::providers::TokenUsage;
use trunkline_media::codec::Companding;
use trunkline_media::playout::queue::SegmentPlayed;

const SEGMENT: SegmentId = SegmentId { response_id: 1, index: 0 };

fn machine(now: Instant) -> CallMachine {
    let agent = AgentFields { name: "Agent".into(), first_message: Some("Hello.".into()), ..AgentFields::default() };
    let mut machine = CallMachine::new(
        now,
        CallSpec {
            agent_id: None,
            agent,
            task: None,
            fixed_texts: Default::default(),
            known: Default::default(),
            spoken: None,
            is_web: false,
            today: jiff::civil::date(2026, 11, 28),
        },
    );
    while machine.poll_output().is_some() {}
    machine
}

/// The end reason that the machine comes to by itself.
fn hung_up(mut machine: CallMachine) -> Option<EndReason> {
    for _ in 0..100 {
        while let Some(output) = machine.poll_output() {
            if let CallOutput::HangUp { reason } = output {
                return Some(reason);
            }
        }
        let at = machine.poll_timeout()?;
        machine.handle_timeout(at);
    }
    None
}

#[test]
fn without_media_the_call_is_over() {
    let now = Instant::now();
    for event in [Some(LegEvent::NetworkLost), Some(LegEvent::InternalError), None] {
        let mut machine = machine(now);
        assert!(matches!(on_leg_event(&mut machine, now, event), LegAction::Nothing));
        assert_eq!(hung_up(machine), Some(EndReason::NetworkLost));
    }
    let mut machine = machine(now);
    on_leg_event(&mut machine, now, Some(LegEvent::PeerClosed));
    assert_eq!(hung_up(machine), Some(EndReason::CustomerHungUp));
}

#[test]
fn stt_and_tts_learn_what_the_leg_hears_and_plays() {
    let now = Instant::now();
    let mut machine = machine(now);
    let mut on = |event| on_leg_event(&mut machine, now, Some(event));
    let frame = AudioFrame::g711(Companding::MuLaw, &[7; 160]).unwrap();
    assert!(matches!(on(LegEvent::Audio { frame, at: now }), LegAction::CarryAudio(carried) if carried == frame));
    assert!(matches!(on(LegEvent::SpeechStarted { at: now }), LegAction::TellStt(SttInput::SpeechStarted)));
    assert!(matches!(on(LegEvent::SpeechEnded { last_sound: now }), LegAction::TellStt(SttInput::SpeechEnded)));
    let heard = SegmentPlayed { segment: SEGMENT, sent_samples: 10, complete: true };
    assert!(matches!(on(LegEvent::SegmentFinished { heard, at: now }), LegAction::SegmentPlayed(SEGMENT)));
    let flushed = LegEvent::PlayoutFlushed { barge_in: true, response_id: 3, heard: vec![heard], at: now };
    assert!(matches!(on(flushed), LegAction::SpeechCancelled(3)));
    assert!(matches!(on(LegEvent::Closed { stats: LegStats::default() }), LegAction::Closed(_)));
    assert!(matches!(on(LegEvent::DtmfSent), LegAction::Nothing));
}

#[test]
fn a_pressed_key_reaches_the_machine() {
    let now = Instant::now();
    let mut machine = machine(now);
    let quiet = machine.poll_timeout();
    on_leg_event(&mut machine, now, Some(LegEvent::DtmfReceived { digit: '1' }));
    assert_ne!(machine.poll_timeout(), quiet, "it waits for more digits");
}

#[test]
fn audio_is_played_and_the_last_of_a_segment_ends_it() {
    let now = Instant::now();
    let mut machine = machine(now);
    let mut on = |event| on_tts_event(&mut machine, now, event);
    let play = |samples: Vec<i16>, is_last| TtsAction::Play { segment: SEGMENT, samples, is_last };
    assert_eq!(on(TtsPipelineEvent::Audio { segment: SEGMENT, samples: vec![1] }), play(vec![1], false));
    assert_eq!(on(TtsPipelineEvent::Done { segment: SEGMENT, samples: vec![2], total: 2 }), play(vec![2], true));
    assert_eq!(on(TtsPipelineEvent::WordTimestamps { segment: SEGMENT, marks: vec![(1, 1)] }), TtsAction::Nothing);
    let broken = ProviderError::Timeout("first audio");
    let failed = TtsPipelineEvent::Failed { segment: SEGMENT, failure: broken.clone() };
    assert_eq!(on(failed), TtsAction::Failed(broken));
    assert_eq!(on(TtsPipelineEvent::Requested { tts: "local/default".into(), characters: 6 }), TtsAction::Nothing);
    let figures = machine.metrics().to_json();
    assert_eq!(figures["used"]["tts"]["local/default"], 6);
}

#[test]
fn a_session_is_dropped_with_its_last_event_or_when_its_task_ends() {
    let text = LlmEvent::Text("Hi".into());
    assert_eq!(llm_event(Some(text.clone())), SessionEvent::More(text));
    let done = LlmEvent::Done(TokenUsage::default());
    assert_eq!(llm_event(Some(done.clone())), SessionEvent::Last(done));
    let gone = |what: &str| ProviderError::Disconnected(what.to_owned());
    assert_eq!(llm_event(None), SessionEvent::Last(LlmEvent::Failed(gone("LLM stream ended"))));
    assert_eq!(stt_event(Some(SttEvent::Ready)), SessionEvent::More(SttEvent::Ready));
    assert_eq!(stt_event(Some(SttEvent::Failed(gone("x")))), SessionEvent::Last(SttEvent::Failed(gone("x"))));
    assert_eq!(stt_event(None), SessionEvent::Last(SttEvent::Failed(gone("STT session ended"))));
    assert_eq!(realtime_event(None), RealtimeEvent::Failed(gone("realtime session ended")));
    assert_eq!(realtime_event(Some(RealtimeEvent::Ready)), RealtimeEvent::Ready);
    assert!(matches!(
        consultation_event(Some(ConsultationEvent::Ringing)),
        SessionEvent::More(ConsultationEvent::Ringing)
    ));
    assert!(matches!(consultation_event(None), SessionEvent::Last(ConsultationEvent::Failed(EndReason::TrunkError))));
}

#[test]
fn listeners_see_interim_words_but_no_empty_ones() {
    assert_eq!(interim_of_stt(&SttEvent::Interim("Hel".into())), Some("Hel"));
    assert_eq!(interim_of_stt(&SttEvent::Interim(String::new())), None);
    assert_eq!(interim_of_stt(&SttEvent::Ready), None);
    assert_eq!(interim_of_realtime(&RealtimeEvent::UserInterim("Hel".into())), Some("Hel"));
    assert_eq!(interim_of_realtime(&RealtimeEvent::UserInterim(String::new())), None);
    assert_eq!((lines(false, false), lines(true, false), lines(true, true)), (1, 2, 3));
}
