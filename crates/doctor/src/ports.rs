//! Whether the ports of the settings can be used, or who holds them.

use crate::holders::{Holder, Protocol, holder};
use crate::server::RunningServer;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;

const CHECK: &str = "ports";
/// RTP ports that are tried, spread over their range.
const RTP_TRIED_MAX: usize = 500;

/// Every port that is configured.
pub(crate) fn look(config: &Config, server: Option<&RunningServer>) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        listeners(config).into_iter().map(|(name, protocol, at)| listener(name, protocol, at, server)).collect();
    if server.is_none() {
        findings.push(rtp(config.media_bind(), config.media.port_first, config.media.port_last));
    }
    findings
}

fn listeners(config: &Config) -> Vec<(&'static str, Protocol, SocketAddr)> {
    let (sip, web) = (&config.sip, &config.webrtc);
    let all = [
        Some(("api.listen", Protocol::Tcp, config.api.listen)),
        config.metrics.listen.map(|at| ("metrics.listen", Protocol::Tcp, at)),
        Some(("sip.listen", Protocol::Udp, sip.listen)),
        Some(("sip.listen", Protocol::Tcp, sip.listen)),
        sip.tls.listen.map(|at| ("sip.tls.listen", Protocol::Tcp, at)),
        sip.websocket.listen.map(|at| ("sip.websocket.listen", Protocol::Tcp, at)),
        web.enabled.then_some(("webrtc.listen", Protocol::Udp, web.listen)),
        (web.enabled && web.tcp).then_some(("webrtc.listen", Protocol::Tcp, web.listen)),
    ];
    all.into_iter().flatten().collect()
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
    }
}

fn listener(name: &str, protocol: Protocol, at: SocketAddr, server: Option<&RunningServer>) -> Finding {
    let what = format!("{} {at} ({name})", word(protocol));
    if let Some(server) = server {
        return held_by_server(&what, holder(protocol, at.port()), server.process.as_ref());
    }
    let tried = match protocol {
        Protocol::Udp => UdpSocket::bind(at).map(drop),
        Protocol::Tcp => TcpListener::bind(at).map(drop),
    };
    match tried {
        Ok(()) => Finding::ok(CHECK, format!("{what} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let who = holder(protocol, at.port())
                .map_or("a process that cannot be seen from here".to_owned(), |holder| holder.to_string());
            Finding::error(CHECK, format!("{what} is held by {who}"), format!("end it, or set {name} to another port"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::error(
            CHECK,
            format!("{what} may not be used by this user"),
            format!("run it as the service's user, give it CAP_NET_BIND_SERVICE, or set {name} to a port above 1023"),
        ),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => Finding::error(
            CHECK,
            format!("{what}: no interface of this machine has that address"),
            format!("set {name} to an address of this machine, or to 0.0.0.0 for all of them"),
        ),
        Err(error) => Finding::error(
            CHECK,
            format!("{what}: {error}"),
            format!("set {name} to an address and port that can be bound"),
        ),
    }
}

fn held_by_server(what: &str, holder: Option<Holder>, server: Option<&Holder>) -> Finding {
    match (holder, server) {
        (Some(holder), Some(server)) if holder.pid != server.pid => Finding::error(
            CHECK,
            format!("{what} is held by {holder}, not by the server"),
            "end that process and restart the server, or give the server another port",
        ),
        (Some(holder), _) => Finding::ok(CHECK, format!("{what} is held by {holder}")),
        // Processes of other users cannot be seen without root.
        (None, None) => Finding::ok(CHECK, format!("{what}: left to the running server")),
        (None, Some(_)) => Finding::warning(
            CHECK,
            format!("{what}: the running server does not listen there"),
            "restart the server, if these are the settings it should have",
        ),
    }
}

fn rtp(bind: IpAddr, first: u16, last: u16) -> Finding {
    let count = usize::from(last.saturating_sub(first)) + 1;
    let step = count.div_ceil(RTP_TRIED_MAX).max(1);
    let tried: Vec<u16> = (first..=last).step_by(step).collect();
    let held = tried.iter().filter(|port| UdpSocket::bind((bind, **port)).is_err()).count();
    let what = format!("UDP {bind}, {first} to {last} (media.port_first, media.port_last)");
    if held == 0 {
        return Finding::ok(CHECK, format!("{what} is free for audio"));
    }
    let found = format!("{what}: {held} of {} that were tried cannot be bound", tried.len());
    let advice = "set media.port_first and media.port_last to a range that no other program uses, outside of \
                  net.ipv4.ip_local_port_range";
    if held == tried.len() { Finding::error(CHECK, found, advice) } else { Finding::warning(CHECK, found, advice) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline::domain::finding::Level;

    #[test]
    fn a_port_that_is_held_names_its_holder_and_its_setting() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = other.local_addr().unwrap();
        let finding = listener("api.listen", Protocol::Tcp, at, None);
        assert_eq!(finding.level, Level::Error);
        assert!(finding.found.contains(&format!("(process {})", std::process::id())), "{}", finding.found);
        assert!(finding.advice.unwrap().contains("api.listen"));
        drop(other);
        assert_eq!(listener("api.listen", Protocol::Tcp, at, None).level, Level::Ok);
        let foreign = listener("sip.listen", Protocol::Udp, "192.0.2.1:5060".parse().unwrap(), None);
        assert!(foreign.found.contains("no interface"), "{}", foreign.found);
    }

    #[test]
    fn ports_of_a_running_server_belong_to_it() {
        let holder = |pid: u32| Holder { pid, name: "x".into() };
        assert_eq!(held_by_server("UDP", Some(holder(1)), Some(&holder(1))).level, Level::Ok);
        assert_eq!(held_by_server("UDP", Some(holder(2)), Some(&holder(1))).level, Level::Error);
        assert_eq!(held_by_server("UDP", None, Some(&holder(1))).level, Level::Warning);
        assert_eq!(held_by_server("UDP", None, None).level, Level::Ok);
    }
}
