//! Offers of a caller before the answer.

use super::*;
use crate::domain::trunk::TrunkMedia;
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::leg::StreamDirection;
use trunkline_signaling::sip::user_agent::CallId;

fn described(lines: &str) -> Vec<u8> {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n{lines}\r\n").into_bytes()
}

fn negotiation() -> Negotiation {
    let media = TrunkMedia { codecs: vec!["PCMU".to_owned(), "PCMA".to_owned()], ..TrunkMedia::default() };
    Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, None, 1)
}

fn ringing() -> EarlyDescription {
    let mut negotiation = negotiation();
    let (stream, sdp) = negotiation.answer(&described("m=audio 4000 RTP/AVP 0")).unwrap();
    EarlyDescription { negotiation, stream: Some(stream), sdp }
}

fn offered(lines: Option<&str>) -> SipEvent {
    SipEvent::ReofferReceived { call: CallId(1), sdp: lines.map(described), remote_tag: "theirs".to_owned() }
}

#[test]
fn an_offer_before_the_answer_moves_the_ringing_leg_and_what_the_200_says() {
    let mut early = ringing();
    for (lines, codec, port, direction) in [
        ("m=audio 4002 RTP/AVP 0", Companding::MuLaw, 4_002, StreamDirection::SendReceive),
        ("m=audio 4004 RTP/AVP 8", Companding::ALaw, 4_004, StreamDirection::SendReceive),
        ("m=audio 4004 RTP/AVP 8\r\na=sendonly", Companding::ALaw, 4_004, StreamDirection::Inactive),
        ("m=audio 4006 RTP/AVP 0\r\na=sendrecv", Companding::MuLaw, 4_006, StreamDirection::SendReceive),
    ] {
        let answer = early.answer_offer(&offered(Some(lines)));
        let (text, stream) = (answer.text.unwrap(), answer.stream.unwrap());
        assert_eq!((stream.codec, stream.remote.port()), (Codec::G711(codec), port), "{lines}");
        assert_eq!(stream.direction, direction, "{lines}");
        assert!(early.stream == Some(stream) && early.sdp == text, "{lines}: the 200 says the newest");
    }
}

#[test]
fn an_offer_that_cannot_be_taken_leaves_the_media_as_they_were() {
    let mut early = ringing();
    let (stream, sdp) = (early.stream, early.sdp.clone());
    for lines in [Some("m=audio 4002 RTP/AVP 18"), Some("m=video 4002 RTP/AVP 96"), Some("nonsense"), None] {
        let answer = early.answer_offer(&offered(lines));
        assert!(answer.text.is_none() && answer.stream.is_none(), "{lines:?}");
    }
    assert!(early.stream == stream && early.sdp == sdp);
}

#[test]
fn an_offer_that_crosses_ours_is_refused_and_ours_is_answered() {
    let mut negotiation = negotiation();
    let sdp = negotiation.offer();
    let mut early = EarlyDescription { negotiation, stream: None, sdp };
    assert!(early.answer_offer(&offered(Some("m=audio 4002 RTP/AVP 0"))).text.is_none());
    let stream = early.negotiation.accept(&described("m=audio 4000 RTP/AVP 8")).unwrap();
    assert_eq!(stream.remote.port(), 4_000);
}
