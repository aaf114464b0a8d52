//! Call transfer (RFC 3515, RFC 3892), requested by us or by the peer: REFER inside the dialog, and the NOTIFYs that
//! say how the call to the other party goes. The subscription is the implicit one of the REFER.

use super::agent::UserAgent;
use super::event::{CallId, ReferRequest, ReferStatus, SipCommandError, SipEvent};
use super::session::{PeerRefer, Referral};
use crate::sip::message::reason_phrase;
use crate::sip::message::scan::param;
use crate::sip::message::uri::unescape;
use crate::sip::message::{HeaderName, Headers, Method, NameAddr, Request};
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    pub(super) fn handle_refer(&mut self, now: Instant, call: CallId, key: Arc<str>, request: &Request) {
        let Some(session) = self.sessions.get_mut(call) else { return };
        let referred = (request.headers.count(&HeaderName::ReferTo) == 1).then(|| parse_refer(request)).flatten();
        let may_refer = session.accept_refer();
        let status = match (referred, session.confirmed()) {
            (None, _) => 400,
            // RFC 3515 section 2.1: another method is not carried out as a call.
            (Some(referred), _) if !may_refer || !wants_call(&referred) => 603,
            (Some(mut referred), Some(confirmed)) if confirmed.open_refer.is_none() => {
                referred.target.remove_param("method");
                confirmed.open_refer = Some(key);
                let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
                confirmed.peer_refer = confirmed.peer_refer.next(number);
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
        let confirmed = self.sessions.get_mut(call).and_then(|session| session.confirmed());
        let event = confirmed.map_or(PeerRefer::None, |confirmed| confirmed.peer_refer).event();
        let (mut outgoing, path) = self.new_dialog_request(call, Method::Notify)?;
        let state = if status < 200 { "active;expires=180" } else { "terminated;reason=noresource" };
        let headers = &mut outgoing.request.headers;
        headers.push(HeaderName::Event, event);
        headers.push(HeaderName::SubscriptionState, state);
        headers.push(HeaderName::ContentType, "message/sipfrag;version=2.0");
        outgoing.request.body = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status)).into_bytes();
        self.send_in_dialog(now, call, outgoing, &path);
        Ok(())
    }

    /// Asks the peer to call `target`, written as given: `tel:` stays `tel:`.
    pub fn send_refer(&mut self, now: Instant, call: CallId, target: &str) -> Result<(), SipCommandError> {
        self.send_refer_with(now, call, target, &Headers::default())
    }

    /// The same with further headers, `X-…` and the like.
    pub fn send_refer_with(
        &mut self, now: Instant, call: CallId, target: &str, further: &Headers,
    ) -> Result<(), SipCommandError> {
        // It becomes part of a header, so characters that could end the header are rejected.
        if target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>')) {
            return Err(SipCommandError::WrongState);
        }
        let (mut outgoing, path) = self.new_dialog_request(call, Method::Refer)?;
        if let Some(confirmed) = self.sessions.get_mut(call).and_then(|session| session.confirmed()) {
            confirmed.referral = Referral::Open { since: confirmed.established.dialog.local_cseq() };
        }
        let headers = &mut outgoing.request.headers;
        let referrer = headers.get(&HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
        headers.push(HeaderName::ReferTo, format!("<{target}>"));
        if let Some(referrer) = referrer {
            headers.push(HeaderName::ReferredBy, format!("<{}>", referrer.uri));
        }
        headers.extend(further.clone());
        self.send_in_dialog(now, call, outgoing, &path);
        Ok(())
    }

    pub(super) fn handle_refer_response(&mut self, call: CallId, status: u16) {
        let referral = match status {
            100..200 => return,
            200..300 => ReferStatus::Accepted,
            _ => ReferStatus::Rejected { status },
        };
        if referral != ReferStatus::Accepted {
            self.close_referral(call);
        }
        self.events.push_back(SipEvent::ReferProgress { call, referral });
    }

    /// The peer has nothing more to report on our REFER.
    fn close_referral(&mut self, call: CallId) {
        if let Some(confirmed) = self.sessions.get_mut(call).and_then(|session| session.confirmed()) {
            confirmed.referral = Referral::None;
        }
    }

    /// A report on our REFER; it may overtake the 202 (RFC 3515 section 2.4.4).
    pub(super) fn handle_notify(&mut self, now: Instant, call: CallId, key: &Arc<str>, request: &Request) {
        let header = |name| request.headers.get(&name).unwrap_or("");
        let event = header(HeaderName::Event);
        if !event.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("refer") {
            // RFC 6665 section 4.1.3: an event that was not asked for.
            self.reply(now, key, 489, |_| {});
            return;
        }
        let confirmed = self.sessions.get_mut(call).and_then(|session| session.confirmed());
        if !confirmed.is_some_and(|confirmed| confirmed.is_referral(param(event, "id"))) {
            // RFC 6665 section 4.1.3: there is no such subscription, or it has ended.
            self.reply(now, key, 481, |_| {});
            return;
        }
        self.reply(now, key, 200, |_| {});
        let state = header(HeaderName::SubscriptionState).split(';').next().unwrap_or("").trim();
        let is_over = state.eq_ignore_ascii_case("terminated");
        // Without a body the subscription only starts or ends. One that cannot be read says as little.
        let status = sipfrag_status(&request.body);
        if is_over || status.is_some_and(|status| status >= 200) {
            self.close_referral(call);
        }
        let referral = match status {
            Some(status) => ReferStatus::Notified { status, last: is_over || status >= 200 },
            None if is_over => ReferStatus::Ended,
            None => return,
        };
        self.events.push_back(SipEvent::ReferProgress { call, referral });
    }
}

