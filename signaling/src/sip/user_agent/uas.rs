//! Calls that come in: ringing, answering, refusing, and the peer's CANCEL.

use super::admission::push_challenges;
use super::agent::UserAgent;
use super::config::{ALLOW, SUPPORTED};
use super::event::{CallId, IncomingInvite, SipCommandError, SipEvent};
use super::inbound_trunks::{TrunkCandidates, TrunkKey};
use super::invite_responses::allows_update;
use super::replaces::ReplacedCall;
use super::respond::attach_sdp;
use super::session::{
    AwaitingAck, CallOrigin, CallerProof, DialogIds, DialogPath, Established, LastRequest, PeerAddress,
    ReliableProvisionals, Ringing, SentDescription, SessionMode, SipSession, TrunkMembership,
};
use super::session_refresh::negotiate_session_timer;
use super::sips::demands_sips;
use super::transaction_keys::server_key;
use crate::sip::dialog::Dialog;
use crate::sip::end_cause::EndCause;
use crate::sip::message::body::SessionBody;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response};
use crate::sip::rate_limit::SourceTrust;
use crate::sip::reason::{self, Reason};
use crate::sip::session_timer::SessionTimer;
use crate::sip::transport::{Transport, TransportAddress};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    pub(super) fn begin_incoming_call(
        &mut self, now: Instant, peer: TransportAddress, key: Arc<str>, request: Request, candidates: TrunkCandidates,
        replaces: Option<ReplacedCall>,
    ) {
        let (Some(Ok(from)), Some(Ok(to))) = (request.headers.from(), request.headers.to()) else {
            // From and To must have a supported URI scheme.
            self.reply(now, &key, 416, |_| {});
            return;
        };
        let (call, local_tag) = (self.sessions.new_call(), self.tokens.token());
        let call_id = request.headers.call_id().to_owned();
        self.servers.set_call(&key, call);
        self.reply(now, &key, 100, |_| {});
        let caller_proof = CallerProof::of(&candidates);
        let incoming = Box::new(IncomingInvite {
            call,
            candidates,
            request_uri: request.uri.clone(),
            from,
            to,
            sip_call_id: call_id.clone(),
            sdp: (!request.body.is_empty()).then(|| request.body.clone()),
            source: peer.addr,
            transport: peer.transport,
            headers: informational_headers(&request.headers),
        });
        let (membership, event) = match replaces {
            // It uses the trunk of the replaced call.
            Some((replaced, trunk)) => {
                let accept_refer = self.admission.trunks().accept_refer(&trunk);
                let membership = TrunkMembership::Assigned { trunk, accept_refer };
                (membership, SipEvent::ReplacesReceived { call: replaced, by: incoming })
            }
            None => (TrunkMembership::Unassigned, SipEvent::Incoming(incoming)),
        };
        let transport = peer.transport;
        let is_sips = demands_sips(&request);
        let path = DialogPath { transport, peer: PeerAddress::of_request(&request, peer), is_sips };
        let ringing = Ringing {
            tx: key,
            remote_cseq: request.headers.cseq().map_or(0, |cseq| cseq.number),
            request,
            path,
            invited_from: peer.addr.ip(),
            caller_proof,
            membership,
            is_attended: false,
            provisionals: ReliableProvisionals::Unused,
            remote_offer: None,
        };
        let ids = DialogIds { call_id, local_tag, contact_user: ringing.request.uri.user.clone() };
        let session = SipSession::new(ids, SessionMode::Ringing(Box::new(ringing)));
        self.sessions.insert_incoming(now, call, session);
        self.events.push_back(event);
    }

    /// Marks the call as attended.
    pub fn mark_attended(&mut self, call: CallId) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(call).ok_or(SipCommandError::UnknownCall)?;
        if let Some(ringing) = session.ringing() {
            ringing.is_attended = true;
        }
        Ok(())
    }

    /// Assigns the call to one of its candidates; it has only that trunk's rights from now on.
    pub fn assign_trunk(&mut self, call: CallId, id: &TrunkKey) -> Result<(), SipCommandError> {
        let accept_refer = self.admission.trunks().accept_refer(id);
        self.ringing(call)?.membership = TrunkMembership::Assigned { trunk: id.clone(), accept_refer };
        Ok(())
    }

    /// 180, or 183 with an early answer. Sent reliably where the caller wants that.
    pub fn send_provisional(
        &mut self, now: Instant, call: CallId, status: u16, sdp: Option<Vec<u8>>,
    ) -> Result<(), SipCommandError> {
        let ringing = self.ringing(call)?;
        ringing.is_attended = true;
        let key = ringing.tx.clone();
        // Our offer is sent in the 200, not in a provisional response.
        let sdp = sdp.filter(|_| !ringing.request.body.is_empty());
        if Self::must_send_reliably(&ringing.request, status, sdp.as_ref()) {
            self.send_reliably(now, call, &key, status, sdp);
        } else if let Some(response) = self.build_provisional(call, &key, status, sdp) {
            self.respond(now, &key, &response);
        }
        Ok(())
    }

    pub(super) fn build_provisional(
        &self, call: CallId, key: &Arc<str>, status: u16, sdp: Option<Vec<u8>>,
    ) -> Option<Response> {
        let (tx, session) = (self.servers.get(key)?, self.sessions.get(call)?);
        let SessionMode::Ringing(ringing) = session.mode() else { return None };
        let mut response = Response::to_request(tx.headers(), status, Some(&session.ids.local_tag));
        for route in tx.headers().all(&HeaderName::RecordRoute) {
            response.headers.push(HeaderName::RecordRoute, route);
        }
        let contact = self.contact_for(&ringing.path, session.ids.contact_user.as_deref());
        response.headers.push(HeaderName::Contact, contact);
        response.headers.push(HeaderName::Allow, ALLOW);
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        attach_sdp(&mut response, sdp);
        Some(response)
    }

    /// Accepts the call with an SDP answer, or an offer when the INVITE had none.
    pub fn answer(&mut self, now: Instant, call: CallId, sdp: Vec<u8>) -> Result<(), SipCommandError> {
        let ours_s = self.config.session_expires_s;
        let ringing = self.ringing(call)?;
        let Some(sdp) = ringing.provisionals.defer_answer(sdp) else { return Ok(()) };
        let (key, path) = (ringing.tx.clone(), ringing.path);
        let (timer, agreed) = negotiate_session_timer(now, &ringing.request.headers, None, ours_s);
        let local_sdp = sdp.clone();
        let is_answered = self.sessions.transition_with_ids(call, |mode, ids| match mode {
            SessionMode::Ringing(ringing) => match Dialog::from_request(&ringing.request, &ids.local_tag) {
                Some(dialog) => {
                    (SessionMode::AwaitingAck(Box::new(answered(*ringing, dialog, timer, local_sdp))), true)
                }
                None => (SessionMode::Ringing(ringing), false),
            },
            same => (same, false),
        });
        if is_answered != Some(true) {
            return Err(SipCommandError::WrongState);
        }
        let contact = self.contact_for(&path, self.contact_user(call));
        let record_routes: Vec<String> = self
            .servers
            .get(&key)
            .map(|tx| tx.headers().all(&HeaderName::RecordRoute).map(str::to_owned).collect())
            .unwrap_or_default();
        self.reply(now, &key, 200, |response| {
            for route in record_routes {
                response.headers.push(HeaderName::RecordRoute, route);
            }
            response.headers.push(HeaderName::Contact, contact);
            response.headers.push(HeaderName::Allow, ALLOW);
            response.headers.push(HeaderName::Supported, SUPPORTED);
            response.headers.extend(agreed);
            attach_sdp(response, Some(sdp));
        });
        Ok(())
    }

    /// Refuses the call; the end is reported as local.
    pub fn reject(
        &mut self, now: Instant, call: CallId, status: u16, retry_after_s: Option<u32>,
    ) -> Result<(), SipCommandError> {
        self.reject_as(now, call, status, retry_after_s, EndCause::LocalHangUp)
    }

    pub(super) fn reject_as(
        &mut self, now: Instant, call: CallId, status: u16, retry_after_s: Option<u32>, cause: EndCause,
    ) -> Result<(), SipCommandError> {
        let key = self.ringing(call)?.tx.clone();
        self.reply(now, &key, status, |response| {
            response.headers.push(HeaderName::Reason, format!("Q.850;cause={}", reason::status_to_q850(status)));
            if let Some(after) = retry_after_s {
                response.headers.push(HeaderName::RetryAfter, after.to_string());
            }
        });
        self.end_call(now, call, cause);
        Ok(())
    }

    /// Refuses a call whose number belongs to none of its candidates. A caller identified only by address is challenged
    /// (401), because its credentials may belong to another trunk. The answer does not reveal whether the number exists
    /// elsewhere.
    pub fn reject_unknown_number(&mut self, now: Instant, call: CallId) -> Result<(), SipCommandError> {
        let ringing = self.ringing(call)?;
        let (key, proof, source) = (ringing.tx.clone(), ringing.caller_proof, ringing.path.met_at().addr.ip());
        let invite = ringing.request.headers.clone();
        let stale = match proof {
            CallerProof::AddressOnly { stale } if self.admission.trunks().have_credentials() => stale,
            _ => return self.reject(now, call, 404, None),
        };
        let challenges = self.admission.new_challenges(now, source, &invite, stale, &mut self.tokens);
        self.reply(now, &key, 401, |response| push_challenges(&mut response.headers, challenges));
        self.end_call(now, call, EndCause::LocalHangUp);
        Ok(())
    }

    fn ringing(&mut self, call: CallId) -> Result<&mut Ringing, SipCommandError> {
        let session = self.sessions.get_mut(call).ok_or(SipCommandError::UnknownCall)?;
        session.ringing().ok_or(SipCommandError::WrongState)
    }

    /// CANCEL: 200 for itself, 487 for the INVITE if that is still open (section 9.2). A CANCEL that
    /// crosses our 200 changes nothing: the caller hangs up with BYE.
    pub(super) fn handle_cancel(
        &mut self, now: Instant, reply_to: (Transport, SocketAddr), key: &Arc<str>, request: &Request,
    ) {
        let invite = Request { method: Method::Invite, ..request.clone() };
        let Some(invite_key) = server_key(&invite).filter(|invite| self.servers.contains(invite)) else {
            return self.reject_stateless(reply_to, &request.headers, 481, |_| {});
        };
        self.servers.open(now, key, reply_to, request, None);
        let (call, is_open) =
            self.servers.get(&invite_key).map_or((None, false), |tx| (tx.call(), tx.is_open_invite()));
        if let Some(call) = call {
            self.servers.set_call(key, call); // same To tag as the INVITE's answers
        }
        self.reply(now, key, 200, |_| {});
        if !is_open {
            return;
        }
        self.reply(now, &invite_key, 487, |_| {});
        let Some((call, session)) = call.and_then(|call| Some((call, self.sessions.get_mut(call)?))) else { return };
        if session.ringing().is_some_and(|ringing| ringing.tx == invite_key) {
            let reason_header = Reason::from_headers(&request.headers);
            self.end_call(now, call, EndCause::RemoteCancel { reason_header });
        } else {
            // A cancelled re-INVITE leaves the dialog as it was.
            session.forget_remote_request(&invite_key);
        }
    }

    /// The ACK of a 2xx is a separate transaction and is found by its dialog; `call` is set if the branch of the INVITE
    /// matched.
    pub(super) fn handle_dialog_ack(
        &mut self, now: Instant, from: TransportAddress, request: &Request, call: Option<CallId>,
    ) {
        let headers = &request.headers;
        let by_dialog = headers.to_tag().and_then(|tag| self.sessions.find_dialog(headers.call_id(), tag));
        if let Some(call) = by_dialog {
            self.trust_if_tag_received(now, call, from.addr.ip());
        }
        let Some(call) = by_dialog.or(call) else { return };
        let sdp = SessionBody::find(headers, &request.body).description().map(Cow::into_owned);
        let Some(session) = self.sessions.get_mut(call) else { return };
        let number = headers.cseq().map(|cseq| cseq.number);
        let is_peers = |dialog: &Dialog| {
            dialog.remote_tag.is_empty() || headers.from_tag().is_none_or(|tag| tag == dialog.remote_tag)
        };
        if let Some(confirmed) = session.confirmed() {
            if !is_peers(&confirmed.established.dialog) {
                return;
            }
            let Some(key) = confirmed.offer_answer.acknowledge(number) else { return };
            confirmed.established.path.meet(request, from);
            self.handle_ack_received(now, &key);
            if sdp.is_some() {
                self.events.push_back(SipEvent::Acknowledged { call, sdp });
            }
            return;
        }
        let awaits = |waiting: &AwaitingAck| number == Some(waiting.cseq) && is_peers(&waiting.established.dialog);
        match session.mode() {
            SessionMode::AwaitingAck(waiting) if awaits(waiting) => {
                let key = waiting.tx.clone();
                self.sessions.transition(call, |mode| match mode {
                    SessionMode::AwaitingAck(mut waiting) => {
                        waiting.established.path.meet(request, from);
                        (SessionMode::Confirmed(Box::new(waiting.into_confirmed())), ())
                    }
                    same => (same, ()),
                });
                self.handle_ack_received(now, &key);
                self.arm_session(call);
                self.events.push_back(SipEvent::Acknowledged { call, sdp });
            }
            SessionMode::Terminating(over) => {
                let LastRequest::AwaitingAck(waiting) = &over.last else { return };
                if awaits(waiting) {
                    let key = waiting.tx.clone();
                    self.handle_ack_received(now, &key);
                    self.send_bye(now, call, EndCause::LocalHangUp, reason::NORMAL_CLEARING);
                }
            }
            _ => {}
        }
    }

    pub(super) fn handle_ack_received(&mut self, now: Instant, key: &Arc<str>) {
        self.servers.handle_ack(now, key);
        self.arm_server(key);
    }

    /// Timer H or L without an ACK: for a first 200 the call is over and gets a BYE (section 13.3.1.4).
    pub(super) fn handle_missing_ack(&mut self, now: Instant, call: CallId, key: &Arc<str>) {
        let Some(session) = self.sessions.get(call) else { return };
        let is_missing = match session.mode() {
            SessionMode::AwaitingAck(waiting) => waiting.tx == *key,
            SessionMode::Confirmed(confirmed) => confirmed.offer_answer.is_awaiting_ack(key),
            SessionMode::Terminating(over) => {
                matches!(&over.last, LastRequest::AwaitingAck(waiting) if waiting.tx == *key)
            }
            _ => false,
        };
        if is_missing {
            self.send_bye(now, call, EndCause::NotAcknowledged, reason::NORMAL_CLEARING);
        }
    }

    /// A message with our tag came from the source of the INVITE, which proves that the source receives there; it is
    /// trusted from now on.
    pub(super) fn trust_if_tag_received(&mut self, now: Instant, call: CallId, source: IpAddr) {
        if self.sessions.get(call).is_some_and(|session| session.invited_from() == Some(source)) {
            self.admission.record_trust(now, source, SourceTrust::Authenticated);
        }
    }
}

