//! Keys over the life of a call, in virtual time: who gets which, and that nothing is ever encrypted twice with the same
//! key stream.

use super::*;
use base64::Engine as _;
use std::collections::HashMap;
use std::time::Duration;
use trunkline_media::frame::FRAME_DURATION;
use trunkline_media::leg::{AnalysisConfig, Leg, LegConfig, PortKind};
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::transport::srtp::{KEY_BYTES_MAX as MEDIA_KEY_BYTES_MAX, SrtpKeys, SrtpSession as Context};
use trunkline_media::transport::webrtc::PeerOutput;

mod inside_dialogs;

fn media(srtp: trunk::SrtpPolicy, keying: trunk::SrtpKeying) -> TrunkMedia {
    TrunkMedia { codecs: vec!["PCMU".to_owned()], srtp, srtp_keying: keying, ..TrunkMedia::default() }
}

fn negotiation() -> Negotiation {
    let media = media(trunk::SrtpPolicy::Mandatory, trunk::SrtpKeying::Sdes);
    Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, Some([7; 32]), 1)
}

fn line_of<'a>(text: &'a [u8], start: &str) -> Option<&'a str> {
    std::str::from_utf8(text).unwrap().lines().find_map(|line| line.strip_prefix(start))
}

/// The key of a description's first crypto line.
fn key_of(text: &[u8]) -> Vec<u8> {
    let line = line_of(text, "a=crypto:").expect("a crypto line");
    let inline = line.split("inline:").nth(1).unwrap();
    base64::engine::general_purpose::STANDARD.decode(inline.split('|').next().unwrap()).unwrap()
}

/// The other side: its place, its key, and what it makes of ours.
struct RemotePeer {
    name: &'static str,
    host: &'static str,
    key: u8,
    srtp: Option<Context>,
    /// Sequence number of its next packet, beyond the roll-over.
    next: u32,
    heard: usize,
}

impl RemotePeer {
    fn new(name: &'static str, host: &'static str, key: u8) -> Self {
        Self { name, host, key, srtp: None, next: 65_000, heard: 0 }
    }

    fn describe(&self) -> Vec<u8> {
        let key = base64::engine::general_purpose::STANDARD.encode([self.key; 30]);
        format!(
            "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n",
            self.host
        )
        .into_bytes()
    }

    /// Takes our key from our description; one that it has already goes on.
    fn take(&mut self, description: &[u8]) {
        let whole = |bytes: &[u8]| {
            let mut whole = [0; MEDIA_KEY_BYTES_MAX];
            whole[..bytes.len()].copy_from_slice(bytes);
            whole
        };
        let keys = SrtpKeys {
            suite: srtp::SrtpProfile::AesCm128HmacSha1_80,
            send: whole(&[self.key; 30]),
            receive: whole(&key_of(description)),
        };
        match &mut self.srtp {
            Some(srtp) => assert!(srtp.rekey(keys)),
            None => self.srtp = Context::new(keys),
        }
    }
}

/// The handshake that was agreed.
fn dtls_params(stream: &StreamConfig) -> dtls::DtlsParams {
    let MediaSecurity::Dtls(params) = stream.security else { panic!("no handshake") };
    params
}

/// Our side: negotiation, leg and what encrypts for it, watched over by a detector of key streams that come back.
struct LocalPeer {
    now: Instant,
    negotiation: Negotiation,
    leg: Option<Leg>,
    srtp: Option<Context>,
    /// First block of each key stream, with its peer.
    streams: HashMap<[u8; 16], String>,
    /// The peer of each key.
    keys: HashMap<Vec<u8>, &'static str>,
}

impl LocalPeer {
    #[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
    fn new(negotiation: Negotiation) -> Self {
        let (streams, keys) = (HashMap::new(), HashMap::new());
        Self { now: Instant::now(), negotiation, leg: None, srtp: None, streams, keys }
    }