/// The peer asks for an INVITE, the method of a URI that names none.
fn wants_call(referred: &ReferRequest) -> bool {
    param(&referred.target.params, "method").is_none_or(|method| unescape(method).eq_ignore_ascii_case("INVITE"))
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

/// The status of a `message/sipfrag` body (RFC 3420): `SIP/2.0 180 Ringing`. Empty lines before it, another letter case
/// and bytes that are no UTF-8 behind the number do no harm; whatever Content-Type says, only a status line is read.
fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let mut lines = body.split(|byte| matches!(byte, b'\r' | b'\n'));
    let line = lines.find(|line| !line.trim_ascii().is_empty())?.trim_ascii();
    let (version, rest) = line.split_at_checked(b"SIP/2.0".len())?;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") || !rest.first().is_some_and(u8::is_ascii_whitespace) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let digits = rest.get(..3).filter(|_| rest.get(3).is_none_or(u8::is_ascii_whitespace))?;
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_of_a_fragment() {
        for (body, wanted) in [
            (&b"SIP/2.0 180 Ringing\r\nTo: <sip:a@b>\r\n"[..], 180),
            (b"SIP/2.0 603", 603),
            (b"\r\n\r\n SIP/2.0  200 OK", 200),
            (b"sip/2.0\t486 Busy\n", 486),
            (b"SIP/2.0 200 \xff\xfe\n", 200),
            (b"SIP/2.0 100\r\n\r\n", 100),
        ] {
            assert_eq!(sipfrag_status(body), Some(wanted), "{body:?}");
        }
        for bad in [
            &b""[..],
            b"\r\n",
            b"HTTP/1.1 200 OK",
            b"SIP/2.0 x",
            b"SIP/2.0 999 No",
            b"SIP/2.0 20",
            b"SIP/2.0 2000 OK",
            b"SIP/2.0",
            b"SIP/2.0200 OK",
            b"To: <sip:a@b>\r\nSIP/2.0 200 OK",
        ] {
            assert_eq!(sipfrag_status(bad), None, "{bad:?}");
        }
    }
}