/// Our 200 is sent in this dialog.
fn answered(ringing: Ringing, mut dialog: Dialog, timer: Option<SessionTimer>, local_sdp: Vec<u8>) -> AwaitingAck {
    dialog.accept_cseq(ringing.remote_cseq);
    AwaitingAck {
        cseq: ringing.cseq().unwrap_or(0),
        tx: ringing.tx,
        sent: if ringing.request.body.is_empty() { SentDescription::Offer } else { SentDescription::Answer },
        remote_offer: ringing.remote_offer,
        established: Established {
            dialog,
            path: ringing.path,
            origin: CallOrigin::Peers { invited_from: ringing.invited_from },
            rights: ringing.membership.rights(),
            peer_updates: allows_update(&ringing.request.headers),
            timer,
            local_sdp,
        },
    }
}

/// Headers passed to the owner: identity, diversion, custom headers.
fn informational_headers(headers: &Headers) -> Headers {
    let kept = |name: &HeaderName| match name {
        HeaderName::PAssertedIdentity | HeaderName::Privacy | HeaderName::Diversion | HeaderName::Identity => true,
        HeaderName::Subject | HeaderName::ReferredBy | HeaderName::UserAgent | HeaderName::Date => true,
        HeaderName::Other(name) => {
            let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix));
            starts("X-")
                || starts("P-")
                || ["History-Info", "User-to-User", "Remote-Party-ID"].iter().any(|n| starts(n))
        }
        _ => false,
    };
    headers.iter().filter(|header| kept(&header.name)).cloned().collect::<Vec<_>>().into()
}