    fn agreed(&mut self, stream: StreamConfig) {
        let MediaSecurity::Sdes(keys) = stream.security else { panic!("no keys") };
        match &mut self.srtp {
            Some(srtp) => assert!(srtp.rekey(keys)),
            None => self.srtp = Context::new(keys),
        }
        let config = LegConfig {
            first_sequence: 65_000,
            record: false,
            analysis: AnalysisConfig::Off,
            ..LegConfig::basic(self.now, stream)
        };
        match &mut self.leg {
            Some(leg) => leg.renegotiate(self.now, stream),
            None => self.leg = Some(Leg::new(self.now, config)),
        }
    }

    /// They offer.
    fn answer(&mut self, peer: &mut RemotePeer) -> Vec<u8> {
        let (stream, text) = self.negotiation.answer(&peer.describe()).unwrap();
        self.agreed(stream);
        peer.take(&text);
        text
    }

    /// We have offered, they answer.
    fn accept(&mut self, offer: &[u8], peer: &mut RemotePeer) {
        let stream = self.negotiation.accept(&peer.describe()).unwrap();
        self.agreed(stream);
        peer.take(offer);
    }

    /// Packets both ways, each of which has to arrive.
    fn talk(&mut self, peer: &mut RemotePeer, packets: usize) {
        let (leg, srtp) = (self.leg.as_mut().unwrap(), self.srtp.as_mut().unwrap());
        let before = peer.heard;
        let source = SocketAddr::new(peer.host.parse().unwrap(), 4_000);
        let heard_before = leg.stats().packets_received;
        for _ in 0..packets {
            self.now += FRAME_DURATION;
            let due = leg.due(self.now);
            let (streams, keys) = (&mut self.streams, &mut self.keys);
            leg.tick(self.now, due, &mut |port, _, plain| {
                if port != PortKind::Rtp {
                    return;
                }
                srtp.protect(plain, false, |sealed| {
                    let mut block = [0; 16];
                    block.iter_mut().zip(plain[12..].iter().zip(&sealed[12..])).for_each(|(to, (a, b))| *to = a ^ b);
                    if let Some(other) = streams.insert(block, peer.name.to_owned()) {
                        panic!("a key stream of {other} comes back for {}", peer.name);
                    }
                    let key = srtp_key(&peer.srtp);
                    let owner = *keys.entry(key).or_insert(peer.name);
                    assert_eq!(owner, peer.name, "one key for two peers");
                    let theirs = peer.srtp.as_mut().unwrap();
                    peer.heard += usize::from(theirs.unprotect(sealed, false, |inside| assert_eq!(inside, plain)));
                });
            });
            // And back.
            let (sequence, timestamp) = (peer.next as u16, peer.next.wrapping_mul(160));
            let packet = RtpPacket { payload_type: 0, marker: false, sequence, timestamp, ssrc: 3, payload: &[5; 160] };
            let mut plain = [0; 172];
            packet.write(&mut plain).unwrap();
            peer.next += 1;
            let now = self.now;
            peer.srtp.as_mut().unwrap().protect(&plain, false, |sealed| {
                srtp.unprotect(sealed, false, |inside| leg.handle_authentic(now, source, inside));
            });
            while leg.poll_event().is_some() {}
        }
        assert_eq!(leg.stats().packets_received - heard_before, packets as u64, "{} is heard", peer.name);
        assert_eq!(peer.heard - before, packets, "{} hears everything", peer.name);
    }
}

fn srtp_key(srtp: &Option<Context>) -> Vec<u8> {
    srtp.as_ref().unwrap().keys.receive[..30].to_vec()
}

#[test]
fn a_refresh_after_half_an_hour_keeps_key_and_counter() {
    let mut ours = LocalPeer::new(negotiation());
    let mut peer = RemotePeer::new("peer", "198.51.100.9", 1);
    let first = ours.answer(&mut peer);
    ours.talk(&mut peer, 70_000);
    let again = ours.answer(&mut peer);
    assert_eq!(key_of(&first), key_of(&again), "nothing has changed");
    ours.talk(&mut peer, 70_000);
}

