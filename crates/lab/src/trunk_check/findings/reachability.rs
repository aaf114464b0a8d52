//! Name, transport, OPTIONS, registration and credentials.

use super::finding::Verdict::{NotTried, Note, Ok as Good, Problem};
use super::finding::{Findings, and, reply, status_words};
use crate::trunk_check::observation::{
    Authentication, ConnectionObservation, Exchange, ExchangeOutcome, TrunkObservations,
};
use std::net::IpAddr;

pub(super) fn judge(seen: &TrunkObservations, findings: &mut Findings) {
    name(seen, findings);
    connection(seen, findings);
    if matches!(
        seen.connection,
        ConnectionObservation::NotConnected(_) | ConnectionObservation::NotSecured(_) | ConnectionObservation::NotTried
    ) {
        return;
    }
    options(seen, findings);
    address(seen, findings);
    registration(seen, findings);
    credentials(seen, findings);
}

fn name(seen: &TrunkObservations, findings: &mut Findings) {
    let name = &seen.name;
    match &name.addresses {
        Err(why) => findings.advise(
            "dns",
            Problem,
            format!("The host {} has no address: {why}.", name.host),
            "Check the host of the trunk for typing errors, and the name servers of this machine.",
        ),
        Ok(_) if name.host.parse::<IpAddr>().is_ok() => {
            findings.add("dns", Good, format!("{} is an address; nothing has to be looked up.", name.host));
        }
        Ok(addresses) => {
            let mut words = format!("{} leads to ", name.host);
            let shown: Vec<String> = addresses.iter().take(4).map(ToString::to_string).collect();
            words.push_str(&and(&shown));
            if addresses.len() > shown.len() {
                words.push_str(&format!(" and {} more", addresses.len() - shown.len()));
            }
            words.push_str(&match (name.naptr.is_empty(), name.srv.is_empty()) {
                (true, true) => "; it has no NAPTR or SRV records.".to_owned(),
                (false, true) => format!("; NAPTR names {}.", and(&name.naptr)),
                (true, false) => format!("; SRV names {}.", and(&name.srv)),
                (false, false) => format!("; NAPTR names {}, SRV {}.", and(&name.naptr), and(&name.srv)),
            });
            findings.add("dns", Good, words);
        }
    }
}

fn connection(seen: &TrunkObservations, findings: &mut Findings) {
    let transport = seen.settings.transport;
    match &seen.connection {
        ConnectionObservation::NotTried => {}
        ConnectionObservation::Datagrams => {
            findings.add("transport", Good, "Requests go over UDP, which has no connection.");
        }
        ConnectionObservation::Connected => {
            findings.add("transport", Good, format!("The {transport} connection was accepted."));
        }
        ConnectionObservation::Secured(how) => {
            findings.add("transport", Good, format!("TLS was accepted and the certificate is valid ({how})."));
        }
        ConnectionObservation::NotConnected(why) => findings.advise(
            "transport",
            Problem,
            format!("No {transport} connection: {why}."),
            "Check host, port and transport of the trunk, and the firewall on the way out.",
        ),
        ConnectionObservation::NotSecured(why) => findings.advise(
            "transport",
            Problem,
            format!("TLS failed: {why}."),
            "Use the host name that the certificate is for. If the carrier has its own certificate authority, put its \
             root into sip.tls.roots.",
        ),
    }
}

fn options(seen: &TrunkObservations, findings: &mut Findings) {
    let registered = seen.registration.is_some();
    let called = seen.calls.iter().any(|call| reply(&call.invite).is_some());
    match &seen.options.outcome {
        ExchangeOutcome::NotTried => {}
        ExchangeOutcome::NoAnswer if called || registered => findings.advise(
            "options",
            Note,
            "OPTIONS was not answered, although other requests were.",
            "Leave options_interval_s unset: the probes would take this trunk for dead.",
        ),
        ExchangeOutcome::NoAnswer => findings.advise(
            "options",
            Problem,
            "Nothing was answered, neither OPTIONS nor a call.",
            format!(
                "Check host and port, and whether the carrier knows this machine's public address. Carriers that admit \
                 by address and port want port {}: stop the server and use --port {}.",
                seen.settings.server_port, seen.settings.server_port
            ),
        ),
        ExchangeOutcome::Answered(reply) => {
            let software = reply.software.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
            let words = format!("OPTIONS was answered {}{software} in {} ms.", status_words(reply), reply.after_ms);
            findings.add("options", Good, words);
        }
    }
}

/// How the carrier sees us.
fn address(seen: &TrunkObservations, findings: &mut Findings) {
    let exchanges = std::iter::once(&seen.options).chain(seen.calls.iter().map(|call| &call.invite));
    let Some(outside) = exchanges.filter_map(|exchange| exchange.seen_as).next() else { return };
    let settings = &seen.settings;
    if outside.ip() == settings.advertised {
        let words = format!("The carrier sees us at {}, the address that we name.", outside.ip());
        findings.add("address", Good, words);
    } else {
        findings.advise(
            "address",
            Problem,
            format!(
                "The carrier sees us at {}, but Contact and SDP name {}: there is a NAT between.",
                outside.ip(),
                settings.advertised
            ),
            format!(
                "Set sip.advertised_address = \"{}\" (or sip.stun_server), and open the SIP port and the RTP range there. \
                 Without it audio may be one-way and calls from the carrier may not arrive.",
                outside.ip()
            ),
        );
    }
}

