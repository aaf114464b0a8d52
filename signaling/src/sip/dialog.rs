//! Dialog state and the requests sent inside it (RFC 3261 section 12).

use super::message::{HeaderName, Headers, Method, NameAddr, Request, Response, Scheme, Uri};
use crate::limits;

/// A dialog: Call-ID, tags, remote target, route set and CSeq numbers of both sides (RFC 3261 section 12).
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Value of the Call-ID header, the same in all requests of the dialog.
    pub call_id: String,
    /// Our tag: in From of our requests, in To of the peer's.
    pub local_tag: String,
    /// The peer's tag; empty for a peer that sends none (RFC 2543).
    pub remote_tag: String,
    /// From value of our requests, tag included.
    local: String,
    /// To value of our requests, tag included.
    remote: String,
    /// URI of the peer from its latest Contact: the Request-URI of our requests.
    pub remote_target: Uri,
    route_set: Vec<String>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
}

/// A request sent inside a dialog: the message without Via, and the URI of the next hop.
#[derive(Debug)]
pub struct DialogRequest {
    /// The request without Via and without body; the caller adds both.
    pub request: Request,
    /// URI to send the request to: the first route, else the remote target.
    pub next_hop: Uri,
}

impl Dialog {
    /// Dialog of an INVITE we answer. The route set is the Record-Route in the order received.
    pub fn from_request(request: &Request, local_tag: &str) -> Option<Self> {
        let headers = &request.headers;
        let remote_target = contact_target(headers)?;
        let local = headers.get(&HeaderName::To)?;
        let local = if headers.to_tag().is_some() { local.to_owned() } else { format!("{local};tag={local_tag}") };
        Some(Self {
            call_id: headers.call_id().to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: headers.from_tag().unwrap_or("").to_owned(),
            local,
            remote: headers.get(&HeaderName::From)?.to_owned(),
            remote_target,
            route_set: routes(headers, false),
            local_cseq: 0,
            remote_cseq: headers.cseq().map(|c| c.number),
        })
    }

    /// Dialog of our INVITE, made by a response with a To tag. The route set is reversed.
    pub fn from_response(request: &Request, response: &Response) -> Option<Self> {
        let sent = &request.headers;
        // Some carriers omit the Contact; then the Request-URI of our INVITE is used.
        let remote_target = contact_target(&response.headers).unwrap_or_else(|| request.uri.clone());
        Some(Self {
            call_id: sent.call_id().to_owned(),
            local_tag: sent.from_tag()?.to_owned(),
            remote_tag: response.headers.to_tag().unwrap_or("").to_owned(),
            local: sent.get(&HeaderName::From)?.to_owned(),
            remote: response.headers.get(&HeaderName::To)?.to_owned(),
            remote_target,
            route_set: routes(&response.headers, true),
            local_cseq: sent.cseq()?.number,
            remote_cseq: None,
        })
    }

    /// Number of the next request.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// Number of our last request.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Number of the peer's last request.
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// Takes over the CSeq numbers of the early dialog (PRACK, UPDATE).
    pub fn adopt_cseqs(&mut self, early: &Self) {
        self.local_cseq = self.local_cseq.max(early.local_cseq);
        self.remote_cseq = self.remote_cseq.max(early.remote_cseq);
    }

    /// A new request inside the dialog; ACK keeps the number of its INVITE (section 13.2.2.4).
    pub fn request(&mut self, method: Method) -> DialogRequest {
        let cseq = if method == Method::Ack { self.local_cseq } else { self.next_cseq() };
        self.request_with_cseq(method, cseq)
    }

