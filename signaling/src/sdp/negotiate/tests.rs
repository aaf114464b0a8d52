//! Offers and answers as peers write them.

use super::super::crypto::{CryptoLine, CryptoSuite, KEY_BYTES_MAX};
use super::*;

fn local() -> LocalMedia {
    LocalMedia {
        addr: "192.0.2.1".parse().unwrap(),
        port: 30_000,
        codecs: vec![SdpCodec::Pcmu, SdpCodec::Pcma],
        ptime_ms: PTIME_MS,
        srtp: SrtpMode::Off,
        keying: KeyExchange::Sdes,
        fingerprint: Some([0xAB; 32]),
        ice: Some(IceLiteCredentials { ufrag: *b"01234567", password: *b"0123456789abcdef0123456789abcdef" }),
        keys: [[1; KEY_BYTES_MAX], [2; KEY_BYTES_MAX]],
        session_id: 1,
        session_version: 1,
        association: 0,
        standing: None,
    }
}

fn offer(lines: &str) -> Vec<u8> {
    format!("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n{lines}").into_bytes()
}

fn answered(lines: &str) -> (NegotiatedSdp, String) {
    let (negotiated, text) = answer(&offer(lines), &local()).unwrap();
    (negotiated, String::from_utf8(text).unwrap())
}

#[test]
fn the_first_common_codec_of_the_offer_wins() {
    let (n, text) = answered("m=audio 4000 RTP/AVP 18 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=ptime:30\r\n");
    assert_eq!((n.codec, n.payload_type, n.telephone_event, n.ptime_ms), (SdpCodec::Pcma, 8, Some(96), 30));
    assert!(text.contains("m=audio 30000 RTP/AVP 8 96\r\n"), "{text}");
    assert!(!text.contains("PCMU"), "an answer lists what is sent: {text}");
    assert_eq!(n.remote_rtcp.port(), 4001);
}

#[test]
fn dynamic_payload_types_for_g711_are_understood() {
    let (n, _) = answered("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000\r\na=rtcp:5001 IN IP4 198.51.100.10\r\n");
    assert_eq!((n.codec, n.payload_type), (SdpCodec::Pcmu, 97));
    assert_eq!(n.remote_rtcp.to_string(), "198.51.100.10:5001");
}

#[test]
fn packets_are_no_longer_than_the_peer_takes() {
    for (lines, ptime_ms) in [
        ("a=maxptime:10", 10),
        ("a=ptime:40\r\na=maxptime:30", 30),
        ("a=maxptime:30\r\na=ptime:40", 30),
        ("a=ptime:60\r\na=maxptime:25.5", 20),
        ("a=ptime:30\r\na=maxptime:150", 30),
        ("a=maxptime:5", 10),
        ("a=maxptime:0", 20),
        ("a=maxptime:many", 20),
        ("a=maxptime:99999999", 20),
    ] {
        let (n, text) = answered(&format!("m=audio 4000 RTP/AVP 0\r\n{lines}\r\n"));
        assert_eq!(n.ptime_ms, ptime_ms, "{lines}");
        assert!(text.contains("\r\na=ptime:20\r\n"), "what we want is our own: {text}");
    }
    let offered = LocalMedia { codecs: vec![SdpCodec::Pcmu], ..local() };
    let theirs = offer("m=audio 4000 RTP/AVP 0\r\na=maxptime:10\r\n");
    assert_eq!(accept_answer(&theirs, &offered).unwrap().ptime_ms, 10, "in an answer too");
}

