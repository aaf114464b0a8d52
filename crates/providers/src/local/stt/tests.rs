//! The call's side of the wire, and what is refused before the worker is asked.

use super::*;
use crate::SttEvent;
use crate::stt::SttUpdate;
use tokio_tungstenite::tungstenite::Message;

fn read(text: &str) -> Result<SttUpdate, ProviderError> {
    LocalWire::new(format_of("mulaw")).read(text)
}

#[test]
fn what_a_session_says_is_read_like_a_vendors_words() {
    let interim = read(r#"{"type":"interim","text":"where is"}"#).unwrap();
    assert_eq!(interim, SttUpdate::one(SttEvent::Interim("where is".into())));
    let last =
        read(r#"{"type":"final","text":"Where is it?","confidence":0.9,"is_end":true,"until_ms":2140}"#).unwrap();
    assert_eq!(last.settled_ms, Some(2_140));
    let words = SttEvent::Final { text: "Where is it?".into(), confidence: Some(0.9), speech_final: true };
    assert_eq!(last.events, [words]);
    let unclear = read(r#"{"type":"final","text":"","confidence":0.31,"is_end":true,"until_ms":3000}"#).unwrap();
    let nothing = SttEvent::Final { text: String::new(), confidence: None, speech_final: true };
    assert_eq!(unclear.events, [nothing.clone(), SttEvent::NotUnderstood]);
    let silent = read(r#"{"type":"final","text":"","confidence":null,"is_end":true,"until_ms":3000}"#).unwrap();
    assert_eq!(silent.events, [nothing], "a noise");
    let gone = read(r#"{"type":"error","is_permanent":true,"message":"run `trunkline models fetch`"}"#).unwrap_err();
    assert!(!gone.is_retryable() && gone.kind() == "not_configured", "{gone}");
    assert!(read(r#"{"type":"error","is_permanent":false,"message":"crashed"}"#).unwrap_err().is_retryable());
    assert!(matches!(read("<html>"), Err(ProviderError::InvalidResponse(_))));
}

/// A leg of 8 kHz is passed on as its codec has it, a wide one as PCM: a gap is silence of as much time.
#[test]
fn both_rates_are_taken() {
    assert_eq!(format_of("mulaw"), AudioFormat::G711(Companding::MuLaw));
    assert_eq!(format_of("linear16"), AudioFormat::Pcm { rate_hz: 16_000 });
    let mut wide = LocalWire::new(format_of("linear16"));
    assert_eq!(wide.keep_alive().1, Message::Binary(vec![0; 2 * 3_200].into()));
    for (encoding, octets) in [("mulaw", 8), ("alaw", 8), ("linear16", 32)] {
        let mut frames = 0;
        let mut feed = SpeechFeed::new(format_of(encoding), Instant::now().into_std()).unwrap();
        feed.push(&vec![0x55; 1_000 * octets], |samples, _| frames += usize::from(samples.len() == 320));
        assert!((47..=50).contains(&frames), "{encoding}: {frames} frames of a second");
    }
}

#[test]
fn audio_passes_as_it_is_and_gaps_are_silence() {
    let mut wire = LocalWire::new(format_of("alaw"));
    assert_eq!(wire.audio(&[1, 2, 3]), Some(Message::Binary(vec![1, 2, 3].into())));
    assert_eq!(wire.audio(&[]), None);
    let (gap, silence) = wire.keep_alive();
    assert_eq!((gap, silence), (Duration::from_millis(200), Message::Binary(vec![0xD5; 1_600].into())));
    assert_eq!(wire.finalize(), Some(Message::text(r#"{"type":"finalize"}"#)));
}
