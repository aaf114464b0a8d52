//! Digits as events in both directions.

use crate::line::{LossyLine, config, fixture};
use trunkline_media::audio::AudioFrame;
use trunkline_media::codec::Companding;
use trunkline_media::detect::dtmf::DtmfDetector;
use trunkline_media::frame::{FRAME_SAMPLES, level_dbfs};
use trunkline_media::leg::{AnalysisConfig, Leg, LegConfig, LegEvent, StreamConfig};
use trunkline_media::rtp::packet::RtpPacket;

#[test]
fn digits_arrive_without_marker_and_leave_as_events() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(100);
    for digit in [4u8, 2, 11] {
        for (duration, end) in [(160u16, 0u8), (320, 0), (480, 0x80), (480, 0x80)] {
            let [high, low] = duration.to_be_bytes();
            link.send_packet(101, &[digit, end | 10, high, low]);
            link.pass(20);
        }
        link.timestamp = link.timestamp.wrapping_add(640);
    }
    link.leg.send_dtmf("1#x9");
    link.silence_ms(1_000);
    let digits: String = link
        .events
        .iter()
        .filter_map(|e| if let LegEvent::DtmfReceived { digit } = e { Some(*digit) } else { None })
        .collect();
    assert_eq!(digits, "42#");
    let events: Vec<u8> = link
        .sent
        .iter()
        .map(|(_, bytes)| RtpPacket::parse(bytes).unwrap())
        .filter(|p| p.payload_type == 101 && p.marker)
        .map(|p| p.payload[0])
        .collect();
    assert_eq!(events, [1, 11, 9]);
    assert!(link.events.contains(&LegEvent::DtmfSent));
}

#[test]
fn digits_leave_as_tones_to_a_peer_without_events() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let stream = StreamConfig { telephone_event: None, ..config(link.now, Companding::MuLaw).stream };
    link.leg.renegotiate(link.now, stream);
    link.leg.send_dtmf("0123456789*#ABCD");
    link.silence_ms(16 * 160 + 200);
    let packets = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap());
    let samples: Vec<i16> = packets
        .flat_map(|packet| packet.payload.iter().map(|code| Companding::MuLaw.decode(*code)).collect::<Vec<_>>())
        .collect();
    let mut detector = DtmfDetector::default();
    let frames = samples.as_chunks::<FRAME_SAMPLES>().0;
    assert_eq!(frames.iter().filter_map(|frame| detector.handle_frame(frame)).collect::<String>(), "0123456789*#ABCD");
}

/// Samples of a steady sound of these frequencies.
fn tones(ms: usize, hz: &[f32]) -> Vec<i16> {
    let at = |n: usize, hz: &f32| (n as f32 / 8_000.0 * hz * std::f32::consts::TAU).sin() * 6_000.0;
    (0..ms * 8).map(|n| hz.iter().map(|hz| at(n, hz)).sum::<f32>() as i16).collect()
}

/// The key 5 for 100 ms, as tones.
fn five() -> Vec<i16> {
    tones(100, &[770.0, 1_336.0])
}

impl LossyLine {
    /// The key 5 as an event, with its tones in the audio before the event's end, as some gateways do.
    fn press_five_twice_told(&mut self) {
        let begin = self.timestamp;
        for (index, frame) in five().chunks(FRAME_SAMPLES).enumerate() {
            let [high, low] = (160 * (index as u16 + 1)).to_be_bytes();
            let end = if index == 4 { 0x80 } else { 0 };
            let after = std::mem::replace(&mut self.timestamp, begin);
            self.send_packet(101, &[5, end | 10, high, low]);
            self.timestamp = after;
            self.speak(frame);
        }
    }

    fn digits(&self) -> String {
        self.events
            .iter()
            .filter_map(|e| if let LegEvent::DtmfReceived { digit } = e { Some(*digit) } else { None })
            .collect()
    }

    /// Keys whose tones whoever listens hears.
    fn heard_keys(&self) -> String {
        let (mut detector, heard) = (DtmfDetector::default(), self.heard());
        heard.as_chunks::<FRAME_SAMPLES>().0.iter().filter_map(|frame| detector.handle_frame(frame)).collect()
    }
}

