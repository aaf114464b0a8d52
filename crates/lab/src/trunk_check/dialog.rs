//! Requests of a call: those that begin it and those in its dialog.

use trunkline_signaling::sip::message::{HeaderName, Headers, Method, Request, Response, Uri};
use trunkline_signaling::sip::user_agent::{ALLOW, InviteRequest, SUPPORTED};

/// What every request of the check says about itself.
#[derive(Clone, Debug)]
pub(super) struct LocalIdentity {
    /// `<sip:check@address:port>`.
    pub contact: String,
    /// Host of the Via, IPv6 in brackets.
    pub via_host: String,
    pub via_transport: &'static str,
    pub port: u16,
    pub user_agent: String,
}

impl LocalIdentity {
    /// A Via with a new branch.
    pub(super) fn via(&self) -> String {
        let (name, host, port) = (self.via_transport, &self.via_host, self.port);
        format!("SIP/2.0/{name} {host}:{port};branch=z9hG4bK{};rport", token())
    }
}

/// Random text for tags, branches and Call-IDs.
pub(super) fn token() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Both ends of a call and the way to the peer.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub call_id: String,
    from: String,
    to: String,
    target: Uri,
    routes: Vec<String>,
    pub cseq: u32,
    /// Credentials of the INVITE, for its ACK.
    credentials: Vec<(HeaderName, String)>,
}

impl Dialog {
    /// Before the first response.
    pub(super) fn new(template: &InviteRequest) -> Self {
        let routes = template.headers.all(&HeaderName::Route).map(str::to_owned).collect();
        Self {
            call_id: token(),
            from: format!("{};tag={}", template.from, token()),
            to: template.to.to_string(),
            target: template.request_uri.clone(),
            routes,
            cseq: 0,
            credentials: Vec::new(),
        }
    }

    /// The same after a response that makes a dialog.
    pub(super) fn with(&self, invite: &Request, response: &Response) -> Self {
        let mut dialog = self.clone();
        if let Some(to) = response.headers.get(&HeaderName::To) {
            to.clone_into(&mut dialog.to);
        }
        if let Some(Ok(contact)) = response.headers.contact() {
            dialog.target = contact.uri;
        }
        dialog.routes = response.headers.list(&HeaderName::RecordRoute).map(|route| route.trim().to_owned()).collect();
        dialog.routes.reverse();
        let names = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
        let all = names.into_iter().filter_map(|name| Some((name.clone(), invite.headers.get(&name)?.to_owned())));
        dialog.credentials = all.collect();
        dialog.cseq = invite.headers.cseq().map_or(dialog.cseq, |cseq| cseq.number);
        dialog
    }

    fn headers(&self, local: &LocalIdentity, number: u32, method: &Method) -> Headers {
        let mut headers = Headers::default();
        headers.push(HeaderName::Via, local.via());
        self.routes.iter().for_each(|route| headers.push(HeaderName::Route, route.as_str()));
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, self.from.as_str());
        headers.push(HeaderName::To, self.to.as_str());
        headers.push(HeaderName::CallId, self.call_id.as_str());
        headers.push(HeaderName::CSeq, format!("{number} {}", method.as_str()));
        headers.push(HeaderName::Contact, local.contact.as_str());
        headers.push(HeaderName::UserAgent, local.user_agent.as_str());
        headers
    }

    /// The next request.
    pub(super) fn request(&mut self, local: &LocalIdentity, method: Method) -> Request {
        self.cseq += 1;
        let headers = self.headers(local, self.cseq, &method);
        Request { method, uri: self.target.clone(), headers, body: Vec::new() }
    }

    /// The ACK of a 200.
    pub(super) fn ack(&self, local: &LocalIdentity, number: u32) -> Request {
        let mut headers = self.headers(local, number, &Method::Ack);
        self.credentials.iter().for_each(|(name, value)| headers.push(name.clone(), value.as_str()));
        Request { method: Method::Ack, uri: self.target.clone(), headers, body: Vec::new() }
    }

    /// The INVITE that begins the call.
    pub(super) fn invite(
        &mut self, local: &LocalIdentity, template: &InviteRequest, session_expires_s: u32, offer: Vec<u8>,
    ) -> Request {
        let mut request = self.request(local, Method::Invite);
        let others = template.headers.iter().filter(|header| header.name != HeaderName::Route);
        others.for_each(|header| request.headers.push(header.name.clone(), header.value.as_str()));
        request.headers.push(HeaderName::Supported, SUPPORTED);
        request.headers.push(HeaderName::SessionExpires, session_expires_s.to_string());
        request.headers.push(HeaderName::MinSe, "90");
        // Announcements before the answer are wanted (RFC 5009).
        request.headers.push(HeaderName::Other("P-Early-Media".into()), "supported");
        add_offer(&mut request, offer);
        request
    }
}

/// Puts a description into a request.
pub(super) fn add_offer(request: &mut Request, offer: Vec<u8>) {
    request.headers.set(HeaderName::Allow, ALLOW);
    request.headers.set(HeaderName::ContentType, "application/sdp");
    request.body = offer;
}

/// The CANCEL of an INVITE (RFC 3261 section 9.1).
pub(super) fn cancel(invite: &Request) -> Request {
    let mut headers = Headers::default();
    let copied = [HeaderName::Via, HeaderName::Route, HeaderName::From, HeaderName::To, HeaderName::CallId];
    for name in copied {
        invite.headers.all(&name).for_each(|value| headers.push(name.clone(), value));
    }
    headers.push(HeaderName::CSeq, format!("{} CANCEL", invite.headers.cseq().map_or(1, |cseq| cseq.number)));
    headers.push(HeaderName::MaxForwards, "70");
    Request { method: Method::Cancel, uri: invite.uri.clone(), headers, body: Vec::new() }
}

/// A request outside of calls.
pub(super) fn outside(
    local: &LocalIdentity, method: Method, uri: Uri, from: &str, to: &str, routes: &[String],
) -> Request {
    let mut headers = Headers::default();
    headers.push(HeaderName::Via, local.via());
    routes.iter().for_each(|route| headers.push(HeaderName::Route, route.as_str()));
    headers.push(HeaderName::MaxForwards, "70");
    headers.push(HeaderName::From, format!("{from};tag={}", token()));
    headers.push(HeaderName::To, to);
    headers.push(HeaderName::CallId, token());
    headers.push(HeaderName::CSeq, format!("1 {}", method.as_str()));
    headers.push(HeaderName::Contact, local.contact.as_str());
    headers.push(HeaderName::UserAgent, local.user_agent.as_str());
    headers.push(HeaderName::Allow, ALLOW);
    Request { method, uri, headers, body: Vec::new() }
}
