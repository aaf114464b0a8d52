//! Call transfer (RFC 3515, RFC 3892), requested by us or by the peer: REFER inside the dialog, and the NOTIFYs that
//! say how the call to the other party goes. The subscription is the implicit one of the REFER.

use super::agent::UserAgent;
use super::event::{CallId, ReferRequest, ReferStatus, SipCommandError, SipEvent};
use crate::sip::message::reason_phrase;
use crate::sip::message::uri::unescape;
use crate::sip::message::{HeaderName, Method, NameAddr, Request};
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    pub(super) fn handle_refer(&mut self, now: Instant, call: CallId, key: Arc<str>, request: &Request) {
        let Some(session) = self.sessions.get_mut(call) else { return };
        let referred = (request.headers.count(&HeaderName::ReferTo) == 1).then(|| parse_refer(request)).flatten();
        let may_refer = session.accept_refer();
        let status = match (referred, session.confirmed()) {
            (None, _) => 400,
            (Some(_), _) if !may_refer => 603,
            (Some(referred), Some(confirmed)) if confirmed.open_refer.is_none() => {
                confirmed.open_refer = Some(key);
                self.events.push_back(SipEvent::ReferReceived { call, referred: Box::new(referred) });
                return;
            }
            (Some(_), _) => 491,
        };
        self.reply(now, &key, status, |_| {});
    }

    /// Takes (202) or declines (603) the transfer the peer asked for. After accepting, report progress with
    /// [`UserAgent::send_refer_notify`].
    pub fn answer_refer(&mut self, now: Instant, call: CallId, accept: bool) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(call).ok_or(SipCommandError::UnknownCall)?;
        let confirmed = session.confirmed().ok_or(SipCommandError::WrongState)?;
        let key = confirmed.open_refer.take().ok_or(SipCommandError::WrongState)?;
        self.reply(now, &key, if accept { 202 } else { 603 }, |_| {});
        if accept { self.send_refer_notify(now, call, 100) } else { Ok(()) }
    }

    /// Tells the peer how the call it asked for goes; a final status ends the subscription.
    pub fn send_refer_notify(&mut self, now: Instant, call: CallId, status: u16) -> Result<(), SipCommandError> {
        let (mut outgoing, path) = self.new_dialog_request(call, Method::Notify)?;
        let state = if status < 200 { "active;expires=180" } else { "terminated;reason=noresource" };
        let headers = &mut outgoing.request.headers;
        headers.push(HeaderName::Event, "refer");
        headers.push(HeaderName::SubscriptionState, state);
        headers.push(HeaderName::ContentType, "message/sipfrag;version=2.0");
        outgoing.request.body = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status)).into_bytes();
        self.send_in_dialog(now, call, outgoing, &path);
        Ok(())
    }

    /// Asks the peer to call `target`, written as given: `tel:` stays `tel:`.
    pub fn send_refer(&mut self, now: Instant, call: CallId, target: &str) -> Result<(), SipCommandError> {
        // It becomes part of a header, so characters that could end the header are rejected.
        if target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>')) {
            return Err(SipCommandError::WrongState);
        }
        let (mut outgoing, path) = self.new_dialog_request(call, Method::Refer)?;
        let headers = &mut outgoing.request.headers;
        let referrer = headers.get(&HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
        headers.push(HeaderName::ReferTo, format!("<{target}>"));
        if let Some(referrer) = referrer {
            headers.push(HeaderName::ReferredBy, format!("<{}>", referrer.uri));
        }
        self.send_in_dialog(now, call, outgoing, &path);
        Ok(())
    }

    pub(super) fn handle_refer_response(&mut self, call: CallId, status: u16) {
        let referral = match status {
            100..200 => return,
            200..300 => ReferStatus::Accepted,
            _ => ReferStatus::Rejected { status },
        };
        self.events.push_back(SipEvent::ReferProgress { call, referral });
    }

    pub(super) fn handle_notify(&mut self, now: Instant, call: CallId, key: &Arc<str>, request: &Request) {
        let header = |name| request.headers.get(&name).unwrap_or("");
        let package = header(HeaderName::Event).split(';').next().unwrap_or("").trim();
        if !package.eq_ignore_ascii_case("refer") {
            // RFC 6665 section 4.1.3: an event that was not asked for.
            self.reply(now, key, 489, |_| {});
            return;
        }
        self.reply(now, key, 200, |_| {});
        let over = header(HeaderName::SubscriptionState).trim_start().to_ascii_lowercase().starts_with("terminated");
        // Without a body the subscription only starts or ends.
        let status = sipfrag_status(&request.body).or(over.then_some(200));
        if let Some(status) = status {
            let last = status >= 200 || over;
            self.events.push_back(SipEvent::ReferProgress { call, referral: ReferStatus::Notified { status, last } });
        }
    }
}

fn parse_refer(request: &Request) -> Option<ReferRequest> {
    let mut target = NameAddr::parse(request.headers.get(&HeaderName::ReferTo)?).ok()?.uri;
    let carried = std::mem::take(&mut target.headers);
    let replaces = carried.trim_start_matches('?').split('&').find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then(|| unescape(value))
    });
    let referred_by = request.headers.get(&HeaderName::ReferredBy).map(str::to_owned);
    Some(ReferRequest { target, replaces, referred_by })
}

/// The status of a `message/sipfrag` body (RFC 3420): `SIP/2.0 180 Ringing`.
fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let line = body.split(|b| matches!(b, b'\r' | b'\n')).next()?;
    let text = std::str::from_utf8(line).ok()?;
    let status = text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_of_a_fragment() {
        assert_eq!(sipfrag_status(b"SIP/2.0 180 Ringing\r\nTo: <sip:a@b>\r\n"), Some(180));
        assert_eq!(sipfrag_status(b"SIP/2.0 603"), Some(603));
        for bad in [&b""[..], b"HTTP/1.1 200 OK", b"SIP/2.0 x", b"SIP/2.0 999 No", b"SIP/2.0 20"] {
            assert_eq!(sipfrag_status(bad), None);
        }
    }
}