/// A leg of an agent, and one that only speaks until it is bridged.
fn bridged_lines() -> [LossyLine; 2] {
    let agent = LossyLine::new(Companding::MuLaw);
    let mut callee = LossyLine::new(Companding::MuLaw);
    let base = config(callee.now, Companding::MuLaw);
    callee.leg = Leg::new(callee.now, LegConfig { analysis: AnalysisConfig::Off, ..base });
    [agent, callee].map(|mut link| {
        link.silence_ms(200);
        link.leg.start_bridge();
        link
    })
}

#[test]
fn the_other_party_of_a_bridge_hears_tones_of_keys_that_come_as_nothing_else() {
    for mut link in bridged_lines() {
        link.speak(&five());
        link.silence_ms(300);
        assert_eq!((link.digits().as_str(), link.heard_keys().as_str()), ("", "5"), "heard, and not sent again");
    }
}

#[test]
fn a_key_that_comes_as_an_event_and_in_the_audio_crosses_a_bridge_once() {
    for mut link in bridged_lines() {
        link.press_five_twice_told();
        link.silence_ms(300);
        assert_eq!((link.digits().as_str(), link.heard_keys().as_str()), ("5", ""));
    }
}

#[test]
fn tones_of_a_peer_that_signals_its_keys_are_copies() {
    for mut link in bridged_lines() {
        link.leg.handle_signalled_digit();
        link.speak(&five());
        link.silence_ms(300);
        assert_eq!((link.digits().as_str(), link.heard_keys().as_str()), ("", ""));
    }
    let mut agent = LossyLine::new(Companding::MuLaw);
    agent.silence_ms(200);
    agent.speak(&five());
    agent.silence_ms(300);
    assert_eq!((agent.digits().as_str(), agent.heard_keys().as_str()), ("5", ""), "the agent does not hear tones");
    agent.leg.handle_signalled_digit();
    agent.speak(&five());
    agent.silence_ms(300);
    assert_eq!(agent.digits(), "5", "signalled and in the audio: one key");
}

/// Sound that comes back as it was sent is the agent's echo, but a fax or a ringing tone that both sides send is not.
#[test]
fn what_sounds_like_an_echo_crosses_a_bridge() {
    let heard = |is_bridged: bool| {
        let mut link = LossyLine::new(Companding::MuLaw);
        let speech: Vec<i16> = (0..4).flat_map(|_| fixture("opening_hours")).collect();
        let frames: Vec<&[i16]> = speech.chunks_exact(FRAME_SAMPLES).collect();
        link.silence_ms(200);
        let bridge_at = frames.len() / 2;
        let mut later = 0;
        for (n, frame) in frames.iter().enumerate() {
            if is_bridged && n == bridge_at {
                link.leg.start_bridge();
            }
            if n == bridge_at {
                later = link.heard().len();
            }
            let octets: Vec<u8> = frame.iter().map(|sample| Companding::MuLaw.encode(*sample)).collect();
            link.leg.relay_frame(&AudioFrame::g711(Companding::MuLaw, &octets).unwrap());
            let echo: Vec<i16> = n.checked_sub(8).map_or_else(Vec::new, |n| frames[n].iter().map(|s| s / 4).collect());
            link.speak(&echo);
        }
        assert!(link.leg.stats().echo.is_some(), "a path of the echo");
        link.heard()[later..].chunks(FRAME_SAMPLES).filter(|frame| level_dbfs(frame) > -45.0).count()
    };
    let (to_agent, to_party) = (heard(false), heard(true));
    assert!(to_agent * 4 < to_party && to_party > 50, "{to_agent} frames for an agent, {to_party} for the other party");
}

#[test]
fn the_bridged_party_is_not_late_after_keys() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.leg.set_ambience(None);
    let mut code = 0u8;
    let mut relay = |link: &mut LossyLine, frames: usize| {
        for _ in 0..frames {
            code = if code == 100 { 0 } else { code + 1 };
            link.leg.relay_frame(&AudioFrame::g711(Companding::MuLaw, &[code; FRAME_SAMPLES]).unwrap());
            link.silence_ms(20);
        }
        code
    };
    relay(&mut link, 20);
    link.leg.send_dtmf("12345");
    let last = relay(&mut link, 70);
    let (_, bytes) = link.sent.last().unwrap();
    let packet = RtpPacket::parse(bytes).unwrap();
    assert!(packet.payload_type == 0 && last - packet.payload[0] <= 3, "{last} {}", packet.payload[0]);
}
