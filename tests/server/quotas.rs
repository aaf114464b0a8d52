//! What one organization may hold and use, whatever it does: calls of every direction, families, what is stored, probes,
//! and that slow organizations do not delay the others.

mod calls;
mod families;
mod holdings;
mod shares;

use super::support::{LoggedInUser, NUMBER, Server, until};
use serde_json::Value;
use tokio::sync::mpsc;
use trunkline::store::OrgScope;
use trunkline_lab::caller::softphone::Softphone;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::reason::Reason;
use trunkline_signaling::sip::user_agent::{CallId, SipEvent, Transport};

const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 49900 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// A call that was placed, and the answer.
struct PlacedTestCall {
    call: CallId,
    status: u16,
    retry_after_s: Option<u32>,
    why: Option<Reason>,
    _events: mpsc::Receiver<SipEvent>,
}

async fn ring_from(server: &Server, phone: &Softphone, number: &str) -> PlacedTestCall {
    let mut dial = server.dial_to(number, Transport::Udp);
    dial.from.port = Some(phone.sip.local_udp().port());
    let (call, mut events) = phone.sip.send_invite(dial.invite(OFFER.to_vec())).await.unwrap();
    let (status, retry_after_s, why) = loop {
        match events.recv().await.expect("an answer") {
            SipEvent::Answered { .. } => break (200, None, None),
            SipEvent::Ended { cause: EndCause::Rejected { status, retry_after_s, reason_header: why, .. }, .. } => {
                break (status, retry_after_s, why);
            }
            SipEvent::Ended { cause, .. } => panic!("{cause:?}"),
            _ => {}
        }
    };
    PlacedTestCall { call, status, retry_after_s, why, _events: events }
}

async fn ring(server: &Server) -> PlacedTestCall {
    ring_from(server, &server.phone, NUMBER).await
}

async fn limit(server: &Server, limits: Value) {
    let owner = LoggedInUser::owner(server).await;
    owner.done("PATCH", &format!("/organizations/{}", own_id(&owner).await), Some(limits)).await;
}

async fn own_id(person: &LoggedInUser) -> String {
    person.done("GET", "/auth/me", None).await["organization"]["id"].as_str().unwrap().to_owned()
}

fn scope_of(server: &Server) -> impl Future<Output = OrgScope> {
    let (store, key) = (server.app.services.store.clone(), server.key.clone());
    async move { store.authenticate(&key).await.unwrap().unwrap().scope }
}

async fn nothing_is_held(server: &Server) {
    until("every line is given back", || async { (server.app.services.admission.held() == 0).then_some(()) }).await;
}
