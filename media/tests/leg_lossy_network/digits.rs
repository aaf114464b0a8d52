//! Digits as events in both directions.

use crate::line::LossyLine;
use trunkline_media::codec::Companding;
use trunkline_media::leg::LegEvent;
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
