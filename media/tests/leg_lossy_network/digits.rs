//! Digits as events in both directions.

use crate::line::{LossyLine, config};
use trunkline_media::codec::Companding;
use trunkline_media::detect::dtmf::DtmfDetector;
use trunkline_media::frame::FRAME_SAMPLES;
use trunkline_media::leg::{LegEvent, StreamConfig};
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
