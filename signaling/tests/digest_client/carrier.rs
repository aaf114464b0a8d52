//! A user agent with a trunk, and the hosts that challenge it.

use super::*;

pub const US: &str = "127.0.0.1:5060";
/// The trunk's hosts.
pub const CARRIER: &str = "192.0.2.7:5060";
pub const SECOND: &str = "192.0.2.8:5070";
pub const PROXY: &str = "192.0.2.9:5060";
/// Not the trunk's.
pub const STRANGER: &str = "192.0.2.66:5060";
/// Where the endpoint must not send anything.
pub const FORBIDDEN: &str = "192.0.2.99";

pub struct SentRequest {
    pub to: String,
    pub transport: Transport,
    pub text: String,
}

impl SentRequest {
    pub fn method(&self) -> &str {
        self.text.split(' ').next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let network = self.text.lines().find(|network| network.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        network.and_then(|network| network.split_once(": ")).map(|(_, value)| value)
    }

    /// Realms that it answers.
    pub fn realms(&self) -> Vec<&str> {
        let lines = self.text.lines().filter(|network| network.to_ascii_lowercase().contains("authorization: digest"));
        lines.map(|network| network.split("realm=\"").nth(1).unwrap().split('"').next().unwrap()).collect()
    }
}

pub struct UserAgentTest {
    pub now: Instant,
    pub user_agent: UserAgent,
    /// What names lead to: changed between two resolutions where a test wants that.
    pub names: Vec<(&'static str, Vec<TransportAddress>)>,
    pub events: Vec<SipEvent>,
}

pub fn next_hop(addr: &str) -> NextHop {
    let addr: SocketAddr = addr.parse().unwrap();
    NextHop { host: addr.ip().to_string(), port: Some(addr.port()), transport: None }
}

pub fn name(host: &str) -> NextHop {
    NextHop { host: host.to_owned(), port: None, transport: None }
}

pub fn at(addr: &str) -> TransportAddress {
    TransportAddress { transport: Transport::Udp, addr: addr.parse().unwrap() }
}

pub fn credentials() -> DigestCredentials {
    DigestCredentials { username: "account".into(), password: "secret".into() }
}

/// The trunk's credentials.
pub fn bound() -> HostCredentials {
    let hosts = vec![next_hop(CARRIER), next_hop(SECOND), next_hop(PROXY), name("carrier.example")];
    HostCredentials { credentials: credentials(), hosts }
}

impl UserAgentTest {
    pub fn new() -> Self {
        Self::with_trunk("none")
    }

    /// That lets calls in from an address.
    pub fn with_trunk(allow: &str) -> Self {
        let now = Instant::now();
        let mut config = config(US, vec![trunk(allow, None)]);
        config.destinations = DestinationPolicy::new(|addr| match addr.ip().to_string() == FORBIDDEN {
            true => Err(format!("{addr} must not be asked")),
            false => Ok(()),
        });
        Self { now, user_agent: UserAgent::new(now, config, [3; 32]), names: vec![], events: vec![] }
    }

    pub fn dial(&mut self, uri: &str, change: impl FnOnce(&mut InviteRequest)) -> CallId {
        let uri = Uri::parse(uri).unwrap();
        let named = |uri: Uri| NameAddr { display: None, uri, params: String::new() };
        let mut invite = InviteRequest {
            request_uri: uri.clone(),
            from: named(Uri::sip(Some("us"), "127.0.0.1", None)),
            to: named(uri),
            hops: vec![],
            transport: Transport::Udp,
            credentials: Some(bound()),
            sdp: Some(b"v=0\r\n".to_vec()),
            headers: Headers::default(),
            trunk: None,
            accept_refer: false,
            extensions: Default::default(),
        };
        change(&mut invite);
        self.user_agent.send_invite(self.now, invite).unwrap()
    }

    /// Requests sent since the last call.
    pub fn sent(&mut self) -> Vec<SentRequest> {
        let mut sent = vec![];
        loop {
            while let Some(event) = self.user_agent.poll_event() {
                self.events.push(event);
            }
            while let Some(transmit) = self.user_agent.poll_transmit() {
                // Keep-alives are no requests.
                if transmit.bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                    continue;
                }
                let to = match transmit.target {
                    TransmitTarget::Addr(addr) => addr.to_string(),
                    TransmitTarget::Name { host, .. } => host,
                };
                let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
                sent.push(SentRequest { to, transport: transmit.transport, text });
            }
            let Some(query) = self.user_agent.poll_query() else { return sent };
            let known = self.names.iter().find(|(name, _)| *name == query.next_hop.host);
            let found = known.map(|(_, all)| all.clone()).ok_or_else(|| "no such name".to_owned());
            self.user_agent.handle_resolved(self.now, query.id, found);
        }
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.user_agent.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.user_agent.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// The peer answers a request: `headers` are whole lines.
    pub fn answer(&mut self, request: &SentRequest, status: &str, headers: &str) {
        let to = request.header("to").unwrap();
        let tag = if to.contains(";tag=") { "" } else { ";tag=peer" };
        let copied = ["Via", "From", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", request.header(&name.to_ascii_lowercase()).unwrap()))
            .concat();
        let text = format!("SIP/2.0 {status}\r\n{copied}To: {to}{tag}\r\n{headers}Content-Length: 0\r\n\r\n");
        self.user_agent.handle_datagram(self.now, request.to.parse().unwrap(), text.as_bytes());
    }

    pub fn challenge(&mut self, request: &SentRequest, status: u16, realm: &str, more: &str) {
        let header = if status == 407 { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        let network = format!("{header}: Digest realm=\"{realm}\", nonce=\"n{status}{more}\"{more}\r\n");
        self.answer(request, &format!("{status} Who?"), &network);
    }

    /// The INVITE that was sent last; nothing else was but ACKs.
    pub fn invite(&mut self) -> SentRequest {
        let mut sent = self.sent();
        sent.retain(|one| one.method() != "ACK");
        assert_eq!(sent.len(), 1, "{:?}", sent.iter().map(|one| one.method().to_owned()).collect::<Vec<_>>());
        sent.remove(0)
    }

    /// The only request of a method that was sent.
    pub fn only(&mut self, method: &str) -> SentRequest {
        let mut sent = self.sent();
        sent.retain(|one| one.method() == method);
        assert_eq!(sent.len(), 1, "{method}");
        sent.remove(0)
    }

    pub fn ends(&self) -> Vec<EndCause> {
        let cause = |event: &SipEvent| match event {
            SipEvent::Ended { cause, .. } => Some(cause.clone()),
            _ => None,
        };
        self.events.iter().filter_map(cause).collect()
    }

    /// A call that was answered, with a Contact and a route of the peer's choice.
    pub fn answered(&mut self, uri: &str, contact: &str, route: &str) -> CallId {
        let call = self.dial(uri, |_| {});
        let invite = self.invite();
        let route = if route.is_empty() { String::new() } else { format!("Record-Route: {route}\r\n") };
        let headers = format!("{route}Contact: {contact}\r\nAllow: INVITE, BYE, REFER, INFO\r\n");
        self.answer(&invite, "200 OK", &headers);
        call
    }

    /// Nothing was sent that holds an answer to a challenge.
    pub fn assert_silent(&mut self) {
        for one in self.sent() {
            assert!(one.realms().is_empty(), "{}", one.text);
        }
    }
}