    /// Builds a request with this CSeq number, the route set and Max-Forwards 70; the stored number stays as it is.
    pub fn request_with_cseq(&self, method: Method, cseq: u32) -> DialogRequest {
        let mut headers = Headers::with_capacity(12);
        headers.push(HeaderName::From, self.local.as_str());
        headers.push(HeaderName::To, self.remote.as_str());
        headers.push(HeaderName::CallId, self.call_id.as_str());
        headers.push(HeaderName::CSeq, format!("{cseq} {}", method.as_str()));
        headers.push(HeaderName::MaxForwards, "70");
        let first = self.route_set.first().and_then(|route| NameAddr::parse(route).ok()).map(|route| route.uri);
        let (uri, next_hop) = match first {
            Some(route) if route.param("lr").is_none() => {
                // A strict router expects its own URI in the Request-URI and the target as last Route (section
                // 12.2.1.1).
                for route in self.route_set.iter().skip(1) {
                    headers.push(HeaderName::Route, route.as_str());
                }
                headers.push(HeaderName::Route, format!("<{}>", self.remote_target));
                (Uri { params: String::new(), headers: String::new(), ..route.clone() }, route)
            }
            first => {
                for route in &self.route_set {
                    headers.push(HeaderName::Route, route.as_str());
                }
                (self.remote_target.clone(), first.unwrap_or_else(|| self.remote_target.clone()))
            }
        };
        DialogRequest { request: Request { method, uri, headers, body: Vec::new() }, next_hop }
    }

    /// False for a request older than one already seen (section 12.2.2: answered 500).
    pub fn accept_cseq(&mut self, number: u32) -> bool {
        match self.remote_cseq {
            Some(seen) if number <= seen => false,
            _ => {
                self.remote_cseq = Some(number);
                true
            }
        }
    }

    /// Target refresh by re-INVITE and UPDATE (section 12.2.2).
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Some(target) = contact_target(headers) {
            self.remote_target = target;
        }
    }
}

/// Remote target from the Contact; must be a SIP URI, because only that has a host (section 12.1.1).
fn contact_target(headers: &Headers) -> Option<Uri> {
    headers.contact()?.ok().map(|contact| contact.uri).filter(|uri| uri.scheme != Scheme::Tel)
}

fn routes(headers: &Headers, reversed: bool) -> Vec<String> {
    let mut routes: Vec<String> =
        headers.list(&HeaderName::RecordRoute).take(limits::ROUTES_MAX).map(str::to_owned).collect();
    if reversed {
        routes.reverse();
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::super::message::parse::{ParsedMessage, datagram};
    use super::super::message::{SipMessage, print};
    use super::*;

    fn invite(record_route: &str) -> Request {
        let text = format!(
            "INVITE sip:us@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=r\r\nTo: <sip:us@h>\r\n\
             Call-ID: c\r\nCSeq: 7 INVITE\r\nContact: <sip:a@10.0.0.9:5070>\r\n{record_route}\r\n"
        );
        match datagram(text.as_bytes()) {
            ParsedMessage::Message(SipMessage::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn loose_routes_are_kept_in_order_and_the_target_is_the_request_uri() {
        let mut dialog = Dialog::from_request(&invite("Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n"), "l").unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.next_hop.host, "p1");
        let text = String::from_utf8(print::request(&bye.request)).unwrap();
        assert!(text.starts_with("BYE sip:a@10.0.0.9:5070 SIP/2.0\r\n"), "{text}");
        assert!(text.contains("Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n"), "{text}");
        assert!(text.contains("From: <sip:us@h>;tag=l\r\nTo: <sip:a@h>;tag=r\r\n"), "{text}");
    }

    #[test]
    fn a_strict_router_gets_its_own_uri() {
        let mut dialog =
            Dialog::from_request(&invite("Record-Route: <sip:p1>\r\nRecord-Route: <sip:p2;lr>\r\n"), "l").unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.request.uri.to_string(), "sip:p1");
        assert_eq!(
            bye.request.headers.all(&HeaderName::Route).collect::<Vec<_>>(),
            ["<sip:p2;lr>", "<sip:a@10.0.0.9:5070>"]
        );
    }

    #[test]
    fn old_requests_are_refused() {
        let mut dialog = Dialog::from_request(&invite(""), "l").unwrap();
        assert!(!dialog.accept_cseq(7));
        assert!(dialog.accept_cseq(9));
        assert!(!dialog.accept_cseq(8));
    }
}
