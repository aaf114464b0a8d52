//! A user agent with trunks, and those who call it.

use super::*;

pub const HERE: &str = "192.0.2.7:5060";
pub const ELSEWHERE: &str = "198.51.100.9:5060";
pub const REGISTRAR: &str = "203.0.113.1:5060";

/// One user agent and its peers.
pub struct UserAgentTest {
    pub user_agent: UserAgent,
    pub now: Instant,
    pub made: u32,
}

/// An INVITE's first answer beyond 100, and the call it became.
pub struct InviteAnswer {
    pub status: u16,
    pub text: String,
    pub incoming: Option<Box<IncomingInvite>>,
    pub replaced: bool,
}

pub fn rule(id: &str, allow: &[&str], user: Option<(&str, &str)>) -> InboundTrunk {
    InboundTrunk {
        id: id.into(),
        allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
        credentials: user
            .map(|(name, password)| DigestCredentials { username: name.into(), password: password.into() }),
        algorithms: ChallengeAlgorithms::Automatic,
        accept_refer: false,
    }
}

pub fn registration(id: &str) -> RegistrationConfig {
    RegistrationConfig {
        id: id.into(),
        aor: Uri::sip(Some(id), "203.0.113.1", None),
        registrar: Uri::sip(None, "203.0.113.1", None),
        hops: vec![],
        transport: Transport::Udp,
        contact_user: format!("contact-{id}"),
        credentials: Some(DigestCredentials { username: id.into(), password: "p".into() }),
        expires_s: 300,
    }
}

impl UserAgentTest {
    pub fn new(trunks: Vec<InboundTrunk>) -> Self {
        let now = Instant::now();
        Self { user_agent: UserAgent::new(now, config(CALLEE, trunks), [7; 32]), now, made: 0 }
    }

    pub fn hear(&mut self, from: &str, text: &str) {
        self.user_agent.handle_datagram(self.now, from.parse().unwrap(), text.as_bytes());
    }

    /// Messages sent since the last call.
    pub fn sent(&mut self) -> Vec<(SocketAddr, String)> {
        let sent = std::iter::from_fn(|| self.user_agent.poll_transmit());
        sent.filter_map(|transmit| match transmit.target {
            TransmitTarget::Addr(addr) => Some((addr, String::from_utf8_lossy(&transmit.bytes).into_owned())),
            TransmitTarget::Name { .. } => None,
        })
        .collect()
    }

