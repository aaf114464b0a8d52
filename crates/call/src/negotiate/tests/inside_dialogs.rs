//! What the peer of a dialog is offered when it asks for an offer, and which answers are taken.

use super::*;
use trunkline_signaling::sip::user_agent::CallId;

/// freeswitch#3158 of browsers: a re-INVITE without SDP is offered the session that stands.
#[test]
fn a_browser_that_wants_an_offer_is_offered_what_stands() {
    let media = TrunkMedia { codecs: vec!["OPUS".to_owned(), "PCMU".to_owned()], ..TrunkMedia::default() };
    let media = TrunkMedia { srtp: trunk::SrtpPolicy::Preferred, ..media };
    let mut negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, Some([7; 32]), 1);
    let reach = HostCandidates { udp: vec!["192.0.2.1:40000".parse().unwrap()], tcp: vec![] };
    let text =
        String::from_utf8(dtls("actpass", "198.51.100.9", 0xAA)).unwrap().replace("RTP/SAVP 0", "RTP/SAVPF 111 126");
    let text = text.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0\r\n");
    let offer = format!(
        "{text}a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:efghijklmnopqrstuvwxyz\r\na=rtpmap:111 opus/48000/2\r\n\
         a=rtpmap:126 telephone-event/8000\r\n"
    );
    #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
    let now = Instant::now();
    let first = negotiation.answer_webrtc(now, offer.as_bytes(), Some(&reach)).unwrap();
    let wanted = || SipEvent::ReofferReceived { call: CallId(1), sdp: None, remote_tag: String::new() };
    let answered = |sdp: String| SipEvent::Acknowledged { call: CallId(1), sdp: Some(sdp.into_bytes()) };
    let version = |text: &[u8]| -> u64 { line_of(text, "o=").unwrap().split(' ').nth(2).unwrap().parse().unwrap() };
    for (n, direction, stream) in
        [(2, "sendonly", StreamDirection::Inactive), (3, "sendrecv", StreamDirection::SendReceive)]
    {
        let change = negotiation.handle_dialog_event(&wanted());
        let DialogMediaChange::Reoffered { text: Some(text), stream: None } = change else { panic!("{change:?}") };
        for same in ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=mid:", "m=audio ", "a=group:", "a=rtpmap:111 "]
        {
            assert!(line_of(&text, same).is_some(), "{same}");
            assert_eq!(line_of(&text, same), line_of(&first.sdp, same), "{same}");
        }
        assert_eq!(line_of(&text, "a=setup:"), Some("actpass"));
        assert!(line_of(&text, "a=sendrecv").is_some(), "also after a hold");
        assert_eq!(version(&text), n);
        let answer = offer.replace("setup:actpass", "setup:active") + &format!("a={direction}\r\n");
        let DialogMediaChange::Answered(now) = negotiation.handle_dialog_event(&answered(answer)) else { panic!() };
        assert_eq!(
            (now.direction, now.codec, now.payload_type),
            (stream, first.stream.codec, first.stream.payload_type)
        );
    }
    let off = offer.replace("m=audio 4000", "m=audio 0");
    let change = negotiation.handle_dialog_event(&answered(off));
    assert!(matches!(change, DialogMediaChange::Answered(off) if off.direction == StreamDirection::Inactive));
    // The peer offers again: one numbering over all descriptions.
    assert_eq!(version(&negotiation.describe_webrtc(&first.sdp)), 4);
}

#[test]
fn keys_that_were_not_offered_end_the_session_that_asked_for_an_offer() {
    let media = media(trunk::SrtpPolicy::Preferred, trunk::SrtpKeying::Sdes);
    let mut negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, Some([7; 32]), 1);
    let mut peer = RemotePeer::new("peer", "198.51.100.9", 1);
    let with = |suite: &str, text: Vec<u8>| {
        let text = String::from_utf8(text).unwrap();
        text.replace("AES_CM_128_HMAC_SHA1_80", suite).into_bytes()
    };
    negotiation.answer(&with("AES_CM_128_HMAC_SHA1_32", peer.describe())).unwrap();
    let offer = negotiation.offer();
    assert!(line_of(&offer, "a=crypto:1 AES_CM_128_HMAC_SHA1_32 ").is_some(), "the suite that stands");
    peer.key = 2;
    let answered = |sdp: Vec<u8>| SipEvent::Acknowledged { call: CallId(1), sdp: Some(sdp) };
    let fine = negotiation.clone().handle_dialog_event(&answered(with("AES_CM_128_HMAC_SHA1_32", peer.describe())));
    assert!(matches!(fine, DialogMediaChange::Answered(_)), "{fine:?}");
    let plain = String::from_utf8(peer.describe()).unwrap().replace("RTP/SAVP", "RTP/AVP");
    let plain = plain.split("a=crypto").next().unwrap().as_bytes().to_vec();
    for other in [with("AES_CM_256_HMAC_SHA1_80", peer.describe()), plain] {
        let refused = negotiation.clone().handle_dialog_event(&answered(other));
        assert!(matches!(refused, DialogMediaChange::Unanswerable), "{refused:?}");
    }
}

/// A call that takes another's place offers in its 200; later answers without a codec leave what was agreed.
#[test]
fn a_first_answer_that_cannot_be_used_ends_the_dialog_and_a_later_one_changes_nothing() {
    let media = media(trunk::SrtpPolicy::Off, trunk::SrtpKeying::Sdes);
    let mut negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, None, 1).fork();
    let answer = |format: &str, codec: &str| {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP {format}\r\n\
             a=rtpmap:{format} {codec}/8000\r\n"
        );
        SipEvent::Acknowledged { call: CallId(1), sdp: Some(text.into_bytes()) }
    };
    negotiation.offer();
    for unusable in [answer("97", "iLBC"), SipEvent::Acknowledged { call: CallId(1), sdp: Some(b"v=0".to_vec()) }] {
        let change = negotiation.clone().handle_dialog_event(&unusable);
        assert!(matches!(change, DialogMediaChange::Unanswerable), "{change:?}");
    }
    let change = negotiation.handle_dialog_event(&answer("0", "PCMU"));
    assert!(matches!(change, DialogMediaChange::Answered(_)), "{change:?}");
    negotiation.offer();
    let change = negotiation.handle_dialog_event(&answer("97", "iLBC"));
    assert!(matches!(change, DialogMediaChange::Unchanged), "{change:?}");
}
