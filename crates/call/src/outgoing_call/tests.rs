//! The outgoing call in virtual time: what it sends, what it lets be heard, how it ends.

mod early_digits;

use super::*;
use crate::negotiate::{Negotiation, TrunkMedia};
use std::net::SocketAddr;
use trunkline_media::leg::StreamDirection;

const CALL: SipCall = SipCall(1);
/// In the place of a port: nothing is heard any more.
const SILENCE: u16 = 0;
const RING_TIMEOUT: Duration = Duration::from_secs(60);

/// The other end's description with its media at this port.
fn sdp(port: u16) -> Vec<u8> {
    describe(port, "8", "PCMA")
}

fn describe(port: u16, payload_type: &str, codec: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n\
         a=rtpmap:{payload_type} {codec}/8000\r\n"
    )
    .into_bytes()
}

fn unusable() -> Vec<u8> {
    describe(7_000, "97", "iLBC")
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 5_060))
}

/// One outgoing call and the time it sees.
struct Harness {
    now: Instant,
    call: OutgoingCall,
}

/// What an event made the call do: its commands, and the ports that were to be heard.
#[derive(Debug, PartialEq)]
struct Done {
    actions: Vec<OutgoingCallAction>,
    heard: Vec<u16>,
    rung: Vec<u16>,
}

