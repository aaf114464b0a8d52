//! Every request inside a call gets a final response, and no session outlives its call, in every state.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub mod message_mutator;
    pub mod mutation_world;
}

use common::message_mutator::MessageDraft;
use common::mutation_world::{CALL_STAGES, CallStage, SDP, TestWorld};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use trunkline_signaling::limits;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::user_agent::SipEvent;

fn world() -> TestWorld {
    TestWorld::new(Instant::now())
}

/// First lines of what a peer heard.
fn starts(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text.lines().next().unwrap_or("").to_owned()).collect()
}

fn status(texts: &[String]) -> Vec<&str> {
    texts.iter().filter_map(|text| text.strip_prefix("SIP/2.0 ")?.get(..3)).collect()
}

fn value(text: &str, name: &str) -> String {
    text.lines().find_map(|network| network.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("").to_owned()
}

fn with(draft: &MessageDraft, name: &str, value: &str) -> MessageDraft {
    draft.with(name, &vec![value.as_bytes().to_vec()])
}

/// The Via of the request that an ACK is for, without its branch, or that of a different peer.
fn vias(invite: &MessageDraft, own: &MessageDraft) -> Vec<(&'static str, String)> {
    let text = |draft: &MessageDraft| String::from_utf8(draft.good("Via", "")).unwrap();
    let (invite, own) = (text(invite), text(own));
    vec![
        ("a new branch", own.clone()),
        ("the branch of what it acknowledges", invite.clone()),
        ("no branch", invite.split(';').next().unwrap().to_owned()),
        ("from another port", invite.replace(":5060", ":5999")),
        ("a proxy more", format!("SIP/2.0/UDP 10.0.0.99;branch=z9hG4bKproxy, {own}")),
    ]
}

#[test]
fn any_valid_ack_confirms_the_call() {
    for which in 0..5 {
        let mut world = world();
        world.owners_answer = true;
        let at = world.peer(CallStage::AwaitingAck);
        let (invite, ack) = (world.initial(at), world.request(at, "ACK"));
        let (label, via) = vias(&invite, &ack).swap_remove(which);
        world.take_heard(at);
        world.hear(at, &with(&ack, "Via", &via).bytes());
        assert!(matches!(world.events.last(), Some((_, SipEvent::Acknowledged { .. }))), "{label}");
        world.pass(Duration::from_secs(40));
        assert!(world.take_heard(at).is_empty(), "{label}: the 200 is not repeated, the call goes on");
        // The same inside of the call, twice.
        for number in 2..4 {
            let offer = world.request(at, "INVITE");
            world.hear(at, &offer.bytes());
            assert!(status(&world.take_heard(at)).iter().any(|status| matches!(*status, "200" | "488")), "{label}");
            let ack = with(&world.request(at, "ACK"), "CSeq", &format!("{number} ACK"));
            let (_, via) = vias(&offer, &ack).swap_remove(which);
            world.hear(at, &with(&ack, "Via", &via).bytes());
            world.pass(Duration::from_secs(40));
            assert!(world.take_heard(at).is_empty(), "{label}, re-INVITE {number}");
        }
        assert!(!world.events.iter().any(|(_, event)| matches!(event, SipEvent::Ended { .. })), "{label}");
    }
}

#[test]
fn an_old_or_foreign_acknowledgement_confirms_nothing() {
    for (name, wrong) in [("CSeq", "7 ACK"), ("From", "<sip:a@10.1.0.0>;tag=other"), ("Call-ID", "other")] {
        let mut world = world();
        let at = world.peer(CallStage::AwaitingAck);
        let ack = with(&world.request(at, "ACK"), name, wrong);
        world.take_heard(at);
        world.hear(at, &ack.bytes());
        world.pass(Duration::from_secs(100));
        let heard = world.take_heard(at);
        assert!(heard.iter().any(|text| text.starts_with("BYE ")), "{name}: {:?}", starts(&heard));
        let ended = |(_, event): &(Instant, SipEvent)| {
            matches!(event, SipEvent::Ended { cause: EndCause::NotAcknowledged, .. })
        };
        assert!(world.events.iter().any(ended), "{name}");
        assert_eq!(world.user_agent.held_counts(), (0, 0, 0), "{name}");
    }
}

/// How a call may end. No side answers anything afterwards.
const ENDS: [&str; 7] = ["nothing", "hang up", "reject", "BYE", "CANCEL", "487 Terminated", "481 Gone"];

#[test]
fn no_session_outlives_its_call_by_more_than_its_last_request() {
    for scene in CALL_STAGES {
        for end in ENDS {
            let mut world = world();
            let at = world.peer(scene);
            let label = format!("{scene:?}, {end}");
            match end {
                "nothing" => {}
                "hang up" if !matches!(scene, CallStage::Idle | CallStage::Registering) => {
                    let call = world.call(at);
                    let _ = world.user_agent.hang_up(world.now, call);
                }
                "reject" if !matches!(scene, CallStage::Idle | CallStage::Registering) => {
                    let call = world.call(at);
                    let _ = world.user_agent.reject(world.now, call, 486, None);
                }
                "BYE" | "CANCEL" => {
                    let request = world.request(at, end);
                    world.hear(at, &request.bytes());
                }
                _ => {
                    let response = world.response(at, end);
                    world.hear(at, &response.bytes());
                }
            }
            let began = world.now;
            let mut left = 0;
            while world.user_agent.held_counts().0 > 0 && left < 800 {
                world.pass(Duration::from_secs(1));
                left += 1;
            }
            let ended =
                world.events.iter().find(|(_, event)| matches!(event, SipEvent::Ended { .. })).map(|(at, _)| *at);
            // A call that was never ended lives on, and an account stays registered.
            let Some(ended) = ended else {
                let lives = matches!(scene, CallStage::Idle | CallStage::Registering | CallStage::Probing)
                    || matches!(
                        scene,
                        CallStage::Established | CallStage::TheirOffer | CallStage::Called | CallStage::OurOffer
                    );
                assert!(lives || left == 0, "{label}: not ended after {left} s");
                continue;
            };
            let outlived = world.now - ended.max(began);
            assert!(
                world.user_agent.held_counts().0 == 0 && outlived <= Duration::from_secs(66),
                "{label}: {outlived:?}"
            );
        }
    }
}

#[test]
fn an_offer_before_the_answer_is_answered_at_once() {
    let mut world = world();
    let at = world.peer(CallStage::Ringing);
    let call = world.call(at);
    world.user_agent.send_provisional(world.now, call, 180, None).unwrap();
    for _ in 0..2 {
        world.take_heard(at);
        let update = world.request(at, "UPDATE");
        world.hear(at, &update.bytes());
        let heard = world.take_heard(at);
        let answer = heard.last().unwrap();
        assert!(answer.starts_with("SIP/2.0 500 "), "{answer}");
        assert!(value(answer, "Retry-After").parse::<u32>().unwrap() <= 10, "{answer}");
        assert_eq!(value(answer, "CSeq"), String::from_utf8(update.good("CSeq", "")).unwrap());
    }
    let bare = MessageDraft { body: vec![], ..world.request(at, "UPDATE") };
    world.hear(at, &bare.bytes());
    assert_eq!(status(&world.take_heard(at)), ["200"], "without an offer it only refreshes");
}

#[test]
fn an_offer_after_a_reliable_answer_is_the_owners_and_answered_for_it_in_the_end() {
    let mut world = world();
    let at = world.peer(CallStage::EarlyUnacknowledged);
    world.take_heard(at);
    let update = world.request(at, "UPDATE");
    world.hear(at, &update.bytes());
    assert_eq!(status(&world.take_heard(at)), ["500"], "not acknowledged yet");
    let at = world.peer(CallStage::EarlyAnswered);
    world.take_heard(at);
    let (update, second) = (world.request(at, "UPDATE"), world.request(at, "UPDATE"));
    world.hear(at, &update.bytes());
    assert!(world.take_heard(at).is_empty(), "its owner is asked");
    assert!(matches!(world.events.last(), Some((_, SipEvent::ReofferReceived { sdp: Some(_), .. }))));
    world.hear(at, &second.bytes());
    assert_eq!(status(&world.take_heard(at)), ["500"], "one at a time");
    world.pass(Duration::from_secs(11));
    assert_eq!(status(&world.take_heard(at)), ["504"], "the owner did not answer");
    let (third, call) = (world.request(at, "UPDATE"), world.call(at));
    world.hear(at, &third.bytes());
    world.user_agent.answer_reoffer(world.now, call, Some(SDP.to_vec())).unwrap();
    world.pass(Duration::from_millis(1));
    assert_eq!(status(&world.take_heard(at)), ["200"], "and the next one is taken");
    world.user_agent.answer(world.now, call, SDP.to_vec()).unwrap();
    world.pass(Duration::from_millis(1));
    assert_eq!(status(&world.take_heard(at)), ["200"]);
}

#[test]
fn an_offer_of_a_callee_waits_for_its_answer_to_ours() {
    let mut world = world();
    let at = world.peer(CallStage::CallingEarly);
    world.take_heard(at);
    let update = world.request(at, "UPDATE");
    world.hear(at, &update.bytes());
    assert_eq!(status(&world.take_heard(at)), ["491"]);
    let stranger = with(&world.request(at, "UPDATE"), "From", "<sip:x@10.1.0.0>;tag=nobody");
    world.hear(at, &stranger.bytes());
    assert_eq!(status(&world.take_heard(at)), ["481"], "an unknown fork");
    let at = world.peer(CallStage::Calling);
    let progress = world.response(at, "183 Session Progress");
    world.hear(at, &progress.bytes());
    world.take_heard(at);
    let update = world.request(at, "UPDATE");
    world.hear(at, &update.bytes());
    assert!(matches!(world.events.last(), Some((_, SipEvent::ReofferReceived { .. }))));
    world.pass(Duration::from_secs(11));
    assert!(status(&world.take_heard(at)).contains(&"504"));
}

#[test]
fn pending_requests_are_answered_when_call_ends() {
    for how in ["hang up", "BYE"] {
        let mut world = world();
        let at = world.peer(CallStage::Established);
        let (update, refer) = (world.request(at, "UPDATE"), world.request(at, "REFER"));
        world.hear(at, &update.bytes());
        world.hear(at, &refer.bytes());
        world.take_heard(at);
        match how {
            "BYE" => {
                let bye = world.request(at, "BYE");
                world.hear(at, &bye.bytes());
            }
            _ => {
                let call = world.call(at);
                world.user_agent.hang_up(world.now, call).unwrap();
                world.pass(Duration::from_millis(1));
            }
        }
        let heard = world.take_heard(at);
        assert_eq!(status(&heard).iter().filter(|status| **status == "487").count(), 2, "{how}: {:?}", starts(&heard));
    }
}

#[test]
fn unattended_call_is_rejected_by_timeout() {
    let mut world = world();
    let at = world.peer(CallStage::Ringing);
    world.take_heard(at);
    world.pass(Duration::from_secs(301));
    assert_eq!(status(&world.take_heard(at)).first(), Some(&"504"));
    assert!(
        matches!(world.events.last(), Some((_, SipEvent::Ended { cause: EndCause::InternalError, .. }))),
        "the owner that did not answer"
    );
    world.pass(Duration::from_secs(64));
    assert_eq!(world.user_agent.held_counts(), (0, 0, 0));
}

#[test]
fn one_call_does_not_take_the_transactions_of_others() {
    let mut world = world();
    let at = world.peer(CallStage::Established);
    world.take_heard(at);
    for _ in 0..limits::CALL_TRANSACTIONS_MAX + 88 {
        let info = world.request(at, "INFO");
        world.hear(at, &info.bytes());
    }
    let heard = world.take_heard(at);
    let count = |wanted: &str| status(&heard).iter().filter(|status| **status == wanted).count();
    assert_eq!((count("200"), count("503")), (limits::CALL_TRANSACTIONS_MAX, 88));
    assert!(heard.last().is_some_and(|text| !value(text, "Retry-After").is_empty()));
    // Half a minute later there is room again, and for its end there always is.
    world.pass(Duration::from_secs(33));
    for _ in 0..limits::CALL_TRANSACTIONS_MAX + 1 {
        let info = world.request(at, "INFO");
        world.hear(at, &info.bytes());
    }
    let bye = world.request(at, "BYE");
    world.hear(at, &bye.bytes());
    let heard = world.take_heard(at);
    assert_eq!(status(&heard).iter().rev().take(3).collect::<Vec<_>>(), [&"200", &"503", &"200"]);
    world.pass(Duration::from_secs(64));
    assert_eq!(world.user_agent.held_counts(), (0, 0, 0));
}

/// An ACK goes to where the 200 points.
#[test]
fn repeated_answers_are_acknowledged_as_often_as_they_may_come() {
    let mut world = world();
    let at = world.peer(CallStage::Calling);
    let answer = world.response(at, "200 OK");
    for _ in 0..500 {
        world.hear(at, &answer.bytes());
    }
    let acks = starts(&world.take_heard(at)).iter().filter(|start| start.starts_with("ACK ")).count();
    assert_eq!(acks, 1 + usize::from(limits::ACKS_REPEATED_MAX));
}

#[test]
fn one_slow_owner_does_not_make_others_wait() {
    let mut world = world();
    world.peer(CallStage::Idle);
    let slow = world.peer(CallStage::Idle);
    let invite = world.initial(slow);
    world.hear(slow, &invite.bytes());
    for _ in 0..2 * limits::UNATTENDED_MIN {
        world.peer(CallStage::Ringing); // attended to
    }
    world.pass(Duration::from_millis(500));
    let at = world.peer(CallStage::Idle);
    let invite = world.initial(at);
    world.hear(at, &invite.bytes());
    assert_eq!(status(&world.take_heard(at)), ["100"], "there is one that waits");
    for _ in 0..=limits::UNATTENDED_MIN {
        let at = world.peer(CallStage::Idle);
        let invite = world.initial(at);
        world.hear(at, &invite.bytes());
    }
    world.pass(Duration::from_millis(500));
    let at = world.peer(CallStage::Idle);
    let invite = world.initial(at);
    world.hear(at, &invite.bytes());
    assert_eq!(status(&world.take_heard(at)), ["503"], "and now too many do");
}

/// A peer that keeps raising its demands does not cause endless retries.
#[test]
fn repeated_demands_are_bounded() {
    let mut world = world();
    let at = world.peer(CallStage::Calling);
    for wanted in 1_801..2_000_u32 {
        let refusal = with(&world.response(at, "422 Session Interval Too Small"), "Min-SE", &wanted.to_string());
        world.hear(at, &refusal.bytes());
    }
    let heard = world.take_heard(at);
    let invites = heard.iter().filter(|text| text.starts_with("INVITE ")).count();
    assert_eq!(invites, 1 + usize::from(limits::REQUEST_RETRIES_MAX));
    assert!(matches!(
        world.events.last(),
        Some((_, SipEvent::Ended { cause: EndCause::Rejected { status: 422, .. }, .. }))
    ));
    // An offer of ours that always crosses one of the peer's.
    let at = world.peer(CallStage::OurOffer);
    for _ in 0..100 {
        let crossed = world.response(at, "491 Request Pending");
        world.hear(at, &crossed.bytes());
        world.pass(Duration::from_secs(5));
    }
    let heard = world.take_heard(at);
    let offers = heard.iter().filter(|text| text.starts_with("INVITE ") && value(text, "To").contains(";tag=peer"));
    let numbers: HashSet<String> = offers.map(|text| value(text, "CSeq")).collect();
    assert_eq!(numbers.len(), 1 + usize::from(limits::REQUEST_RETRIES_MAX));
    assert!(world.events.iter().any(|(_, event)| matches!(event, SipEvent::ReofferRejected { status: 491, .. })));
}

/// Answers of ever more forks, and ever more provisional ones, are not all reacted to.
#[test]
fn forks_and_provisionals_are_bounded() {
    let mut world = world();
    let at = world.peer(CallStage::Calling);
    let answer = world.response(at, "200 OK");
    for fork in 0..200 {
        let to = String::from_utf8(answer.good("To", "")).unwrap();
        let fork = with(&answer, "To", &to.replace(";tag=peer", &format!(";tag=fork{fork}")));
        world.hear(at, &with(&fork, "Contact", "<sip:victim@10.1.0.0:9>").bytes());
    }
    let heard = world.take_heard(at);
    let byes = heard.iter().filter(|text| text.starts_with("BYE ")).count();
    assert_eq!(byes, usize::from(limits::FORKS_ANSWERED_MAX));
    let at = world.peer(CallStage::Calling);
    let progress = world.response(at, "183 Session Progress");
    for rseq in 1..200_u32 {
        world.hear(at, &with(&progress, "RSeq", &rseq.to_string()).bytes());
    }
    let heard = world.take_heard(at);
    let pracks = heard.iter().filter(|text| text.starts_with("PRACK ")).count();
    assert_eq!(pracks, usize::from(limits::PROVISIONAL_RELIABLE_MAX));
}

#[test]
fn options_is_answered_without_state() {
    let mut world = world();
    for _ in 0..100 {
        let at = world.peer(CallStage::Idle);
        let options = world.request(at, "OPTIONS");
        world.hear(at, &options.bytes());
        world.hear(at, &options.bytes());
        let heard = world.take_heard(at);
        assert_eq!(status(&heard), ["200", "200"]);
        assert_eq!(heard[0], heard[1], "the same answer to the same question");
    }
    assert_eq!(world.user_agent.held_counts(), (0, 0, 0));
}