#[test]
fn a_peer_that_moves_or_changes_its_key_gets_a_new_one_of_ours() {
    let mut ours = LocalPeer::new(negotiation());
    let mut peer = RemotePeer::new("peer", "198.51.100.9", 1);
    let mut seen = vec![key_of(&ours.answer(&mut peer))];
    ours.talk(&mut peer, 1_000);
    peer.host = "198.51.100.10";
    seen.push(key_of(&ours.answer(&mut peer)));
    ours.talk(&mut peer, 1_000);
    peer.key = 2;
    seen.push(key_of(&ours.answer(&mut peer)));
    ours.talk(&mut peer, 1_000);
    let kept = seen.last().cloned();
    // Hold by address zero is no move, and neither is the way back.
    peer.host = "0.0.0.0";
    assert_eq!(Some(key_of(&ours.answer(&mut peer))), kept);
    peer.host = "198.51.100.10";
    assert_eq!(Some(key_of(&ours.answer(&mut peer))), kept);
    ours.talk(&mut peer, 1_000);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn another_dialog_shares_no_secret_with_this_one() {
    let mut ours = LocalPeer::new(negotiation());
    let mut first = RemotePeer::new("first", "198.51.100.9", 1);
    let before = key_of(&ours.answer(&mut first));
    ours.talk(&mut first, 200);
    let fork = ours.negotiation.fork();
    assert_ne!(fork.local.ice, ours.negotiation.local.ice);
    assert!(fork.signalling.is_none());
    ours.negotiation = fork;
    // Even when the other one is at the same address with the same key.
    let mut second = RemotePeer { next: first.next, ..RemotePeer::new("second", "198.51.100.9", 1) };
    assert_ne!(before, key_of(&ours.answer(&mut second)));
    ours.talk(&mut second, 200);
}

#[test]
fn every_offer_has_its_own_srtp_key() {
    let mut ours = LocalPeer::new(negotiation());
    let (first, second) = (ours.negotiation.offer(), ours.negotiation.offer());
    assert_ne!(key_of(&first), key_of(&second));
    let mut peer = RemotePeer::new("peer", "198.51.100.9", 1);
    ours.accept(&second, &mut peer);
    ours.talk(&mut peer, 500);
    // The peer asks for an offer: a different user agent may answer it, as in a transfer.
    let asked = ours.negotiation.offer();
    assert_ne!(key_of(&asked), key_of(&second));
    let text = String::from_utf8(asked.clone()).unwrap();
    assert!(text.contains("RTP/SAVP 0") && text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80"), "{text}");
    ours.talk(&mut peer, 500);
    // It was not answered, and the peer offers what it has: nothing has changed.
    assert_eq!(key_of(&ours.answer(&mut peer)), key_of(&second));
    ours.talk(&mut peer, 500);
    let asked = ours.negotiation.offer();
    let mut other = RemotePeer::new("other", "203.0.113.5", 9);
    ours.accept(&asked, &mut other);
    ours.talk(&mut other, 500);
}

/// One offer that several answer: its key is known to all of them, which cannot be helped; what they are sent never is
/// the same key stream, and each hears from the first packet.
#[test]
fn forks_of_one_offer_are_sent_streams_of_their_own() {
    for packets in [100, 70_000] {
        let mut ours = LocalPeer::new(negotiation());
        let offer = ours.negotiation.offer();
        let mut forks = [
            RemotePeer::new("a", "198.51.100.9", 1),
            RemotePeer::new("b", "198.51.100.10", 2),
            RemotePeer::new("a again", "198.51.100.9", 1),
        ];
        for fork in &mut forks {
            ours.accept(&offer, fork);
            ours.keys.clear();
            ours.talk(fork, packets);
        }
    }
}

#[test]
fn a_stream_that_was_plain_for_a_while_does_not_get_its_old_key_back() {
    let media = media(trunk::SrtpPolicy::Preferred, trunk::SrtpKeying::Sdes);
    let mut negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, None, 1);
    let peer = RemotePeer::new("peer", "198.51.100.9", 1);
    let plain = String::from_utf8(peer.describe()).unwrap().replace("RTP/SAVP", "RTP/AVP");
    let plain = plain.split("a=crypto").next().unwrap().as_bytes().to_vec();
    let (_, first) = negotiation.answer(&peer.describe()).unwrap();
    let (stream, text) = negotiation.answer(&plain).unwrap();
    assert!(stream.security == MediaSecurity::Plain && line_of(&text, "a=crypto:").is_none());
    let (_, again) = negotiation.answer(&peer.describe()).unwrap();
    assert_ne!(key_of(&first), key_of(&again));
}

fn dtls(setup: &str, host: &str, certificate: u8) -> Vec<u8> {
    let digits = vec![format!("{certificate:02X}"); 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 UDP/TLS/RTP/SAVP 0\r\n\
         a=rtcp-mux\r\na=setup:{setup}\r\na=fingerprint:sha-256 {digits}\r\n"
    )
    .into_bytes()
}

#[test]
fn a_standing_association_keeps_its_roles_and_ends_with_what_it_was_made_for() {
    for (first, active) in [("passive", true), ("active", false)] {
        let media = media(trunk::SrtpPolicy::Mandatory, trunk::SrtpKeying::Dtls);
        let mut negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, Some([7; 32]), 1);
        negotiation.offer();
        let stream = negotiation.accept(&dtls(first, "198.51.100.9", 0xAA)).unwrap();
        let terms = dtls_params(&stream);
        assert_eq!(terms.is_dtls_client, active);
        let mut again = |setup: &str, host: &str, certificate| {
            let (stream, text) = negotiation.answer(&dtls(setup, host, certificate)).unwrap();
            (dtls_params(&stream), line_of(&text, "a=setup:").unwrap().to_owned())
        };
        let role = if active { "active" } else { "passive" };
        for setup in ["actpass", first] {
            assert_eq!(again(setup, "198.51.100.9", 0xAA), (terms, role.to_owned()), "{setup}");
        }
        assert_eq!(again("actpass", "0.0.0.0", 0xAA).0, terms, "hold");
        assert_eq!(again("actpass", "198.51.100.9", 0xAA).0, terms, "and back");
        let moved = again("actpass", "198.51.100.10", 0xAA).0;
        assert_ne!(moved, terms, "another address is another association");
        let other = again("actpass", "198.51.100.10", 0xBB).0;
        assert_ne!(other.association, moved.association, "and so is another certificate");
        let turned = again(if other.is_dtls_client { "active" } else { "passive" }, "198.51.100.10", 0xBB).0;
        assert_ne!(turned, other, "and a role that was asked for");
        let offer = negotiation.offer();
        assert_eq!(line_of(&offer, "a=setup:"), Some("actpass"));
        assert!(String::from_utf8(offer).unwrap().contains("UDP/TLS/RTP/SAVP 0"));
        let fork = negotiation.fork().answer(&dtls("actpass", "198.51.100.10", 0xBB)).unwrap().0;
        assert_ne!(dtls_params(&fork).association, turned.association, "another dialog");
    }
}

