//! Reports of a transfer: one NOTIFY after the other.

use super::Desk;
use std::net::SocketAddr;
use std::time::Duration;
use trunkline_signaling::sip::message::{HeaderName, Headers, Method, Request, Uri, print};

/// Between two reports.
const STEP: Duration = Duration::from_millis(200);

impl Desk {
    /// Reports what the behavior says about the call that REFER asks for.
    pub(super) fn transfer(&self, refer: &Request, to: SocketAddr) {
        let Some(Ok(contact)) = refer.headers.contact() else { return };
        let value = |name: &HeaderName| refer.headers.get(name).unwrap_or_default().to_owned();
        let (from, caller, call_id) =
            (value(&HeaderName::To), value(&HeaderName::From), refer.headers.call_id().to_owned());
        let (desk, lines) = (self.clone(), self.behavior.transfer);
        tokio::spawn(async move {
            for (number, line) in (1_u32..).zip(lines) {
                tokio::time::sleep(STEP).await;
                let state = if number as usize == lines.len() { "terminated;reason=noresource" } else { "active" };
                let mut notify = desk.notify(&contact.uri, number, line);
                notify.headers.push(HeaderName::From, from.as_str());
                notify.headers.push(HeaderName::To, caller.as_str());
                notify.headers.push(HeaderName::CallId, call_id.as_str());
                notify.headers.push(HeaderName::SubscriptionState, state);
                let _ = desk.socket.send_to(&print::request(&notify), to).await;
            }
        });
    }

    fn notify(&self, target: &Uri, number: u32, line: &str) -> Request {
        let mut headers = Headers::default();
        let via = format!("SIP/2.0/UDP {};branch=z9hG4bKnotify{number}", self.addr);
        headers.push(HeaderName::Via, via);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::CSeq, format!("{number} NOTIFY"));
        headers.push(HeaderName::Contact, format!("<sip:carrier@{}>", self.addr));
        headers.push(HeaderName::Event, "refer");
        headers.push(HeaderName::ContentType, "message/sipfrag");
        Request { method: Method::Notify, uri: target.clone(), headers, body: format!("{line}\r\n").into_bytes() }
    }
}
