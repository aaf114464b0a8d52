//! How far a call has come, and how it gets there.

use super::*;

/// How far a call has come when the hostile message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStage {
    /// There is none.
    Idle,
    Ringing,
    /// A 183 with an answer was sent reliably, and is not acknowledged.
    EarlyUnacknowledged,
    EarlyAnswered,
    AwaitingAck,
    Established,
    /// The peer has made an offer that its owner has not answered.
    TheirOffer,
    HungUp,
    /// We call, and nothing was heard.
    Calling,
    CallingEarly,
    Called,
    /// We have made an offer.
    OurOffer,
    CalledHungUp,
    Canceled,
    Registering,
    Probing,
}

pub const CALL_STAGES: [CallStage; 16] = [
    CallStage::Idle,
    CallStage::Ringing,
    CallStage::EarlyUnacknowledged,
    CallStage::EarlyAnswered,
    CallStage::AwaitingAck,
    CallStage::Established,
    CallStage::TheirOffer,
    CallStage::HungUp,
    CallStage::Calling,
    CallStage::CallingEarly,
    CallStage::Called,
    CallStage::OurOffer,
    CallStage::CalledHungUp,
    CallStage::Canceled,
    CallStage::Registering,
    CallStage::Probing,
];

impl TestWorld {
    pub(super) fn prepare(&mut self, at: usize, scene: CallStage) {
        use CallStage::*;
        match scene {
            Idle => {}
            Ringing | EarlyUnacknowledged | EarlyAnswered | AwaitingAck | Established | TheirOffer | HungUp => {
                self.hear(at, &self.initial(at).bytes());
                let call = self.peers[at].call.expect("the INVITE was taken");
                match scene {
                    Ringing | EarlyUnacknowledged | EarlyAnswered => self.ring(at, call, scene),
                    _ => self.pick_up(at, call, scene),
                }
            }
            Calling | CallingEarly | Called | OurOffer | CalledHungUp | Canceled => self.call_peer(at, scene),
            Registering => self.register(at),
            Probing => self.call_out(at, true),
        }
    }

    /// The peer's call rings here.
    fn ring(&mut self, at: usize, call: CallId, scene: CallStage) {
        let (status, sdp) = if scene == CallStage::Ringing { (180, None) } else { (183, Some(SDP.to_vec())) };
        let _ = self.user_agent.send_provisional(self.now, call, status, sdp);
        self.pump();
        self.learn_tag(at);
        if scene == CallStage::EarlyAnswered {
            let prack = self.request(at, "PRACK");
            self.hear(at, &prack.bytes());
        }
    }

    /// The peer's call is answered.
    fn pick_up(&mut self, at: usize, call: CallId, scene: CallStage) {
        let _ = self.user_agent.answer(self.now, call, SDP.to_vec());
        self.pump();
        self.learn_tag(at);
        if scene != CallStage::AwaitingAck {
            let ack = self.request(at, "ACK");
            self.hear(at, &ack.bytes());
        }
        if scene == CallStage::TheirOffer {
            let before = std::mem::replace(&mut self.owners_answer, false);
            let offer = self.request(at, "UPDATE");
            self.hear(at, &offer.bytes());
            self.owners_answer = before;
        }
        if scene == CallStage::HungUp {
            let _ = self.user_agent.hang_up(self.now, call);
            self.pump();
        }
    }

    /// We call the peer.
    fn call_peer(&mut self, at: usize, scene: CallStage) {
        use CallStage::*;
        self.call_out(at, false);
        if matches!(scene, CallingEarly | Canceled) {
            self.hear(at, &self.response(at, "180 Ringing").bytes());
        }
        if matches!(scene, Called | OurOffer | CalledHungUp) {
            self.hear(at, &self.response(at, "200 OK").bytes());
        }
        let call = self.peers[at].call.expect("we called");
        match scene {
            OurOffer => drop(self.user_agent.send_reoffer(self.now, call, SDP.to_vec())),
            CalledHungUp | Canceled => drop(self.user_agent.hang_up(self.now, call)),
            _ => {}
        }
        self.pump();
    }

    fn register(&mut self, at: usize) {
        let ip = self.peers[at].addr.ip().to_string();
        self.registered.push(RegistrationConfig {
            id: ip.as_str().into(),
            aor: Uri::sip(Some("us"), &ip, None),
            registrar: Uri::sip(None, &ip, None),
            hops: vec![],
            transport: Transport::Udp,
            contact_user: format!("contact{at}"),
            credentials: Some(DigestCredentials { username: "u".into(), password: "p".into() }),
            expires_s: 300,
        });
        self.user_agent.set_registrations(self.now, self.registered.clone());
        self.pump();
    }

    fn call_out(&mut self, at: usize, probe: bool) {
        let host = self.peers[at].addr.ip().to_string();
        let next_hop = NextHop { host: host.clone(), port: Some(5_060), transport: Some(Transport::Udp) };
        let credentials = DigestCredentials { username: "u".into(), password: "p".into() };
        let hosts = vec![next_hop.clone(), NextHop { port: None, transport: None, ..next_hop.clone() }];
        let invite = InviteRequest {
            request_uri: Uri::sip(Some("callee"), &host, None),
            from: name("us", "10.9.9.9"),
            to: name("callee", &host),
            hops: vec![next_hop],
            transport: Transport::Udp,
            credentials: Some(HostCredentials { credentials, hosts }),
            sdp: Some(SDP.to_vec()),
            headers: Headers::default(),
            trunk: None,
            accept_refer: true,
            extensions: Default::default(),
        };
        let made = if probe {
            self.user_agent.send_options(self.now, invite)
        } else {
            self.user_agent.send_invite(self.now, invite)
        };
        let call = made.expect("there is room");
        self.peers[at].call = Some(call);
        self.begun.insert(call, 0);
        self.pump();
        let peer = &mut self.peers[at];
        let sent = peer.heard.last().cloned().unwrap_or_default();
        (peer.their_tag, peer.call_id) = (tag(&sent, "From"), header(&sent, "Call-ID").to_owned());
        peer.cseq = 0;
    }

    fn learn_tag(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        peer.their_tag = peer.heard.last().map(|text| tag(text, "To")).unwrap_or_default();
    }
}