impl Harness {
    fn start(offer_mode: OfferMode, redirects: RedirectPolicy) -> Self {
        let negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &TrunkMedia::default(), None, 1);
        let destination = Destination::parse("+15550199").unwrap();
        let params = OutgoingCallParams { destination, negotiation, offer_mode, redirects, ring_timeout: RING_TIMEOUT };
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let now = Instant::now();
        let mut harness = Self { now, call: OutgoingCall::new(now, params) };
        let done = harness.done();
        let [OutgoingCallAction::SendInvite { destination, offer, .. }] = &done.actions[..] else { panic!("{done:?}") };
        assert_eq!(destination.as_str(), "+15550199");
        assert_eq!(offer.is_some(), offer_mode == OfferMode::Early);
        harness
    }

    fn early() -> Self {
        Self::start(OfferMode::Early, RedirectPolicy::Refuse)
    }

    fn done(&mut self) -> Done {
        let actions = std::iter::from_fn(|| self.call.poll_action()).collect();
        let mut done = Done { actions, heard: Vec::new(), rung: Vec::new() };
        while let Some(update) = self.call.poll_update() {
            match update {
                OutgoingCallUpdate::EarlyMedia(stream) => {
                    let is_silent = stream.direction == StreamDirection::Inactive;
                    done.heard.push(if is_silent { SILENCE } else { stream.remote.port() });
                }
                OutgoingCallUpdate::Ringing { status } => done.rung.push(status),
                OutgoingCallUpdate::Redirected(_) => {}
            }
        }
        done
    }

    fn event(&mut self, event: SipEvent) -> Done {
        self.call.handle_sip_event(self.now, event);
        self.done()
    }

    fn provisional(&mut self, status: u16, fork: &str, sdp: Option<Vec<u8>>, is_reliable: bool) -> Done {
        self.gated(status, fork, sdp, is_reliable, EarlyMediaAuthorization::Unspecified)
    }

    /// A provisional response with P-Early-Media.
    fn gated(
        &mut self, status: u16, fork: &str, sdp: Option<Vec<u8>>, is_reliable: bool,
        early_media: EarlyMediaAuthorization,
    ) -> Done {
        let (call, peer, remote_tag) = (CALL, peer(), fork.to_owned());
        self.event(SipEvent::ProvisionalResponse { call, status, sdp, peer, remote_tag, is_reliable, early_media })
    }

    /// An unreliable 183; the port that is then to be heard.
    fn early_media(&mut self, fork: &str, port: u16) -> Vec<u16> {
        self.provisional(183, fork, Some(sdp(port)), false).heard
    }

    fn answered(&mut self, fork: &str, sdp: Option<Vec<u8>>) -> Vec<OutgoingCallAction> {
        let (sip_call_id, remote_tag) = ("id".to_owned(), fork.to_owned());
        self.event(SipEvent::Answered { call: CALL, sdp, sip_call_id, peer: peer(), remote_tag }).actions
    }

    fn update(&mut self, fork: &str, sdp: Vec<u8>) -> Done {
        self.event(SipEvent::ReofferReceived { call: CALL, sdp: Some(sdp), remote_tag: fork.to_owned() })
    }

    fn ended(&mut self, cause: EndCause) -> Done {
        self.event(SipEvent::Ended { call: CALL, cause })
    }

    /// The port that the answered call's media go to.
    fn port(&self) -> u16 {
        match self.call.result() {
            Some(Ok(answered)) => answered.stream.remote.port(),
            other => panic!("{other:?}"),
        }
    }

    fn error(&self) -> OutgoingCallError {
        match self.call.result() {
            Some(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn redirected(contacts: &[&str]) -> EndCause {
    EndCause::Redirected { status: 302, contacts: contacts.iter().map(|uri| (*uri).to_owned()).collect() }
}

#[test]
fn it_rings_and_is_answered() {
    let mut call = Harness::early();
    let ringing = call.provisional(180, "a", None, false);
    assert_eq!(ringing, Done { actions: vec![], heard: vec![], rung: vec![180] });
    assert!(matches!(call.call.state(), OutgoingCallState::Dialing(_)));
    assert!(call.call.result().is_none());
    assert_eq!(call.answered("a", Some(sdp(6_000))), []);
    assert_eq!(call.port(), 6_000);
    assert_eq!(call.call.poll_timeout(), None, "an answered call has no ring timeout");
}

#[test]
fn early_media_is_heard_until_the_answer_moves_it() {
    let mut call = Harness::early();
    assert_eq!(call.early_media("a", 6_000), [6_000]);
    assert!(matches!(call.call.state(), OutgoingCallState::EarlyMedia(..)));
    assert_eq!(call.provisional(180, "a", None, false).heard, [0_u16; 0], "a 180 after the 183 ends nothing");
    assert_eq!(call.provisional(183, "a", Some(unusable()), false).heard, [0_u16; 0]);
    assert_eq!(call.answered("a", Some(sdp(6_002))), []);
    assert_eq!(call.port(), 6_002);
}

#[test]
fn a_180_with_a_description_is_early_media() {
    let mut call = Harness::early();
    let done = call.provisional(180, "a", Some(sdp(6_000)), false);
    assert_eq!((done.heard, done.rung), (vec![6_000], vec![180]));
}

#[test]
fn the_newest_fork_is_heard_and_the_one_that_answers_is_talked_to() {
    let mut call = Harness::early();
    assert_eq!(call.early_media("a", 6_000), [6_000]);
    assert_eq!(call.early_media("b", 7_000), [7_000]);
    assert_eq!(call.early_media("a", 6_002), [6_002]);
    call.answered("b", Some(sdp(7_004)));
    assert_eq!(call.port(), 7_004);
}

#[test]
fn a_fork_that_was_never_heard_of_may_answer() {
    let mut call = Harness::early();
    call.early_media("a", 6_000);
    call.answered("c", Some(sdp(8_000)));
    assert_eq!(call.port(), 8_000);
}

#[test]
fn forks_beyond_the_limit_are_not_kept_and_may_still_answer() {
    let mut call = Harness::early();
    let heard: usize = (0..40).map(|fork| call.early_media(&format!("fork {fork}"), 6_000).len()).sum();
    assert_eq!(heard, 16);
    call.answered("fork 39", Some(sdp(6_100)));
    assert_eq!(call.port(), 6_100);
}

#[test]
fn a_description_in_a_reliable_response_is_the_answer() {
    // The 200 has none.
    let mut call = Harness::early();
    assert_eq!(call.provisional(183, "a", Some(sdp(6_000)), true).heard, [6_000]);
    assert_eq!(call.early_media("b", 7_000), [7_000]);
    assert_eq!(call.answered("a", None), []);
    assert_eq!(call.port(), 6_000, "of the fork that answered");
    // The 200 and later responses have another one, which means nothing.
    let mut call = Harness::early();
    call.provisional(183, "a", Some(sdp(6_000)), true);
    assert_eq!(call.early_media("a", 6_500), [0_u16; 0]);
    call.answered("a", Some(sdp(6_600)));
    assert_eq!(call.port(), 6_000);
    // A preview may be followed by the answer.
    let mut call = Harness::early();
    call.early_media("a", 6_000);
    assert_eq!(call.provisional(183, "a", Some(sdp(6_100)), true).heard, [6_100]);
    call.answered("a", None);
    assert_eq!(call.port(), 6_100);
}

#[test]
fn a_200_without_a_description_ends_the_call_unless_the_fork_has_given_its_answer() {
    for early in [None, Some(("a", false)), Some(("b", true))] {
        let mut call = Harness::early();
        if let Some((fork, is_reliable)) = early {
            call.provisional(183, fork, Some(sdp(6_000)), is_reliable);
        }
        assert_eq!(call.answered("a", None), [OutgoingCallAction::HangUpWithoutMedia], "{early:?}");
        assert_eq!(call.error(), OutgoingCallError::NoDescription);
    }
}

#[test]
fn an_unusable_description_ends_the_call() {
    let mut call = Harness::early();
    call.early_media("a", 6_000);
    assert_eq!(call.answered("a", Some(unusable())), [OutgoingCallAction::HangUpWithoutMedia]);
    assert!(matches!(call.error(), OutgoingCallError::UnusableDescription(_)));
    assert_eq!(call.error().end_reason(), EndReason::TrunkError);
}

#[test]
fn an_update_in_the_early_dialog_moves_the_media_of_its_fork() {
    let mut call = Harness::early();
    call.provisional(183, "a", Some(sdp(6_000)), true);
    call.early_media("b", 7_000);
    let done = call.update("a", sdp(6_002));
    assert_eq!(done.heard, [6_002]);
    assert!(matches!(&done.actions[..], [OutgoingCallAction::AnswerReoffer { answer: Some(_) }]), "{done:?}");
    let done = call.update("a", unusable());
    assert_eq!((done.heard, done.actions), (vec![], vec![OutgoingCallAction::AnswerReoffer { answer: None }]));
    call.answered("a", None);
    assert_eq!(call.port(), 6_002, "what was agreed last");
}

#[test]
fn an_update_of_a_fork_without_a_usable_description_begins_its_media() {
    let mut call = Harness::early();
    call.provisional(183, "a", Some(unusable()), false);
    assert!(matches!(call.call.state(), OutgoingCallState::Dialing(_)));
    assert_eq!(call.update("a", sdp(6_002)).heard, [6_002]);
    call.answered("a", Some(sdp(6_004)));
    assert_eq!(call.port(), 6_004);
}

#[test]
fn a_delayed_offer_is_answered_in_the_ack() {
    let mut call = Harness::start(OfferMode::Delayed, RedirectPolicy::Refuse);
    let done = call.provisional(183, "a", Some(sdp(6_000)), false);
    assert_eq!((done.heard, done.rung), (vec![], vec![183]), "a preview of the offer is not heard");
    let actions = call.answered("a", Some(sdp(6_002)));
    let [OutgoingCallAction::Acknowledge { answer: Some(answer) }] = &actions[..] else { panic!("{actions:?}") };
    assert!(answer.starts_with(b"v=0\r\n"));
    assert_eq!(call.port(), 6_002);
}

#[test]
fn a_delayed_offer_that_cannot_be_used_or_is_missing_ends_the_call() {
    let mut call = Harness::start(OfferMode::Delayed, RedirectPolicy::Refuse);
    let refused = [OutgoingCallAction::Acknowledge { answer: None }, OutgoingCallAction::HangUpWithoutMedia];
    assert_eq!(call.answered("a", Some(unusable())), refused);
    let mut call = Harness::start(OfferMode::Delayed, RedirectPolicy::Refuse);
    assert_eq!(call.answered("a", None), [OutgoingCallAction::HangUpWithoutMedia]);
    assert_eq!(call.error(), OutgoingCallError::NoDescription);
}

#[test]
fn a_redirect_begins_anew_with_other_keys_and_another_ring_timeout() {
    let mut call = Harness::start(OfferMode::Early, RedirectPolicy::Anywhere);
    call.early_media("a", 6_000);
    call.now += RING_TIMEOUT / 2;
    let done = call.ended(redirected(&["sip:desk@x.example"]));
    let [OutgoingCallAction::SendInvite { destination, offer: Some(_), .. }] = &done.actions[..] else {
        panic!("{done:?}")
    };
    assert_eq!(destination.as_str(), "sip:desk@x.example");
    assert_eq!(call.call.poll_timeout(), Some(call.now + RING_TIMEOUT));
    assert!(matches!(call.call.state(), OutgoingCallState::Dialing(_)), "the forks of the first attempt are gone");
    assert_eq!(call.answered("a", None), [OutgoingCallAction::HangUpWithoutMedia], "their answers too");
}

#[test]
fn a_delayed_offer_stays_delayed_after_a_redirect() {
    let mut call = Harness::start(OfferMode::Delayed, RedirectPolicy::Anywhere);
    let done = call.ended(redirected(&["sip:desk@x.example"]));
    assert!(matches!(&done.actions[..], [OutgoingCallAction::SendInvite { offer: None, .. }]), "{done:?}");
}

#[test]
fn three_redirects_are_followed_and_none_where_they_are_refused() {
    let mut call = Harness::start(OfferMode::Early, RedirectPolicy::Anywhere);
    for _ in 0..REDIRECTS_MAX {
        assert_eq!(call.ended(redirected(&["sip:desk@x.example"])).actions.len(), 1);
    }
    assert_eq!(call.ended(redirected(&["sip:desk@x.example"])).actions, []);
    assert_eq!(call.error(), OutgoingCallError::Ended(redirected(&["sip:desk@x.example"])));
    let mut call = Harness::early();
    assert_eq!(call.ended(redirected(&["sip:desk@x.example"])).actions, []);
    assert_eq!(call.error().end_reason(), EndReason::TrunkError);
}

#[test]
fn a_redirect_is_told_and_its_target_may_not_be_callable() {
    let mut call = Harness::start(OfferMode::Early, RedirectPolicy::Anywhere);
    call.call.handle_sip_event(call.now, SipEvent::Ended { call: CALL, cause: redirected(&["sip:desk@x.example"]) });
    assert_eq!(call.call.poll_update(), Some(OutgoingCallUpdate::Redirected(redirected(&["sip:desk@x.example"]))));
    call.call.handle_signaling_error(OutgoingCallError::NotAllowed);
    assert_eq!(call.error(), OutgoingCallError::NotAllowed);
}

#[test]
fn nobody_answers_in_time() {
    let mut call = Harness::early();
    call.early_media("a", 6_000);
    let due = call.call.poll_timeout().unwrap();
    call.call.handle_timeout(due - Duration::from_millis(1));
    assert_eq!(call.done().actions, []);
    call.call.handle_timeout(due);
    assert_eq!(call.done().actions, [OutgoingCallAction::HangUp]);
    assert_eq!((call.error(), call.call.poll_timeout()), (OutgoingCallError::NoAnswer, None));
}

#[test]
fn a_call_given_up_stays_given_up_when_the_answer_crosses() {
    let mut call = Harness::early();
    call.early_media("a", 6_000);
    call.call.give_up(EndReason::Canceled);
    assert_eq!(call.done().actions, [OutgoingCallAction::HangUp]);
    // The user agent acknowledges a 200 that crosses the CANCEL and hangs up.
    assert_eq!(call.answered("a", Some(sdp(6_000))), []);
    call.ended(EndCause::LocalHangUp);
    assert_eq!(call.error(), OutgoingCallError::GivenUp(EndReason::Canceled));
}

#[test]
fn an_answered_call_is_not_given_up() {
    let mut call = Harness::early();
    call.answered("a", Some(sdp(6_000)));
    call.call.give_up(EndReason::Canceled);
    call.call.handle_signaling_error(OutgoingCallError::SignalingLost);
    call.call.handle_timeout(call.now + RING_TIMEOUT * 2);
    assert_eq!((call.done().actions, call.port()), (vec![], 6_000));
}

#[test]
fn a_refusal_is_the_end() {
    let busy = EndCause::Rejected { status: 486, reason: "Busy".into(), retry_after_s: None, reason_header: None };
    let mut call = Harness::early();
    assert_eq!(call.ended(busy.clone()).actions, []);
    assert_eq!(call.error(), OutgoingCallError::Ended(busy));
}

#[test]
fn nothing_is_transferred_before_the_answer() {
    let mut call = Harness::early();
    let target = trunkline_signaling::sip::message::Uri::parse("sip:x@y.example").unwrap();
    let referred = trunkline_signaling::sip::user_agent::ReferRequest { target, replaces: None, referred_by: None };
    let done = call.event(SipEvent::ReferReceived { call: CALL, referred: Box::new(referred) });
    assert_eq!(done.actions, [OutgoingCallAction::RefuseRefer]);
}

/// A call over a trunk with `srtp: preferred`.
fn with_optional_keys() -> Harness {
    let media = TrunkMedia { srtp: crate::domain::trunk::SrtpPolicy::Preferred, ..TrunkMedia::default() };
    let mut call = Harness::early();
    let negotiation = Negotiation::new([192, 0, 2, 1].into(), 30_000, &media, None, 1);
    let destination = Destination::parse("+15550199").unwrap();
    let (offer_mode, redirects) = (OfferMode::Early, RedirectPolicy::Anywhere);
    let params = OutgoingCallParams { destination, negotiation, offer_mode, redirects, ring_timeout: RING_TIMEOUT };
    call.call = OutgoingCall::new(call.now, params);
    assert!(offered(&call.done().actions).contains("a=crypto"));
    call
}

/// The offer of the only INVITE among these.
fn offered(actions: &[OutgoingCallAction]) -> String {
    let offers: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            OutgoingCallAction::SendInvite { offer: Some(offer), destination, .. } => {
                assert_eq!(destination.as_str(), "+15550199");
                Some(String::from_utf8(offer.clone()).unwrap())
            }
            _ => None,
        })
        .collect();
    let [offer] = &offers[..] else { panic!("{actions:?}") };
    offer.clone()
}

fn refused(status: u16) -> EndCause {
    EndCause::Rejected { status, reason: "No".into(), retry_after_s: None, reason_header: None }
}

#[test]
fn keys_that_are_optional_are_left_out_once_where_they_are_refused() {
    for status in [415, 421, 488, 606] {
        let mut call = with_optional_keys();
        call.early_media("a", 6_000);
        let again = call.ended(refused(status)).actions;
        let offer = offered(&again);
        assert!(again.len() == 1 && !offer.contains("crypto") && offer.contains("RTP/AVP"), "{status}: {again:?}");
        let OutgoingCallAction::SendInvite { extensions, .. } = &again[0] else { panic!("{again:?}") };
        assert_eq!(*extensions, InviteExtensions::Omitted, "another 488 is the end");
        assert_eq!(call.ended(refused(status)).actions, [], "once");
        assert_eq!(call.error(), OutgoingCallError::Ended(refused(status)));
    }
    let mut call = with_optional_keys();
    assert_eq!(call.ended(refused(486)).actions, [], "busy is busy");
    let mut call = Harness::early();
    assert_eq!(call.ended(refused(488)).actions, [], "nothing to leave out");
}

#[test]
fn an_answer_without_audio_ends_the_first_attempt_and_begins_a_plain_one() {
    let off = || Some(describe(0, "8", "PCMA"));
    let mut call = with_optional_keys();
    let again = call.answered("a", off());
    assert_eq!(again.first(), Some(&OutgoingCallAction::HangUpWithoutMedia));
    assert!(!offered(&again).contains("crypto"));
    call.answered("b", Some(sdp(6_004)));
    assert_eq!(call.port(), 6_004);
    let mut call = Harness::early();
    assert_eq!(call.answered("a", off()), [OutgoingCallAction::HangUpWithoutMedia]);
    assert_eq!(call.error().end_reason(), EndReason::TrunkError);
}

#[test]
fn an_answer_with_keys_that_were_not_offered_begins_a_plain_attempt() {
    let key = "A".repeat(40);
    let foreign = || {
        let line = format!("a=crypto:77 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
        let mut text = String::from_utf8(sdp(6_000)).unwrap().replace("RTP/AVP", "RTP/SAVP");
        text.push_str(&line);
        Some(text.into_bytes())
    };
    let mut call = with_optional_keys();
    let again = call.answered("a", foreign());
    assert_eq!(again.first(), Some(&OutgoingCallAction::HangUpWithoutMedia));
    assert!(!offered(&again).contains("crypto"));
    assert_eq!(call.answered("b", foreign()), [OutgoingCallAction::HangUpWithoutMedia], "once");
    assert_eq!(call.error().end_reason(), EndReason::TrunkError);
}

#[test]
fn an_offer_of_the_callee_replaces_what_it_said_before() {
    // The 183 was unreliable; the UPDATE moved the media, and the 200 says nothing.
    let mut call = Harness::early();
    call.early_media("a", 6_000);
    assert_eq!(call.update("a", sdp(6_002)).heard, [6_002]);
    assert_eq!(call.answered("a", None), []);
    assert_eq!(call.port(), 6_002);
}

/// RFC 5009: what the network stops is no ringing tone and no announcement, and it says when that changes.
#[test]
fn media_that_the_network_stops_are_not_heard_until_it_lets_them_through() {
    use EarlyMediaAuthorization::{Authorized, Refused, Unspecified};
    let mut call = Harness::early();
    let silent = call.gated(183, "a", Some(sdp(6_000)), false, Refused);
    assert_eq!((silent.heard, silent.rung), (vec![], vec![183]), "it is told all the same");
    assert_eq!(call.gated(183, "a", Some(sdp(6_002)), false, Unspecified).heard, [0_u16; 0], "that holds");
    assert_eq!(call.update("a", sdp(6_004)).heard, [0_u16; 0], "for an UPDATE too");
    assert_eq!(call.gated(180, "a", None, false, Refused).heard, [0_u16; 0]);
    assert_eq!(call.gated(180, "a", None, false, Authorized).heard, [6_004], "without a description");
    assert_eq!(call.gated(180, "a", None, false, Authorized).heard, [0_u16; 0], "once");
    assert_eq!(call.gated(183, "b", None, false, Authorized).heard, [0_u16; 0], "nothing is described");
    call.answered("a", Some(sdp(6_006)));
    assert_eq!(call.port(), 6_006);
    // A reliable answer that is not heard is the answer all the same.
    let mut call = Harness::early();
    assert_eq!(call.gated(183, "a", Some(sdp(6_000)), true, Refused).heard, [0_u16; 0]);
    call.answered("a", None);
    let Some(Ok(answered)) = call.call.result() else { panic!() };
    assert_eq!((answered.stream.remote.port(), answered.stream.direction), (6_000, StreamDirection::SendReceive));
}

#[test]
fn media_that_are_stopped_fall_silent_and_those_of_another_fork_do_not() {
    let stop = |call: &mut Harness, fork| call.gated(183, fork, None, false, EarlyMediaAuthorization::Refused).heard;
    let mut call = Harness::early();
    call.early_media("a", 6_000);
    call.early_media("b", 7_000);
    assert_eq!(stop(&mut call, "a"), [0_u16; 0], "the other fork is heard");
    assert_eq!(stop(&mut call, "b"), [SILENCE]);
    assert_eq!(stop(&mut call, "b"), [0_u16; 0], "once");
}
