//! Where messages go: next hop of a request, symmetric response routing (RFC 3261 section 18, RFC 3581).

use super::{Endpoint, Target, Transport};
use crate::sip::message::{HeaderName, Headers, Request, Uri};
use std::net::{IpAddr, SocketAddr};

const DEFAULT_PORT: u16 = 5060;

impl Endpoint {
    /// Puts our Via on top of a request and returns its branch.
    pub(super) fn push_via(&mut self, request: &mut Request, transport: Transport) -> String {
        let branch = self.tokens.branch();
        let via = self.via(transport, &branch);
        request.headers.push_front(HeaderName::Via, via);
        branch
    }

    pub(super) fn via(&self, transport: Transport, branch: &str) -> String {
        format!("SIP/2.0/{} {};branch={branch};rport", transport.name(), self.sent_by(transport))
    }

    fn sent_by(&self, transport: Transport) -> SocketAddr {
        let port = match transport {
            Transport::Udp => self.config.udp_port,
            Transport::Tcp => self.config.tcp_port,
        };
        SocketAddr::new(self.config.advertised, port)
    }

    pub(super) fn contact(&self, transport: Transport, user: Option<&str>) -> String {
        let at = user.map(|user| format!("{user}@")).unwrap_or_default();
        let param = if transport == Transport::Tcp { ";transport=tcp" } else { "" };
        format!("<sip:{at}{}{param}>", self.sent_by(transport))
    }

    /// Next hop of a request inside a dialog. A private Contact behind a public source means NAT: the
    /// source is where the peer can be reached.
    pub(super) fn next_hop(
        &self, hop: &Uri, routed: bool, fallback: Transport, source: Option<(Transport, SocketAddr)>,
    ) -> (Transport, Target) {
        let transport = match hop.param("transport") {
            Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            Some(name) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
            _ => fallback,
        };
        if let (Some((transport, source)), false) = (source, routed)
            && hop.host.parse::<IpAddr>().is_ok_and(|ip| is_private(ip) && !is_private(source.ip()))
        {
            return (transport, Target::Addr(source));
        }
        (transport, target(&hop.host, hop.port))
    }
}

pub(super) fn target(host: &str, port: Option<u16>) -> Target {
    let port = port.unwrap_or(DEFAULT_PORT);
    match host.parse::<IpAddr>() {
        Ok(ip) => Target::Addr(SocketAddr::new(ip, port)),
        Err(_) => Target::Name { host: host.to_owned(), port },
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local(),
    }
}

/// Notes the real source in the top Via and returns where the response goes.
pub(super) fn stamp_via(headers: &mut Headers, transport: Transport, source: SocketAddr) -> SocketAddr {
    let Some(via) = headers.top_via() else { return source };
    let Some(value) = headers.get(&HeaderName::Via) else { return source };
    let first_len = crate::sip::message::headers::split_list(value).next().map_or(0, str::len);
    let start = value.find(|c: char| !c.is_whitespace()).unwrap_or(0);
    let first = &value[start..start + first_len];
    let wants_rport = crate::sip::message::uri::param(&via.params, "rport").is_some();
    let mut stamped = first.to_owned();
    if wants_rport {
        stamped = replace_flag(&stamped, "rport", &format!("rport={}", source.port()));
    }
    let foreign = via.host.parse::<IpAddr>().map(|ip| ip.to_canonical()) != Ok(source.ip().to_canonical());
    if foreign || wants_rport {
        stamped.push_str(&format!(";received={}", source.ip()));
    }
    let stamped = format!("{stamped}{}", &value[start + first_len..]);
    headers.replace_first(&HeaderName::Via, stamped.into());
    let port =
        if wants_rport || transport == Transport::Tcp { source.port() } else { via.port.unwrap_or(DEFAULT_PORT) };
    SocketAddr::new(source.ip(), port)
}

/// Replaces `;rport` or `;rport=…` by `;with`.
fn replace_flag(text: &str, flag: &str, with: &str) -> String {
    text.split(';')
        .map(|part| {
            let name = part.split('=').next().unwrap_or(part).trim();
            if name.eq_ignore_ascii_case(flag) { with } else { part }
        })
        .collect::<Vec<_>>()
        .join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(via: &str, source: &str, wanted_via: &str, wanted: &str) {
        let mut headers = Headers::default();
        headers.push(HeaderName::Via, via);
        let to = stamp_via(&mut headers, Transport::Udp, source.parse().unwrap());
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
        check(
            "SIP/2.0/UDP 10.0.0.1;branch=z9",
            "9.9.9.9:4000",
            "SIP/2.0/UDP 10.0.0.1;branch=z9;received=9.9.9.9",
            "9.9.9.9:5060",
        );
    }
}