#[test]
fn an_offer_inside_a_dialog_describes_the_security_that_stands() {
    let preferred = |keying| {
        let media = media(trunk::SrtpPolicy::Preferred, keying);
        Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, Some([7; 32]), 1)
    };
    let mut by_keys = preferred(trunk::SrtpKeying::Dtls);
    by_keys.answer(&RemotePeer::new("peer", "198.51.100.9", 1).describe()).unwrap();
    let text = String::from_utf8(by_keys.offer()).unwrap();
    assert!(text.contains("RTP/SAVP 0") && text.contains("a=crypto:") && !text.contains("fingerprint"), "{text}");
    let mut by_handshake = preferred(trunk::SrtpKeying::Sdes);
    by_handshake.answer(&dtls("actpass", "198.51.100.9", 0xAA)).unwrap();
    let text = String::from_utf8(by_handshake.offer()).unwrap();
    assert!(
        text.contains("UDP/TLS/RTP/SAVP 0") && text.contains("a=setup:actpass") && !text.contains("a=crypto"),
        "{text}"
    );
}

fn plain_negotiation() -> Negotiation {
    Negotiation::new([192, 0, 2, 1].into(), 30_000, &TrunkMedia::default(), Some([7; 32]), 1)
}

fn plain(lines: &str) -> Vec<u8> {
    let head = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n";
    format!("{head}{lines}").into_bytes()
}