fn registration(seen: &TrunkObservations, findings: &mut Findings) {
    let Some(registration) = &seen.registration else { return };
    match reply(&registration.exchange) {
        Some(reply) if (200..300).contains(&reply.status) => {
            let granted = registration.granted_s.map_or("no stated time".to_owned(), |s| format!("{s} s"));
            let mut words = format!("Registered for {granted} ({} s were asked for).", registration.asked_s);
            if registration.other_contacts > 0 {
                words.push_str(&format!(" The account has {} other contact(s).", registration.other_contacts));
            }
            findings.add("registration", Good, words);
        }
        Some(reply) => findings.advise(
            "registration",
            Problem,
            format!("REGISTER was answered {}.", status_words(reply)),
            "Check username, password and registrar of the trunk. Without a registration no calls come in, and many \
             carriers take no calls either. No call was made.",
        ),
        None => findings.advise(
            "registration",
            Problem,
            "REGISTER was not answered.",
            "Check registrar, transport and firewall. No call was made.",
        ),
    }
}

fn credentials(seen: &TrunkObservations, findings: &mut Findings) {
    let registration = seen.registration.iter().map(|registration| ("REGISTER", &registration.exchange));
    let calls = seen.calls.iter().map(|call| ("INVITE", &call.invite));
    let all: Vec<(&str, &Exchange)> =
        std::iter::once(("OPTIONS", &seen.options)).chain(registration).chain(calls).collect();
    let bad = all.iter().find(|(_, exchange)| {
        !matches!(exchange.authentication, Authentication::NotAsked | Authentication::Answered { .. })
    });
    let refused = all.iter().find(|(_, exchange)| {
        let refused = matches!(reply(exchange).map(|reply| reply.status), Some(401 | 403 | 407));
        refused && matches!(exchange.authentication, Authentication::Answered { .. })
    });
    let challenged =
        all.iter().find(|(_, exchange)| matches!(exchange.authentication, Authentication::Answered { .. }));
    if let Some((method, exchange)) = bad {
        match &exchange.authentication {
            // Probes need no credentials where calls need none.
            Authentication::NoCredentials { .. } if *method == "OPTIONS" && all.len() > 1 && bad_calls(&all) == 0 => {}
            Authentication::NoCredentials { realm } => findings.advise(
                "credentials",
                Problem,
                format!("{method} was challenged for realm {realm:?}, and the trunk has no credentials."),
                format!(
                    "Set username and password. If the carrier admits by address, it does not know this one yet, or it \
                     wants port {}: the check used port {}.",
                    seen.settings.server_port, seen.settings.local_port
                ),
            ),
            Authentication::NotUnderstood { challenge } => findings.advise(
                "credentials",
                Problem,
                format!("{method} was challenged in a way that we do not know: {challenge}."),
                "Ask the carrier for digest authentication with MD5 or SHA-256.",
            ),
            _ => wrong_credentials(method, exchange, findings),
        }
    } else if let Some((method, exchange)) = refused {
        wrong_credentials(method, exchange, findings);
    } else if let Some((method, exchange)) = challenged {
        let Authentication::Answered { realm } = &exchange.authentication else { return };
        findings.add(
            "credentials",
            Good,
            format!("{method} was challenged for {realm:?}; the credentials were accepted."),
        );
    } else {
        not_asked(seen, &all, findings);
    }
}

/// Nobody asked for credentials.
fn not_asked(seen: &TrunkObservations, all: &[(&str, &Exchange)], findings: &mut Findings) {
    let answered = || all.iter().filter_map(|(_, exchange)| reply(exchange));
    if answered().any(|reply| reply.status == 403) {
        findings.advise(
            "credentials",
            Problem,
            "The carrier refuses us (403) without asking for credentials.",
            format!(
                "It admits by address: tell it this machine's public address. If it wants the port as well, stop the \
                 server and use --port {}. A From that is not yours is refused in the same way: see from_user and \
                 from_domain.",
                seen.settings.server_port
            ),
        );
    } else if answered().next().is_none() {
        findings.add("credentials", NotTried, "Nothing was answered.");
    } else if seen.settings.has_credentials {
        let words = "The carrier did not ask for the trunk's credentials: it admits us by address.";
        findings.add("credentials", Note, words);
    } else {
        findings.add("credentials", Good, "None were asked for.");
    }
}

fn bad_calls(all: &[(&str, &Exchange)]) -> usize {
    let bad = |exchange: &Exchange| matches!(exchange.authentication, Authentication::NoCredentials { .. });
    all.iter().filter(|(method, exchange)| *method != "OPTIONS" && bad(exchange)).count()
}

fn wrong_credentials(method: &str, exchange: &Exchange, findings: &mut Findings) {
    let (Authentication::Answered { realm } | Authentication::Repeated { realm }) = &exchange.authentication else {
        return;
    };
    let status = reply(exchange).map(status_words).unwrap_or_default();
    findings.advise(
        "credentials",
        Problem,
        format!("{method} with credentials for {realm:?} was answered {status}."),
        "Username or password are wrong, or belong to another realm. Some carriers refuse a From that is not the \
         account: set from_user and from_domain.",
    );
}