    /// Sends a request with further header lines; its last answer.
    pub fn request(&mut self, from: &str, method: &str, uri: &str, dialog: &str, more: &str) -> InviteAnswer {
        self.made += 1;
        let branch = format!("z9hG4bK{}", self.made);
        self.hear(
            from,
            &format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch={branch};rport\r\nMax-Forwards: 70\r\n\
                 {dialog}CSeq: {} {method}\r\nContact: <sip:x@{from}>\r\n{more}Content-Length: 0\r\n\r\n",
                self.made
            ),
        );
        let text = self.sent().pop().map(|(_, text)| text).unwrap_or_default();
        let (mut incoming, mut replaced) = (None, false);
        while let Some(event) = self.user_agent.poll_event() {
            match event {
                SipEvent::Incoming(call) => incoming = Some(call),
                SipEvent::ReplacesReceived { by, .. } => (incoming, replaced) = (Some(by), true),
                _ => {}
            }
        }
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        InviteAnswer { status, text, incoming, replaced }
    }

    pub fn invite(&mut self, from: &str, user: &str, more: &str) -> InviteAnswer {
        let dialog =
            format!("From: <sip:a@x>;tag=f{0}\r\nTo: <sip:{user}@127.0.0.2>\r\nCall-ID: c{0}\r\n", self.made + 1);
        self.request(from, "INVITE", &format!("sip:{user}@127.0.0.2"), &dialog, more)
    }

    /// The same with credentials, from a fresh challenge that a stranger gets.
    pub fn authorization(&mut self, username: &str, password: &str, user: &str) -> String {
        let challenged = self.invite("172.31.255.1:5060", user, "");
        assert_eq!(challenged.status, 401, "{}", challenged.text);
        authorize(&challenged.text, username, password, user)
    }

    pub fn candidates(&mut self, from: &str, user: &str, more: &str) -> TrunkCandidates {
        self.invite(from, user, more).incoming.map(|incoming| incoming.candidates).unwrap_or_default()
    }

    /// A call over a trunk that is answered and acknowledged; what a header of the other side's dialog says.
    pub fn talk(&mut self, from: &str, trunk: &str, more: &str) -> TestDialog {
        let incoming = self.invite(from, "+31201234567", more).incoming.unwrap();
        self.user_agent.assign_trunk(incoming.call, &trunk.into()).unwrap();
        self.user_agent.answer(self.now, incoming.call, b"v=0\r\n".to_vec()).unwrap();
        let ok = self.sent().pop().unwrap().1;
        let network = |name: &str| ok.lines().find(|network| network.starts_with(name)).unwrap().to_owned();
        let headers = format!("{}\r\n{}\r\n{}\r\n", network("From: "), network("To: "), network("Call-ID: "));
        let tag = |name: &str| network(name).split("tag=").nth(1).unwrap().to_owned();
        let (call_id, to_tag, from_tag) = (network("Call-ID: ")[9..].to_owned(), tag("To: "), tag("From: "));
        let dialog = TestDialog { headers, replaces: format!("{call_id};to-tag={to_tag};from-tag={from_tag}") };
        let cseq = self.made;
        self.hear(
            from,
            &format!(
                "ACK sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKack{cseq}\r\n{}CSeq: {cseq} ACK\r\n\r\n",
                dialog.headers
            )
            .replace("sip:x ", "sip:x@127.0.0.2 "),
        );
        dialog
    }

    pub fn refer(&mut self, from: &str, dialog: &TestDialog) -> u16 {
        let more = "Refer-To: <sip:+15550777@203.0.113.99>\r\n";
        let answer = self.request(from, "REFER", "sip:x@127.0.0.2", &dialog.headers, more);
        // An allowed REFER waits for the owner of the call.
        if answer.text.is_empty() { 202 } else { answer.status }
    }

    /// Registers trunks; the registrar answers each with its status.
    pub fn register(&mut self, all: &[(&str, &str)]) {
        self.user_agent.set_registrations(self.now, all.iter().map(|(id, _)| registration(id)).collect());
        for (addr, text) in self.sent() {
            assert_eq!(addr, REGISTRAR.parse().unwrap());
            let network = |name: &str| text.lines().find(|network| network.starts_with(name)).unwrap().to_owned();
            // One that is gone is given back.
            let found = all.iter().find(|(id, _)| network("From: ").contains(&format!("sip:{id}@")));
            let status = found.map_or("200 OK", |(_, status)| status);
            let headers = ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "].map(network).join("\r\n");
            self.hear(REGISTRAR, &format!("SIP/2.0 {status}\r\n{headers}\r\nContent-Length: 0\r\n\r\n"));
        }
        while self.user_agent.poll_event().is_some() {}
    }
}

pub struct TestDialog {
    pub headers: String,
    pub replaces: String,
}

pub fn authorize(challenged: &str, username: &str, password: &str, user: &str) -> String {
    let challenge = challenged.lines().find_map(|network| network.strip_prefix("WWW-Authenticate: ")).unwrap();
    let credentials = DigestCredentials { username: username.into(), password: password.into() };
    let mut session = DigestClientSession::new(DigestChallenge::parse(challenge).unwrap(), "c".into());
    format!("Authorization: {}\r\n", session.authorize(&credentials, "INVITE", &format!("sip:{user}@127.0.0.2")))
}

pub fn ids(candidates: &TrunkCandidates) -> Vec<String> {
    let mut ids: Vec<String> = candidates.iter().map(|(id, _)| id.to_string()).collect();
    ids.sort();
    ids.dedup();
    ids
}