#[test]
fn audio_that_is_taken_away_comes_back_as_it_was() {
    let mut peer = RemotePeer::new("peer", "198.51.100.9", 1);
    let mut ours = LocalPeer::new(negotiation());
    let first = key_of(&ours.answer(&mut peer));
    let off = String::from_utf8(peer.describe()).unwrap().replace("m=audio 4000", "m=audio 0");
    let (stream, text) = ours.negotiation.answer(off.as_bytes()).unwrap();
    assert_eq!(stream.direction, StreamDirection::Inactive);
    assert!(line_of(&text, "m=audio ").unwrap().starts_with("0 RTP/SAVP"));
    let version = |text: &[u8]| line_of(text, "o=trunkline 1 ").unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(version(&text), "2");
    let again = ours.answer(&mut peer);
    assert_eq!((key_of(&again), version(&again).as_str()), (first, "3"));
    ours.talk(&mut peer, 100);
    // An answer to an offer of ours may take it away too, and a first answer must not.
    ours.negotiation.offer();
    let refused = plain("m=audio 0 RTP/SAVP 0\r\n");
    assert_eq!(ours.negotiation.accept(&refused).unwrap().direction, StreamDirection::Inactive);
    let mut first = negotiation();
    first.offer();
    assert_eq!(first.accept(&refused), Err(NegotiationError::STREAM_OFF));
    assert_eq!(negotiation().answer(&refused).unwrap_err().sip_status, 488, "a call begins with audio");
}

#[test]
fn other_ice_credentials_of_the_peer_change_ours() {
    let mut negotiation = plain_negotiation();
    let mut answer = |ufrag: &str, port: u16| {
        let lines =
            format!("m=audio {port} RTP/AVP 0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}efghijklmnopqrstuv\r\n");
        let (stream, text) = negotiation.answer(&plain(&lines)).unwrap();
        let line = |start| line_of(&text, start).unwrap().to_owned();
        assert_eq!(stream.ice.unwrap().ufrag, line("a=ice-ufrag:").as_bytes(), "the leg knows what the answer says");
        (line("a=ice-ufrag:"), line("a=ice-pwd:"))
    };
    let first = answer("abcd", 4_000);
    assert_eq!(answer("abcd", 4_000), first, "nothing is restarted");
    assert_eq!(answer("abcd", 4_002), first, "the chosen path is described");
    let second = answer("wxyz", 4_000);
    assert!(second.0 != first.0 && second.1 != first.1);
    assert_eq!(answer("wxyz", 4_000), second);
    // And an offer of ours is no restart.
    let offer = negotiation.offer();
    assert_eq!(line_of(&offer, "a=ice-ufrag:"), Some(second.0.as_str()));
    assert!(std::str::from_utf8(&offer).unwrap().contains("a=ice-lite"));
}

