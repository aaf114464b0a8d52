//! The four calls that are made (outbound, consultation, for an inbound REFER, scripted caller) meet the same callee: what
//! one of them can do, all of them can.

use super::sip_peer::{MediaPort, SipPeer, SipText, unusable_sdp};
use super::support::{NUMBER, Server, loopback, until};
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use trunkline_lab::caller::report::CallReport;
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::caller::softphone::{DialParams, OfferMode, Softphone};
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::{CallId, ReferStatus, SipEvent, Transport};

const PATIENCE: Duration = Duration::from_secs(20);
const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 49900 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";

/// Who calls the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Outbound,
    Consultation,
    InboundRefer,
    ScriptedCaller,
}

/// Somebody who has called the server and is talking to its agent.
struct TalkingCaller {
    call: CallId,
    events: mpsc::Receiver<SipEvent>,
}

impl TalkingCaller {
    async fn call(server: &Server) -> Self {
        let invite = server.dial_to(NUMBER, Transport::Udp).invite(OFFER.to_vec());
        let (call, events) = server.phone.sip.send_invite(invite).await.unwrap();
        let mut caller = Self { call, events };
        caller.sees("the answer", |event| matches!(event, SipEvent::Answered { .. })).await;
        caller
    }

    async fn sees(&mut self, what: &str, wanted: impl Fn(&SipEvent) -> bool) {
        let wait = async {
            loop {
                let event = self.events.recv().await.unwrap_or_else(|| panic!("the call is gone before {what}"));
                if wanted(&event) {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never {what}"));
    }
}

/// A call to the peer that is being made.
enum Call {
    Outbound(Server),
    Consultation(Server, TalkingCaller),
    InboundRefer(Server, TalkingCaller),
    ScriptedCaller(JoinHandle<CallReport>),
}

/// What the trunk does; the scripted caller has none.
#[derive(Clone, Copy, Debug, Default)]
struct Policy {
    follow_redirects: bool,
    delayed_offer: bool,
}

impl Maker {
    /// Has the peer called: the call, and its INVITE.
    async fn dial(self, peer: &mut SipPeer, policy: Policy) -> (Call, SipText) {
        let call = match self {
            Self::Outbound => {
                let server = server(peer, policy).await;
                let task = json!({"agent_id": server.agent, "to_number": "+15550123"});
                let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
                server.post(&format!("/tasks/{task}/execute"), json!({})).await;
                Call::Outbound(server)
            }
            Self::Consultation => {
                let server = server(peer, policy).await;
                let caller = TalkingCaller::call(&server).await;
                let digit = b"Signal=1\r\nDuration=160\r\n".to_vec();
                server.phone.sip.send_info(caller.call, "application/dtmf-relay", digit).await;
                Call::Consultation(server, caller)
            }
            Self::InboundRefer => {
                let server = server(peer, policy).await;
                let caller = TalkingCaller::call(&server).await;
                let target = format!("sip:+15550123@127.0.0.1:{}", peer.port());
                server.phone.sip.send_refer(caller.call, target, Default::default()).await;
                Call::InboundRefer(server, caller)
            }
            Self::ScriptedCaller => Call::ScriptedCaller(scripted_caller(peer, policy).await),
        };
        let invite = peer.request("INVITE").await;
        assert_eq!(invite.body().is_empty(), policy.delayed_offer, "{}", invite.0);
        peer.respond(&invite, "100 Trying", "", &[], "").await;
        (call, invite)
    }
}

/// A server whose trunk leads to the peer.
async fn server(peer: &SipPeer, policy: Policy) -> Server {
    let server = Server::start().await;
    let trunk = json!({
        "host": "127.0.0.1", "port": peer.port(), "accept_refer": true,
        "follow_redirects": policy.follow_redirects, "delayed_offer": policy.delayed_offer,
    });
    let rules = json!({"rules": [{"digits": "1", "action": "transfer", "target": "tel:+15550123"}]});
    let agent = json!({"dtmf_rules": rules, "transfer_config": {"mode": "bridge", "ring_timeout_ms": 60_000}});
    for (path, body) in [(format!("/trunks/{}", server.trunk), trunk), (format!("/agents/{}", server.agent), agent)] {
        let (status, answer) = server.send("PATCH", &path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
    }
    server
}

/// The live call's agent hears these keys.
async fn hears_keys(server: &Server, keys: &str) {
    let said = json!(format!("[DTMF {keys}]"));
    until("keys", async || {
        let id = server.get("/calls?limit=1").await["calls"][0]["id"].as_str()?.to_owned();
        let call = server.get(&format!("/calls/{id}")).await["call"].take();
        call["transcript"].as_array()?.iter().any(|entry| entry["content"] == said).then_some(())
    })
    .await;
}

async fn scripted_caller(peer: &SipPeer, policy: Policy) -> JoinHandle<CallReport> {
    let (phone, _incoming) = Softphone::open(loopback(0), (40_000, 49_999)).await.unwrap();
    let dial = DialParams {
        to: Uri::sip(Some("+15550123"), "127.0.0.1", Some(peer.port())),
        from: Uri::sip(Some("+15550100"), "127.0.0.1", Some(phone.sip.local_udp().port())),
        transport: Transport::Udp,
        credentials: None,
        codecs: Vec::new(),
    };
    let offer_mode = if policy.delayed_offer { OfferMode::Delayed } else { OfferMode::Early };
    let script = CallScript::parse("pause 60000; hangup").unwrap();
    tokio::spawn(async move { phone.dial_with_offer(offer_mode, &dial, &script, None).await })
}

impl Call {
    /// Early media arrive. A call for a REFER has no leg of its own: its referrer is told instead.
    async fn has_early_media(&mut self, at: &MediaPort, what: &str) {
        match self {
            Self::InboundRefer(_, referrer) => {
                let is_progress = |event: &SipEvent| {
                    matches!(event, SipEvent::ReferProgress { referral: ReferStatus::Notified { status: 183, .. }, .. })
                };
                referrer.sees("the progress", is_progress).await;
            }
            Self::Outbound(_) | Self::Consultation(..) | Self::ScriptedCaller(_) => at.hears(what).await,
        }
    }

    /// Early media move, where there is a leg for them.
    async fn has_moved_early_media(&mut self, at: &MediaPort, what: &str) {
        if !matches!(self, Self::InboundRefer(..)) {
            at.hears(what).await;
        }
    }

    /// The callee hangs up the answered call.
    async fn ends(self, peer: &mut SipPeer, invite: &SipText, fork: &str) {
        match self {
            Self::Outbound(server) => {
                peer.hang_up(invite, fork).await;
                let call = server.last_call().await;
                let ended = (&call["status"], &call["end_reason"]);
                assert_eq!(ended, (&json!("completed"), &json!("customer_hung_up")), "{call}");
            }
            Self::Consultation(server, _) => {
                peer.hang_up(invite, fork).await;
                assert_eq!(server.last_call().await["end_reason"], json!("transferred"));
            }
            Self::InboundRefer(server, mut referrer) => {
                let is_done = |event: &SipEvent| {
                    matches!(
                        event,
                        SipEvent::ReferProgress { referral: ReferStatus::Notified { status: 200, last: true }, .. }
                    )
                };
                referrer.sees("the end of the transfer", is_done).await;
                peer.hang_up(invite, fork).await;
                assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"));
            }
            Self::ScriptedCaller(call) => {
                peer.hang_up(invite, fork).await;
                let report = tokio::time::timeout(PATIENCE, call).await.expect("the call does not end").unwrap();
                assert_eq!((report.failure, report.ended_by_agent), (None, true));
            }
        }
    }

    /// The call was answered with something unusable, and hung up.
    async fn has_failed(self) {
        match self {
            Self::Outbound(server) => {
                let call = server.last_call().await;
                let ended = (&call["status"], &call["end_reason"]);
                assert_eq!(ended, (&json!("failed"), &json!("trunk_error")), "{call}");
            }
            Self::Consultation(server, _caller) => {
                let calls = server.get("/calls?limit=1").await;
                assert_eq!(calls["calls"][0]["status"], json!("in_progress"), "the caller is with the agent: {calls}");
            }
            Self::InboundRefer(_, mut referrer) => {
                let is_told = |event: &SipEvent| {
                    matches!(
                        event,
                        SipEvent::ReferProgress { referral: ReferStatus::Notified { status: 480, last: true }, .. }
                    )
                };
                referrer.sees("the end of the transfer", is_told).await;
            }
            Self::ScriptedCaller(call) => {
                let report = tokio::time::timeout(PATIENCE, call).await.expect("the call does not end").unwrap();
                assert!(report.failure.is_some(), "{report:?}");
            }
        }
    }
}

async fn early_media(maker: Maker) {
    let mut peer = SipPeer::open().await;
    let (mut call, invite) = maker.dial(&mut peer, Policy::default()).await;
    let (announcement, person) = (MediaPort::open().await, MediaPort::open().await);
    peer.respond(&invite, "183 Session Progress", "a", &[], &announcement.sdp()).await;
    call.has_early_media(&announcement, "before the answer").await;
    peer.respond(&invite, "180 Ringing", "a", &[], "").await;
    call.has_moved_early_media(&announcement, "after a 180 without a description").await;
    peer.answer(&invite, "a", &person.sdp()).await;
    person.hears("where the 200 says").await;
    call.ends(&mut peer, &invite, "a").await;
}

async fn fork(maker: Maker) {
    for (answers, other) in [("a", "b"), ("b", "a")] {
        let mut peer = SipPeer::open().await;
        let (mut call, invite) = maker.dial(&mut peer, Policy::default()).await;
        let (first, second) = (MediaPort::open().await, MediaPort::open().await);
        peer.respond_reliably(&invite, "183 Session Progress", "a", 1, &first.sdp()).await;
        call.has_early_media(&first, "of the first fork").await;
        peer.respond_reliably(&invite, "183 Session Progress", "b", 1, &second.sdp()).await;
        call.has_moved_early_media(&second, "of the newest fork").await;
        // Its answer was in its 183.
        peer.answer(&invite, answers, "").await;
        let person = if answers == "a" { &first } else { &second };
        person.hears("of the fork that answered").await;
        // The other fork answers too, and is hung up.
        peer.answer(&invite, other, "").await;
        let bye = peer.request_to(other, "BYE").await;
        peer.respond(&bye, "200 OK", other, &[], "").await;
        person.hears("of the fork that answered first, still").await;
        call.ends(&mut peer, &invite, answers).await;
    }
}

async fn redirect(maker: Maker) {
    let (mut peer, mut elsewhere) = (SipPeer::open().await, SipPeer::open().await);
    let policy = Policy { follow_redirects: true, ..Policy::default() };
    let (call, invite) = maker.dial(&mut peer, policy).await;
    let contact = format!("Contact: <sip:+15550177@127.0.0.1:{}>", elsewhere.port());
    peer.respond(&invite, "302 Moved Temporarily", "a", &[&contact], "").await;
    peer.request("ACK").await;
    let invite = elsewhere.request("INVITE").await;
    assert!(invite.uri().contains("+15550177"), "{}", invite.0);
    let person = MediaPort::open().await;
    elsewhere.answer(&invite, "b", &person.sdp()).await;
    person.hears("where the redirection led").await;
    call.ends(&mut elsewhere, &invite, "b").await;
}

async fn update(maker: Maker) {
    let mut peer = SipPeer::open().await;
    let (mut call, invite) = maker.dial(&mut peer, Policy::default()).await;
    let (first, second, third, fourth) =
        (MediaPort::open().await, MediaPort::open().await, MediaPort::open().await, MediaPort::open().await);
    peer.respond_reliably(&invite, "183 Session Progress", "a", 1, &first.sdp()).await;
    call.has_early_media(&first, "before the answer").await;
    let response = peer.update(&invite, "a", &second.sdp()).await;
    assert!(response.0.starts_with("SIP/2.0 200") && response.body().contains("m=audio "), "{}", response.0);
    call.has_moved_early_media(&second, "where the UPDATE says").await;
    peer.answer(&invite, "a", "").await;
    second.hears("after the answer, where the UPDATE says").await;
    let response = peer.update(&invite, "a", &third.sdp()).await;
    assert!(response.0.starts_with("SIP/2.0 200") && response.body().contains("m=audio "), "{}", response.0);
    third.hears("where the UPDATE of the answered call says").await;
    // A re-INVITE without an offer: ours is answered in the ACK.
    let response = peer.reinvite(&invite, "a", "", &fourth.sdp()).await;
    assert!(response.0.starts_with("SIP/2.0 200") && response.body().contains("m=audio "), "{}", response.0);
    fourth.hears("where the ACK of the re-INVITE says").await;
    let response = peer.reinvite(&invite, "a", &first.sdp(), "").await;
    assert!(response.0.starts_with("SIP/2.0 200"), "{}", response.0);
    first.hears("where the re-INVITE says").await;
    call.ends(&mut peer, &invite, "a").await;
}

async fn prack(maker: Maker) {
    let mut peer = SipPeer::open().await;
    let (mut call, invite) = maker.dial(&mut peer, Policy::default()).await;
    let (announcement, other) = (MediaPort::open().await, MediaPort::open().await);
    peer.respond_reliably(&invite, "180 Ringing", "a", 7, "").await;
    peer.respond_reliably(&invite, "183 Session Progress", "a", 8, &announcement.sdp()).await;
    call.has_early_media(&announcement, "before the answer").await;
    // The answer was given: another description in the 200 means nothing.
    peer.answer(&invite, "a", &other.sdp()).await;
    announcement.hears("where the reliable response says").await;
    call.ends(&mut peer, &invite, "a").await;
}

async fn delayed_offer(maker: Maker) {
    let mut peer = SipPeer::open().await;
    let policy = Policy { delayed_offer: true, ..Policy::default() };
    let (call, invite) = maker.dial(&mut peer, policy).await;
    let person = MediaPort::open().await;
    peer.respond(&invite, "180 Ringing", "a", &[], "").await;
    let ack = peer.answer(&invite, "a", &person.sdp()).await;
    assert!(ack.body().contains("m=audio "), "the ACK has our answer: {}", ack.0);
    person.hears("where the offer of the 200 says").await;
    call.ends(&mut peer, &invite, "a").await;
}

async fn reliable_answer(maker: Maker) {
    let mut peer = SipPeer::open().await;
    let (mut call, invite) = maker.dial(&mut peer, Policy::default()).await;
    let (person, other) = (MediaPort::open().await, MediaPort::open().await);
    peer.respond_reliably(&invite, "183 Session Progress", "a", 1, &person.sdp()).await;
    call.has_early_media(&person, "before the answer").await;
    peer.respond(&invite, "183 Session Progress", "b", &[], &other.sdp()).await;
    call.has_moved_early_media(&other, "of the other fork").await;
    peer.answer(&invite, "a", "").await;
    person.hears("of the fork whose reliable response had the answer").await;
    call.ends(&mut peer, &invite, "a").await;
}

async fn unusable_answer(maker: Maker) {
    for sdp in [String::new(), unusable_sdp()] {
        let mut peer = SipPeer::open().await;
        let (call, invite) = maker.dial(&mut peer, Policy::default()).await;
        peer.answer(&invite, "a", &sdp).await;
        let bye = peer.request_to("a", "BYE").await;
        assert!(bye.header("Reason").starts_with("SIP;cause=488;"), "{}", bye.0);
        peer.respond(&bye, "200 OK", "a", &[], "").await;
        call.has_failed().await;
    }
}

/// Keys by INFO before the answer. The agent that is on the line afterwards hears them; nobody else does.
async fn early_digits(maker: Maker) {
    let mut peer = SipPeer::open().await;
    let (mut call, invite) = maker.dial(&mut peer, Policy::default()).await;
    let person = MediaPort::open().await;
    peer.respond(&invite, "183 Session Progress", "a", &[], &person.sdp()).await;
    call.has_early_media(&person, "before the answer").await;
    for key in ["4", "2", "#"] {
        let response = peer.press(&invite, "a", key).await;
        assert!(response.0.starts_with("SIP/2.0 200"), "{}", response.0);
    }
    peer.answer(&invite, "a", &person.sdp()).await;
    person.hears("after the answer").await;
    if let Call::Outbound(server) | Call::InboundRefer(server, _) = &call {
        hears_keys(server, "42").await;
    }
    call.ends(&mut peer, &invite, "a").await;
}

/// The network stops early media, and lets them through later (RFC 5009).
async fn gated_early_media(maker: Maker) {
    let mut peer = SipPeer::open().await;
    let (mut call, invite) = maker.dial(&mut peer, Policy::default()).await;
    assert_eq!(invite.header("P-Early-Media"), "supported");
    let (announcement, person) = (MediaPort::open().await, MediaPort::open().await);
    let (stopped, free) = (["P-Early-Media: inactive"], ["P-Early-Media: sendonly"]);
    peer.respond(&invite, "183 Session Progress", "a", &stopped, &announcement.sdp()).await;
    peer.respond(&invite, "183 Session Progress", "a", &free, "").await;
    call.has_early_media(&announcement, "once they are let through").await;
    peer.answer(&invite, "a", &person.sdp()).await;
    person.hears("where the 200 says").await;
    call.ends(&mut peer, &invite, "a").await;
    // Never let through: the answer brings the media all the same.
    let (call, invite) = maker.dial(&mut peer, Policy::default()).await;
    peer.respond(&invite, "183 Session Progress", "b", &stopped, &announcement.sdp()).await;
    peer.answer(&invite, "b", &person.sdp()).await;
    person.hears("after the answer").await;
    call.ends(&mut peer, &invite, "b").await;
}

/// A test for each pair of a behaviour of the callee and a call that meets it.
macro_rules! every_call_meets {
    ($($behaviour:ident),*) => {$(
        mod $behaviour {
            use super::Maker;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn outbound_call() {
                super::$behaviour(Maker::Outbound).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn consultation_call() {
                super::$behaviour(Maker::Consultation).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn inbound_refer() {
                super::$behaviour(Maker::InboundRefer).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn scripted_caller() {
                super::$behaviour(Maker::ScriptedCaller).await;
            }
        }
    )*};
}

every_call_meets!(
    early_media,
    fork,
    redirect,
    update,
    prack,
    delayed_offer,
    reliable_answer,
    unusable_answer,
    early_digits,
    gated_early_media
);
