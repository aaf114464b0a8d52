//! Our Via and Contact, and symmetric response routing (RFC 3261 section 18, RFC 3581).

use super::agent::UserAgent;
use super::event::CallId;
use super::session::DialogPath;
use crate::sip::message::scan::{param, split_unquoted};
use crate::sip::message::{HeaderName, Headers, Request, Via};
use crate::sip::transport::{TransmitTarget, Transport, TransportAddress};
use std::net::{IpAddr, SocketAddr};

impl UserAgent {
    /// Puts our Via on top of a request and returns its branch.
    pub(super) fn push_via(&mut self, request: &mut Request, address: TransportAddress) -> String {
        self.push_via_for(request, address.transport, &TransmitTarget::Addr(address.addr))
    }

    pub(super) fn push_via_for(
        &mut self, request: &mut Request, transport: Transport, target: &TransmitTarget,
    ) -> String {
        let branch = self.tokens.branch();
        let sent_by = self.sent_by(transport, target);
        let via = format!("SIP/2.0/{} {sent_by};branch={branch};rport", transport.name());
        request.headers.push_front(HeaderName::Via, via);
        branch
    }

    /// Where peers of the target's family reach us.
    fn sent_by(&self, transport: Transport, target: &TransmitTarget) -> SocketAddr {
        let port = match transport {
            Transport::Udp => self.config.udp_port,
            Transport::Tcp => self.config.tcp_port,
            Transport::Tls => self.config.tls_port.unwrap_or(self.config.tcp_port),
            Transport::Ws | Transport::Wss => self.config.ws_port.unwrap_or(self.config.tcp_port),
        };
        let other = match target {
            TransmitTarget::Addr(addr) => {
                self.config.advertised_other.filter(|other| other.is_ipv4() == addr.ip().to_canonical().is_ipv4())
            }
            TransmitTarget::Name { .. } => None,
        };
        SocketAddr::new(other.unwrap_or(self.config.advertised), port)
    }

    /// Where peers at that address find us. `is_sips`: they must use TLS on the way here (RFC 3261 section 12.1.1).
    pub(super) fn contact(&self, address: TransportAddress, user: Option<&str>, is_sips: bool) -> String {
        let at = user.map(|user| format!("{user}@")).unwrap_or_default();
        let target = TransmitTarget::Addr(address.addr);
        let is_websocket = matches!(address.transport, Transport::Ws | Transport::Wss);
        if is_sips && (is_websocket || self.config.tls_port.is_some()) {
            let transport = if is_websocket { address.transport } else { Transport::Tls };
            let param = if is_websocket { transport.uri_param() } else { "" };
            return format!("<sips:{at}{}{param}>", self.sent_by(transport, &target));
        }
        format!("<sip:{at}{}{}>", self.sent_by(address.transport, &target), address.transport.uri_param())
    }

    /// User part of our Contact in a dialog.
    pub(super) fn contact_user(&self, call: CallId) -> Option<&str> {
        self.sessions.get(call)?.ids.contact_user.as_deref()
    }

    /// Where the peer of a dialog finds us.
    pub(super) fn contact_for(&self, path: &DialogPath, user: Option<&str>) -> String {
        self.contact(path.met_at(), user, path.is_sips)
    }

    /// True if a Via of the request names us: a loop.
    pub(super) fn is_own_loop(&self, headers: &Headers) -> bool {
        let ports = [Some(self.config.udp_port), Some(self.config.tcp_port), self.config.tls_port, self.config.ws_port];
        headers.list(&HeaderName::Via).filter_map(Via::parse).any(|via| {
            let host = via.host.parse::<IpAddr>().ok();
            let ours = host.is_some() && (host == Some(self.config.advertised) || host == self.config.advertised_other);
            ours && ports.contains(&Some(via.port.unwrap_or(5_060)))
        })
    }
}

/// Adds `received` and `rport` to the top Via and returns the destination of the response.
pub(super) fn add_received(headers: &mut Headers, transport: Transport, source: SocketAddr) -> SocketAddr {
    let Some(via) = headers.top_via() else { return source };
    let wants_rport = param(&via.params, "rport").is_some();
    let foreign = via.host.parse::<IpAddr>().map(|ip| ip.to_canonical()) != Ok(source.ip().to_canonical());
    headers.edit_first_element(&HeaderName::Via, |first| {
        let mut stamped = if wants_rport { with_rport(first, source.port()) } else { first.to_owned() };
        if foreign || wants_rport {
            stamped.push_str(&format!(";received={}", source.ip()));
        }
        stamped
    });
    let port = if wants_rport || transport.is_reliable() {
        source.port()
    } else {
        via.port.unwrap_or(transport.default_port())
    };
    SocketAddr::new(source.ip(), port)
}

/// Gives the parameter `rport` its value, wherever it stands.
fn with_rport(via: &str, port: u16) -> String {
    let mut stamped = String::with_capacity(via.len().saturating_add(32));
    let mut rest = Some(via);
    while let Some(text) = rest {
        let (part, after) = match split_unquoted(text, b';') {
            Some((part, after)) => (part, Some(after)),
            None => (text, None),
        };
        let name = part.split('=').next().unwrap_or(part).trim();
        if name.eq_ignore_ascii_case("rport") {
            stamped.push_str(&format!("rport={port}"));
        } else {
            stamped.push_str(part);
        }
        if after.is_some() {
            stamped.push(';');
        }
        rest = after;
    }
    stamped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(via: &str, source: &str, wanted_via: &str, wanted: &str) {
        let mut headers = Headers::default();
        headers.push(HeaderName::Via, via);
        let to = add_received(&mut headers, Transport::Udp, source.parse().unwrap());
        assert_eq!((headers.get(&HeaderName::Via), to.to_string().as_str()), (Some(wanted_via), wanted));
    }

    #[test]
    fn responses_go_where_rfc_3581_says() {
        check(
            "SIP/2.0/UDP 10.0.0.1:5070;branch=z9",
            "10.0.0.1:4000",
            "SIP/2.0/UDP 10.0.0.1:5070;branch=z9",
            "10.0.0.1:5070",
        );
        check(
            "SIP/2.0/UDP pbx.example;rport;branch=z9, SIP/2.0/UDP b",
            "9.9.9.9:4000",
            "SIP/2.0/UDP pbx.example;rport=4000;branch=z9;received=9.9.9.9, SIP/2.0/UDP b",
            "9.9.9.9:4000",
        );
        // An empty element first, letters beyond ASCII, a separator in quotes.
        check(
            " ,SIP/2.0/UDP h;branch=z9;x=é",
            "9.9.9.9:4000",
            "SIP/2.0/UDP h;branch=z9;x=é;received=9.9.9.9",
            "9.9.9.9:5060",
        );
        check(
            ",SIP/2.0/UDP h;x=\"é;rport\";RPort =;y=ü,, SIP/2.0/UDP ß",
            "9.9.9.9:4000",
            "SIP/2.0/UDP h;x=\"é;rport\";rport=4000;y=ü;received=9.9.9.9,, SIP/2.0/UDP ß",
            "9.9.9.9:4000",
        );
        check(
            "SIP/2.0/UDP 10.0.0.1;branch=z9",
            "9.9.9.9:4000",
            "SIP/2.0/UDP 10.0.0.1;branch=z9;received=9.9.9.9",
            "9.9.9.9:5060",
        );
    }
}