#[test]
fn an_association_outlives_what_ice_and_its_name_say_about_the_address() {
    let keying = trunk::SrtpKeying::Dtls;
    let new = || {
        let media = media(trunk::SrtpPolicy::Mandatory, keying);
        Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, Some([7; 32]), 1)
    };
    let ice = |ufrag: &str| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}efghijklmnopqrstuv\r\n");
    let with = |host: &str, more: &str| {
        let text = String::from_utf8(dtls("actpass", host, 0xAA)).unwrap() + more;
        text.into_bytes()
    };
    let mut by_ice = new();
    let terms = |negotiation: &mut Negotiation, offer: &[u8]| {
        let (stream, text) = negotiation.answer(offer).unwrap();
        (dtls_params(&stream), line_of(&text, "a=tls-id:").map(str::to_owned))
    };
    let first = terms(&mut by_ice, &with("198.51.100.9", &ice("abcd")));
    assert_eq!(terms(&mut by_ice, &with("198.51.100.10", &ice("abcd"))), first, "the chosen candidate");
    assert_eq!(terms(&mut by_ice, &with("198.51.100.11", &ice("wxyz"))), first, "a restart");
    let mut by_name = new();
    let named = |host, name: &str| with(host, &format!("a=tls-id:{}\r\n", name.repeat(5)));
    let first = terms(&mut by_name, &named("198.51.100.9", "abcd"));
    assert!(first.1.as_ref().is_some_and(|name| name.len() >= 20));
    assert_eq!(terms(&mut by_name, &named("198.51.100.10", "abcd")), first, "the same name elsewhere");
    let other = terms(&mut by_name, &named("198.51.100.10", "wxyz"));
    assert!(other.0 != first.0 && other.1 != first.1, "another name at the same place");
    assert!(std::str::from_utf8(&by_name.offer()).unwrap().contains(&format!("a=tls-id:{}", other.1.unwrap())));
    assert_eq!(terms(&mut new(), &with("198.51.100.9", "")).1, None, "only peers that give a name see ours");
}

#[test]
fn whoever_is_no_browser_is_answered_as_a_telephone() {
    let media = media(trunk::SrtpPolicy::Preferred, trunk::SrtpKeying::Sdes);
    let mut negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, Some([7; 32]), 1);
    let reach = HostCandidates { udp: vec!["192.0.2.1:40000".parse().unwrap()], tcp: vec![] };
    let text = String::from_utf8(dtls("actpass", "198.51.100.9", 0xAA)).unwrap().replace("RTP/SAVP", "RTP/SAVPF");
    let text = text.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0\r\n");
    let offer = format!("{text}a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:efghijklmnopqrstuvwxyz\r\n");
    #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
    let now = Instant::now();
    for other in [
        offer.replace("a=mid:0\r\n", ""),
        offer.replace("a=group:BUNDLE 0\r\n", ""),
        offer.replace("SAVPF", "SAVP"),
        offer.replace("a=rtcp-mux\r\n", ""),
        // What the library itself refuses.
        offer.replace("a=group:BUNDLE 0", "a=group:BUNDLE 1"),
    ] {
        assert!(negotiation.answer_webrtc(now, other.as_bytes(), Some(&reach)).is_none(), "{other}");
        let (stream, answer) = negotiation.fork().answer(other.as_bytes()).unwrap();
        assert!(stream.ice.is_some() && matches!(stream.security, MediaSecurity::Dtls(_)));
        assert_eq!(line_of(&answer, "a=setup:"), Some("passive"));
    }
    assert!(!negotiation.is_webrtc());
    let taken = negotiation.fork().answer_webrtc(now, offer.as_bytes(), Some(&reach)).unwrap();
    assert_eq!(taken.stream.direction, StreamDirection::SendReceive, "without a direction it goes both ways");
    // Of a peer that only answers checks, the candidates are kept: we check them.
    let lite = format!("{offer}a=candidate:1 1 UDP 2130706431 198.51.100.9 4000 typ host\r\n");
    let lite = lite.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n");
    let mut taken = negotiation.fork().answer_webrtc(now, lite.as_bytes(), Some(&reach)).unwrap();
    assert!(!std::str::from_utf8(&taken.sdp).unwrap().contains("a=ice-lite"), "one side has to check");
    let mut checked = Vec::new();
    for tick in 0..5 {
        let now = now + Duration::from_millis(100 * tick);
        taken.peer.handle_timeout(now);
        taken.peer.poll(now, &mut |out| {
            if let PeerOutput::Send { to, .. } = out {
                checked.push(to.to_string());
            }
        });
    }
    assert!(checked.iter().any(|to| to == "198.51.100.9:4000"), "{checked:?}");
}