#[test]
fn hold_and_resume_directions() {
    for (theirs, ours, line) in [
        ("a=sendonly", MediaDirection::RecvOnly, "\r\na=recvonly\r\n"),
        ("a=inactive", MediaDirection::Inactive, "\r\na=inactive\r\n"),
        ("a=recvonly", MediaDirection::SendOnly, "\r\na=sendonly\r\n"),
        ("a=sendrecv", MediaDirection::SendRecv, "\r\na=sendrecv\r\n"),
        ("c=IN IP4 0.0.0.0", MediaDirection::RecvOnly, "\r\na=recvonly\r\n"),
    ] {
        let (n, text) = answered(&format!("m=audio 4000 RTP/AVP 0\r\n{theirs}\r\n"));
        assert_eq!(n.direction, ours, "{theirs}");
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn unacceptable_offers_are_rejected() {
    let refused = |lines: &str| answer(&offer(lines), &local()).unwrap_err();
    assert_eq!(refused("m=audio 4000 RTP/AVP 18\r\n"), OfferAnswerError::NotAcceptable("no common codec"));
    assert_eq!(refused("m=video 4000 RTP/AVP 96\r\n"), OfferAnswerError::NotAcceptable("no RTP/AVP audio stream"));
    assert_eq!(refused("m=audio 4000 RTP/SAVP 0\r\n"), OfferAnswerError::NotAcceptable("SRTP is off"));
    assert_eq!(refused("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n"), OfferAnswerError::NotAcceptable("SRTP is off"));
    assert_eq!(refused("m=audio x RTP/AVP 0\r\n"), OfferAnswerError::Malformed(SdpError("m= line with a bad port")));
    assert_eq!(answer(b"hello", &local()).unwrap_err(), OfferAnswerError::Malformed(SdpError("no v= line")));
}

#[test]
fn video_beside_audio_is_refused_line_by_line() {
    let (n, text) = answered("m=video 5000 RTP/AVP 96 97\r\nm=audio 4000 RTP/AVP 0\r\nb=AS:64\r\na=unknown:stuff\r\n");
    assert_eq!(n.layout.index, 1);
    assert!(text.contains("m=video 0 RTP/AVP 96 97\r\nm=audio 30000 RTP/AVP 0\r\n"), "{text}");
}

#[test]
fn our_offer_is_read_back() {
    let text = print::offer(&local(), MediaDirection::SendRecv);
    let n = accept_answer(&text, &local()).unwrap();
    assert_eq!((n.codec, n.telephone_event, n.direction), (SdpCodec::Pcmu, Some(101), MediaDirection::SendRecv));
}

#[test]
fn wide_band_codecs_and_their_own_payload_types() {
    let all = LocalMedia { codecs: SdpCodec::ALL.to_vec(), ..local() };
    let lines = "m=audio 4000 RTP/AVP 96 9 0 97 98\r\na=rtpmap:96 opus/48000/2\r\n\
                 a=rtpmap:97 telephone-event/8000\r\na=rtpmap:98 telephone-event/48000\r\na=ptime:60\r\n";
    let (n, text) = answer(&offer(lines), &all).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!((n.codec, n.payload_type, n.telephone_event, n.ptime_ms), (SdpCodec::Opus, 96, Some(98), 20));
    assert!(text.contains("a=rtpmap:96 opus/48000/2\r\n") && text.contains("a=rtpmap:98 telephone-event/48000"));
    let n = answered("m=audio 4000 RTP/AVP 9 0 13\r\na=ptime:40\r\n").0;
    assert_eq!((n.codec, n.comfort_noise, n.ptime_ms), (SdpCodec::Pcmu, Some(13), 40), "G.722 was not configured");
    let (n, _) = answer(&offer("m=audio 4000 RTP/AVP 9 0\r\n"), &all).unwrap();
    assert_eq!((n.codec, n.payload_type), (SdpCodec::G722, 9));
    // Digits have the clock of the audio, unless the peer takes them at 8 kHz alone.
    assert_eq!((n.codec.clock_hz(), n.telephone_event_clock_hz), (8_000, 8_000));
    for (event, clock_hz) in [("telephone-event/8000", 8_000), ("telephone-event/48000", 48_000)] {
        let text = format!("m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 {event}\r\n");
        let n = answer(&offer(&text), &all).unwrap().0;
        assert_eq!((n.telephone_event, n.telephone_event_clock_hz), (Some(97), clock_hz), "{event}");
    }
    // Our offer answered with other numbers: each side is sent its own.
    let text = "m=audio 4000 RTP/AVP 96 100\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:100 telephone-event/48000\r\n";
    let n = accept_answer(&offer(text), &all).unwrap();
    assert_eq!((n.payload_type, n.payload_type_in), (96, 111));
    assert_eq!((n.telephone_event, n.telephone_event_in), (Some(100), Some(110)));
}

#[test]
fn ice_offer_gets_ice_lite_answer() {
    let lines = "m=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:efghijklmnopqrstuvwxyz\r\n\
                 a=candidate:1 1 UDP 2130706431 198.51.100.9 4000 typ host\r\n";
    let (n, text) = answered(lines);
    assert_eq!(n.ice, local().ice);
    for wanted in [
        "a=ice-lite\r\n",
        "a=ice-ufrag:01234567\r\na=ice-pwd:0123456789abcdef0123456789abcdef\r\n",
        "a=candidate:1 1 UDP 2130706431 192.0.2.1 30000 typ host\r\na=candidate:1 2 UDP 2130706430 192.0.2.1 30001 typ host\r\n",
    ] {
        assert!(text.contains(wanted), "{text}");
    }
    let (_, text) = answered(&format!("{lines}a=rtcp-mux\r\n"));
    assert!(!text.contains("candidate:1 2"), "one port, one candidate: {text}");
    let (n, text) = answered("m=audio 4000 RTP/AVP 0\r\n");
    assert!(n.ice.is_none() && !text.contains("ice"));
}

#[test]
fn dtls_roles_are_negotiated() {
    let with = |srtp, keying| LocalMedia { srtp, keying, ..local() };
    let shown = ["AB"; 32].join(":");
    let theirs = ["0C"; 32].join(":");
    for (setup, active) in [("actpass", false), ("active", false), ("passive", true)] {
        let lines = format!(
            "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 {theirs}\r\na=setup:{setup}\r\na=rtcp-mux\r\n"
        );
        let (n, text) = answer(&offer(&lines), &with(SrtpMode::Preferred, KeyExchange::Sdes)).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(n.dtls, Some(DtlsNegotiated { theirs: [0x0C; 32], ours: [0xAB; 32], active }), "{setup}");
        assert!(n.rtcp_mux && n.keys.is_none());
        let ours = if active { "active" } else { "passive" };
        assert!(text.contains("m=audio 30000 UDP/TLS/RTP/SAVP 0\r\n"), "{text}");
        assert!(text.contains(&format!("a=fingerprint:sha-256 {shown}\r\na=setup:{ours}\r\n")), "{text}");
    }
    // Without a readable certificate there is nothing to prove.
    let lines = "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-1 AB:CD\r\na=setup:actpass\r\n";
    assert!(answer(&offer(lines), &with(SrtpMode::Mandatory, KeyExchange::Dtls)).is_err());
    // Ours, and its answer, one with the certificate in the session part.
    let ours = with(SrtpMode::Mandatory, KeyExchange::Dtls);
    let text = String::from_utf8(print::offer(&ours, MediaDirection::SendRecv)).unwrap();
    assert!(text.contains("UDP/TLS/RTP/SAVP") && text.contains("a=setup:actpass") && !text.contains("crypto"));
    let head = format!("a=fingerprint:SHA-256 {theirs}\r\na=setup:active\r\nm=audio 4000 UDP/TLS/RTP/SAVP 0\r\n");
    let n = accept_answer(&offer(&head), &ours).unwrap();
    assert_eq!(n.dtls.map(|dtls| (dtls.theirs, dtls.active)), Some(([0x0C; 32], false)));
    assert!(accept_answer(&offer("m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n"), &ours).is_err());
}

const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

#[test]
fn srtp_policy_decides_on_keys() {
    let with = |srtp| LocalMedia { srtp, ..local() };
    let secure = format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:4 AES_CM_128_HMAC_SHA1_32 {KEY}\r\n");
    let beside = secure.replace("SAVP", "AVP");
    let plain = "m=audio 4000 RTP/AVP 0\r\n";
    for (srtp, lines, wanted) in [
        (SrtpMode::Off, secure.as_str(), Err("SRTP is off")),
        (SrtpMode::Off, &beside, Ok(None)),
        (SrtpMode::Preferred, &secure, Ok(Some("RTP/SAVP"))),
        (SrtpMode::Preferred, &beside, Ok(Some("RTP/AVP"))),
        (SrtpMode::Preferred, plain, Ok(None)),
        (SrtpMode::Mandatory, &secure, Ok(Some("RTP/SAVP"))),
        (SrtpMode::Mandatory, plain, Err("SRTP is required")),
    ] {
        match (answer(&offer(lines), &with(srtp)), wanted) {
            (Err(OfferAnswerError::NotAcceptable(why)), Err(wanted)) => assert_eq!(why, wanted),
            (Ok((n, text)), Ok(wanted)) => {
                let text = String::from_utf8(text).unwrap();
                assert_eq!(
                    n.keys.map(|keys| (keys.tag, keys.suite)),
                    wanted.map(|_| (4, CryptoSuite::AesCm128HmacSha1_32))
                );
                assert_eq!(text.contains("a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:"), wanted.is_some(), "{text}");
                assert!(wanted.is_none_or(|proto| text.contains(&format!(" {proto} 0"))), "{text}");
            }
            other => panic!("{srtp:?} {lines}: {other:?}"),
        }
    }
}

/// RFC 4568 allows any number of keys; each costs memory for as long as the call lasts.
#[test]
fn of_many_offered_keys_the_first_sixteen_are_kept() {
    let mut lines = "m=audio 4000 RTP/SAVP 0\r\n".to_owned();
    for tag in 1..=40 {
        lines += &format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 {KEY}\r\n");
    }
    let read = parse::session_description(&offer(&lines)).unwrap();
    let tags: Vec<u32> = read.media[0].crypto.iter().map(|line| line.tag).collect();
    assert_eq!(tags, (1..=16).collect::<Vec<u32>>());
}

#[test]
fn keys_of_our_offer_are_matched_by_tag() {
    let both = |srtp| {
        let ours = LocalMedia { srtp, ..local() };
        let theirs =
            LocalMedia { srtp: SrtpMode::Preferred, keys: [[7; KEY_BYTES_MAX], [8; KEY_BYTES_MAX]], ..local() };
        let text = print::offer(&ours, MediaDirection::SendRecv);
        let (seen, answer) = answer(&text, &theirs).unwrap();
        (seen, accept_answer(&answer, &ours).unwrap(), String::from_utf8(text).unwrap())
    };
    for (srtp, profile) in [(SrtpMode::Preferred, "RTP/AVP"), (SrtpMode::Mandatory, "RTP/SAVP")] {
        let (seen, agreed, text) = both(srtp);
        assert!(text.contains(&format!("m=audio 30000 {profile} 0 8 101\r\n")), "{text}");
        let (seen, agreed) = (seen.keys.unwrap(), agreed.keys.unwrap());
        assert_eq!((seen.ours, seen.theirs), (agreed.theirs, agreed.ours));
    }
    let ours = LocalMedia { srtp: SrtpMode::Mandatory, ..local() };
    let plain = accept_answer(&offer("m=audio 4000 RTP/AVP 0\r\n"), &ours);
    assert_eq!(plain, Err(OfferAnswerError::NotAcceptable("no SRTP key")));
}

/// Inside a dialog the suite that stands is offered under its tag, whichever it is, and an answer must take one that
/// was offered.
#[test]
fn an_offer_inside_a_dialog_keeps_the_suite_and_the_tag_that_stand() {
    let policy = LocalMedia { srtp: SrtpMode::Preferred, keys: [[7; KEY_BYTES_MAX], [8; KEY_BYTES_MAX]], ..local() };
    for suite in CryptoSuite::ALL {
        for tag in [1, 2, 4] {
            let line = |tag, suite| {
                let mut text = String::new();
                CryptoLine { tag, suite, key: SdesKey::from_random(suite, &[5; KEY_BYTES_MAX]) }.print(&mut text);
                text
            };
            let lines = |crypto: &str| format!("m=audio 4000 RTP/SAVP 0\r\n{crypto}");
            let ours = standing(&policy, &lines(&line(tag, suite)));
            let text = our_offer(&ours);
            let offered: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("a=crypto:")).collect();
            assert!(offered[0].starts_with(&format!("{tag} {} inline:", suite.name())), "{text}");
            let tags: Vec<&str> = offered.iter().map(|line| line.split(' ').next().unwrap()).collect();
            assert!(tags.len() == 2 && tags[0] != tags[1], "{text}");
            let accepted = accept_answer(&offer(&lines(&line(tag, suite))), &ours).unwrap();
            assert_eq!(accepted.keys.map(|keys| (keys.suite, keys.tag)), Some((suite, tag)));
            for other in CryptoSuite::ALL.into_iter().filter(|other| !text.contains(other.name())) {
                for lines in [lines(&line(tag, other)), lines(&line(9, other)).replace("SAVP", "AVP")] {
                    assert_eq!(accept_answer(&offer(&lines), &ours), Err(OfferAnswerError::NO_KEY), "{lines}");
                }
            }
            for lines in [
                lines(&line(tag + 10, suite)),
                lines("a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n").replace("SAVP", "AVP"),
                lines("").replace("SAVP", "AVP"),
            ] {
                assert_eq!(accept_answer(&offer(&lines), &ours), Err(OfferAnswerError::NO_KEY), "{lines}");
            }
        }
    }
    // A first offer with keys that may be left out is not answered by keys of another kind.
    let other = format!("m=audio 4000 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_32 {KEY}\r\n");
    assert_eq!(accept_answer(&offer(&other), &policy), Err(OfferAnswerError::NO_KEY));
    assert!(accept_answer(&offer("m=audio 4000 RTP/AVP 0\r\n"), &policy).is_ok_and(|plain| plain.keys.is_none()));
    assert!(accept_answer(&offer(&other), &local()).is_ok(), "we have offered none at all");
}

#[test]
fn channels_are_part_of_a_format() {
    let all = LocalMedia { codecs: SdpCodec::ALL.to_vec(), ..local() };
    for (rtpmap, wanted) in [
        ("opus/48000/2", Some(SdpCodec::Opus)),
        ("opus/48000/1", None),
        ("opus/48000", None),
        ("PCMU/8000/1", Some(SdpCodec::Pcmu)),
        ("PCMU/8000", Some(SdpCodec::Pcmu)),
        ("PCMU/8000/2", None),
        ("PCMU/8000/x", None),
        ("L16/8000/2", None),
    ] {
        let answered = answer(&offer(&format!("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 {rtpmap}\r\n")), &all);
        assert_eq!(answered.ok().map(|(n, _)| n.codec), wanted, "{rtpmap}");
    }
}

/// What stands after this answer to an offer.
fn standing(local: &LocalMedia, lines: &str) -> LocalMedia {
    let (negotiated, _) = answer(&offer(lines), local).unwrap();
    LocalMedia { standing: Some(Box::new(negotiated)), ..local.clone() }
}

fn our_offer(local: &LocalMedia) -> String {
    String::from_utf8(print::offer(local, MediaDirection::SendRecv)).unwrap()
}

#[test]
fn an_offer_inside_a_dialog_keeps_payload_numbers_and_lines() {
    let all = LocalMedia { codecs: vec![SdpCodec::Pcmu, SdpCodec::Opus], ..local() };
    let lines = "m=audio 4000 RTP/AVP 101 111 13\r\na=rtpmap:101 opus/48000/2\r\na=rtpmap:111 telephone-event/48000\r\n\
                 a=mid:voice\r\na=rtcp-mux\r\nm=video 5000 RTP/AVP 96\r\na=mid:picture\r\n";
    let within = standing(&all, lines);
    let text = our_offer(&within);
    // The numbers of the session keep their meaning, and the others make room.
    assert!(text.contains("m=audio 30000 RTP/AVP 101 0 111 96\r\n"), "{text}");
    for wanted in [
        "a=rtpmap:101 opus/48000/2\r\n",
        "a=rtpmap:111 telephone-event/48000\r\n",
        "a=rtpmap:96 telephone-event/8000\r\n",
        "a=mid:voice\r\n",
        "a=rtcp-mux\r\n",
        "m=video 0 RTP/AVP 96\r\na=mid:picture\r\n",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(text.find("m=audio") < text.find("m=video"), "the lines keep their order");
    let reply = "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\nm=video 0 RTP/AVP 96\r\n";
    let n = accept_answer(&offer(reply), &within).unwrap();
    assert_eq!((n.codec, n.payload_type_in, n.telephone_event_in), (SdpCodec::Pcmu, 0, Some(96)));
    let again = LocalMedia { standing: Some(Box::new(n)), ..within };
    assert!(our_offer(&again).contains("m=audio 30000 RTP/AVP 0 111 96 110\r\n"), "{}", our_offer(&again));
    let video_first =
        standing(&local(), "m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 0\r\nm=image 6000 udptl t38\r\n");
    let text = our_offer(&video_first);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 96", "m=audio 30000 RTP/AVP 0 8 101", "m=image 0 udptl t38"]);
}

#[test]
fn an_offer_inside_a_dialog_keeps_ice() {
    let ice = "a=ice-ufrag:abcd\r\na=ice-pwd:efghijklmnopqrstuvwxyz\r\n";
    let within = standing(&local(), &format!("m=audio 4000 RTP/AVP 0\r\n{ice}"));
    let text = our_offer(&within);
    for wanted in ["a=ice-lite\r\n", "a=ice-ufrag:01234567\r\n", "30000 typ host\r\n", "30001 typ host\r\n"] {
        assert!(text.contains(wanted), "{text}");
    }
    let n = accept_answer(&offer(&format!("m=audio 4000 RTP/AVP 0\r\n{ice}")), &within).unwrap();
    assert_eq!(n.ice, local().ice, "the path is still the peer's to choose");
    let n = accept_answer(&offer("m=audio 4000 RTP/AVP 0\r\n"), &within).unwrap();
    assert_eq!(n.ice, None);
    assert!(!our_offer(&local()).contains("ice"), "a first offer has none");
    // Two sides that only answer checks find no path.
    let lite = format!("m=audio 4000 RTP/AVP 0\r\n{ice}");
    let (n, text) =
        answer(&[&b"v=0\r\nc=IN IP4 198.51.100.9\r\na=ice-lite\r\n"[..], lite.as_bytes()].concat(), &local()).unwrap();
    assert!(n.ice.is_none() && !String::from_utf8(text).unwrap().contains("ice"));
}

#[test]
fn ice_credentials_of_a_peer_are_told_apart_and_not_kept() {
    let generation = |ufrag: &str, password: &str| {
        let lines = format!("m=audio 4000 RTP/AVP 0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n");
        answered(&lines).0.remote_ice
    };
    assert_eq!(generation("abcd", "efgh"), generation("abcd", "efgh"));
    assert_ne!(generation("abcd", "efgh"), generation("abcd", "other"));
    assert_ne!(generation("abcd", "efgh"), generation("abce", "efgh"));
    let session = b"v=0\r\nc=IN IP4 198.51.100.9\r\na=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\nm=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(answer(session, &local()).unwrap().0.remote_ice, generation("abcd", "efgh"), "in the session part");
    assert_eq!(answered("m=audio 4000 RTP/AVP 0\r\n").0.remote_ice, None);
}

#[test]
fn audio_that_is_taken_away_is_answered_with_port_zero() {
    let off = |lines: &str| answer_off(&offer(lines), &local()).map(|text| String::from_utf8(text).unwrap());
    let text = off("m=audio 0 RTP/SAVP 0 101\r\na=mid:a\r\n").unwrap();
    assert!(text.contains("m=audio 0 RTP/SAVP 0 101\r\na=mid:a\r\n"), "{text}");
    assert!(off("m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n").unwrap().contains("m=video 0 RTP/AVP 96\r\n"));
    for other in [
        "m=audio 4000 RTP/AVP 0\r\n",
        "m=audio 0 RTP/AVP 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        // Fax in the place of the audio is refused as a whole, so that the audio stays.
        "m=audio 0 RTP/AVP 0\r\nm=image 5000 udptl t38\r\n",
        "m=image 0 udptl t38\r\n",
        "",
    ] {
        assert_eq!(off(other), None, "{other}");
    }
    let refused = |lines: &str| accept_answer(&offer(lines), &local()).unwrap_err();
    assert_eq!(refused("m=audio 0 RTP/AVP 0\r\n"), OfferAnswerError::StreamOff);
    assert_eq!(refused("m=video 0 RTP/AVP 0\r\n"), OfferAnswerError::NotAcceptable("no RTP/AVP audio stream"));
}

#[test]
fn only_what_browsers_send_is_for_the_webrtc_library() {
    let browser = "a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\n\
                   a=ice-pwd:efgh\r\na=setup:actpass\r\na=fingerprint:sha-256 ";
    let browser = format!("{browser}{}\r\n", ["0C"; 32].join(":"));
    assert!(is_webrtc(&offer(&browser)));
    for (from, to) in [
        ("a=group:BUNDLE 0\r\n", ""),
        ("SAVPF", "SAVP"),
        ("a=mid:0\r\n", ""),
        ("a=rtcp-mux\r\n", ""),
        ("a=ice-ufrag", "a=x-ufrag"),
        ("a=fingerprint", "a=x-fingerprint"),
        ("m=audio 9", "m=audio 0"),
    ] {
        assert!(!is_webrtc(&offer(&browser.replace(from, to))), "{from}");
    }
    // All of them are answered as a telephone is, and 0.0.0.0 says that candidates follow, not that the call is held.
    let ours = LocalMedia { srtp: SrtpMode::Preferred, codecs: SdpCodec::ALL.to_vec(), ..local() };
    let lines = browser
        .replace("a=group:BUNDLE 0\r\n", "")
        .replace("111\r\n", "111\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\n");
    let (n, text) = answer(&offer(&lines), &ours).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(n.dtls.is_some() && n.ice.is_some() && n.rtcp_mux && n.direction == MediaDirection::SendRecv);
    for wanted in
        ["m=audio 30000 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2", "a=mid:0", "a=setup:passive", "a=ice-lite"]
    {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn a_refresh_offers_what_stands_and_either_role() {
    let text = "v=0\r\nm=audio 1 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:x\r\na=setup:passive\r\na=sendrecv\r\n";
    let refresh = String::from_utf8(print::as_offer(text.as_bytes())).unwrap();
    assert_eq!(refresh, text.replace("passive", "actpass"));
    assert_eq!(print::as_offer(b"v=0\r\n"), b"v=0\r\n");
}
