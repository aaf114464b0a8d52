//! A phone without a person: dials or answers, follows its script, measures what it hears.

use super::phone_leg::{LegStart, PhoneLeg};
use super::received_audio::ReceivedAudio;
use super::report::CallReport;
use super::script::{CallScript, ScriptStep};
use super::scripted_call::{ScriptedCall, SipCallLeg};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline::call::driver::{AnsweredDialog, EarlyLeg, OutgoingCallDriver};
use trunkline::call::negotiate::{Negotiation, TrunkMedia};
pub use trunkline::call::outgoing_call::OfferMode;
use trunkline::call::outgoing_call::{OutgoingCallParams, OutgoingCallUpdate, RedirectPolicy};
use trunkline::domain::phone_number::Destination;
use trunkline_domain::trunk::{SrtpKeying, SrtpPolicy};
pub use trunkline_media::codec::Codec;
use trunkline_media::io::ports::{PortPair, PortPool};
use trunkline_media::io::receive_timestamp::ReceiveTimestamping;
use trunkline_media::io::worker::{MediaWorkers, TransportSetup};
use trunkline_media::leg::{LegEvent, StreamConfig};
use trunkline_media::transport::webrtc::{HostCandidates, WebRtcPeer};
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::io::driver::{self as sip, IncomingCall, ListenConfig, SipService};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    ChallengeAlgorithms, DestinationPolicy, HostCredentials, InboundTrunk, InviteRequest, SipEvent, Transport,
    UserAgentConfig as SipConfig,
};

const SETUP_DEADLINE: Duration = Duration::from_secs(40);

/// How to reach the other side.
#[derive(Clone, Debug)]
pub struct DialParams {
    /// Request-URI and To header of the INVITE.
    pub to: Uri,
    /// From header of the INVITE.
    pub from: Uri,
    /// Transport of the SIP requests.
    pub transport: Transport,
    /// Answers a digest challenge of the callee's host; `None` gives up at a challenge.
    pub credentials: Option<DigestCredentials>,
    /// Codecs in order of preference, by their SDP names; empty offers PCMU and PCMA.
    pub codecs: Vec<String>,
}

impl DialParams {
    fn media(&self) -> TrunkMedia {
        TrunkMedia { codecs: self.codecs.clone(), ..TrunkMedia::default() }
    }

    /// Returns the INVITE with this SDP offer.
    pub fn invite(&self, offer: Vec<u8>) -> InviteRequest {
        self.invite_to(&self.to, Some(offer))
    }

    /// The INVITE to the target of a redirection, or without an offer.
    fn invite_to(&self, to: &Uri, offer: Option<Vec<u8>>) -> InviteRequest {
        let name = |uri: &Uri| NameAddr { display: None, uri: uri.clone(), params: String::new() };
        InviteRequest {
            request_uri: to.clone(),
            from: name(&self.from),
            to: name(to),
            hops: Vec::new(),
            transport: self.transport,
            credentials: self.credentials.clone().map(|all| HostCredentials::of(&self.to, all)),
            sdp: offer,
            headers: Headers::default(),
            trunk: None,
            accept_refer: false,
            extensions: Default::default(),
        }
    }
}

/// The phone's line: one SIP endpoint, many calls.
#[derive(Debug)]
pub struct Softphone {
    /// Handle to the SIP user agent, which all calls share.
    pub sip: SipHandle,
    workers: MediaWorkers,
    ports: PortPool,
    addr: IpAddr,
}

impl Softphone {
    /// Opens the line. Calls that come in from loopback arrive at the receiver.
    pub async fn open(bind: SocketAddr, ports: (u16, u16)) -> std::io::Result<(Self, mpsc::Receiver<IncomingCall>)> {
        let config = SipConfig {
            advertised: bind.ip(),
            advertised_other: None,
            udp_port: bind.port(),
            tcp_port: bind.port(),
            tls_port: None,
            ws_port: None,
            user_agent: "trunkline-call".to_owned(),
            realm: "trunkline-call".to_owned(),
            calls_max: 20_000,
            retry_after_s: 1,
            session_expires_s: 0,
            destinations: DestinationPolicy::allow_all(),
            trunks: vec![InboundTrunk {
                id: "peer".into(),
                allow: "0.0.0.0/0".parse().into_iter().collect(),
                credentials: None,
                algorithms: ChallengeAlgorithms::Automatic,
                accept_refer: false,
            }],
        };
        let SipService { handle: sip, incoming, .. } =
            sip::start(ListenConfig::plain(bind), config, rand::random(), 1_024).await?;
        let workers = MediaWorkers::start(1, ReceiveTimestamping::Kernel)?;
        Ok((Self { sip, workers, ports: PortPool::new(bind.ip(), ports.0, ports.1), addr: bind.ip() }, incoming))
    }

    /// Calls and follows the script to its end.
    pub async fn dial(&self, dial: &DialParams, script: &CallScript, recording: Option<PathBuf>) -> CallReport {
        self.dial_with_offer(OfferMode::Early, dial, script, recording).await
    }

    /// The same, and the callee may have to make the offer.
    pub async fn dial_with_offer(
        &self, offer_mode: OfferMode, dial: &DialParams, script: &CallScript, recording: Option<PathBuf>,
    ) -> CallReport {
        let mut report = CallReport::default();
        let media = (dial.media(), offer_mode);
        report.failure = self.try_dial(media, dial, script, recording, &mut report).await.err();
        report
    }

    /// The same with DTLS-SRTP, which the callee has to take.
    pub async fn dial_encrypted(&self, dial: &DialParams, script: &CallScript) -> CallReport {
        let mut report = CallReport::default();
        let media = TrunkMedia { srtp: SrtpPolicy::Mandatory, srtp_keying: SrtpKeying::Dtls, ..dial.media() };
        report.failure = self.try_dial((media, OfferMode::Early), dial, script, None, &mut report).await.err();
        report
    }

    async fn try_dial(
        &self, (media, offer_mode): (TrunkMedia, OfferMode), dial: &DialParams, script: &CallScript,
        recording: Option<PathBuf>, report: &mut CallReport,
    ) -> Result<(), String> {
        let ports = self.ports.take().map_err(|error| error.to_string())?;
        let started = Instant::now();
        let params = OutgoingCallParams {
            destination: Destination::SipUri(dial.to.to_string()),
            negotiation: Negotiation::new(self.addr, ports.port(), &media, self.workers.fingerprint(), 1),
            offer_mode,
            redirects: RedirectPolicy::Anywhere,
            ring_timeout: SETUP_DEADLINE,
        };
        let build_invite = |to: &Destination, offer| Some(dial.invite_to(&Uri::parse(to.as_str()).ok()?, offer));
        let mut call = OutgoingCallDriver::start(self.sip.clone(), params, build_invite, |_| {}).await;
        let mut leg = EarlyLeg::Waiting(ports);
        let dialog = self.wait_for_answer(&mut call, &mut leg, recording.as_ref()).await?;
        report.setup_ms = Some(started.elapsed().as_secs_f64() * 1_000.0);
        let AnsweredDialog { call, events, negotiation, stream, .. } = dialog;
        let start = |stream, ports| self.leg(stream, ports, recording, LegStart::Answered).ok();
        let result = match leg.answered(stream, |leg| leg.is_recorded, start) {
            Some(leg) => {
                let line = SipCallLeg { call, sip: self.sip.clone(), events, negotiation };
                talk(line, leg, script, report, None).await
            }
            None => Err("media is overloaded".to_owned()),
        };
        self.sip.hang_up(call).await;
        result
    }

    /// Rings until the callee answers. Early media keeps the leg open and is not measured.
    async fn wait_for_answer(
        &self, call: &mut OutgoingCallDriver<'_>, leg: &mut EarlyLeg<PhoneLeg>, recording: Option<&PathBuf>,
    ) -> Result<AnsweredDialog, String> {
        loop {
            while let Some(update) = call.poll_update() {
                if let OutgoingCallUpdate::EarlyMedia(stream) = update {
                    let recording = recording.cloned();
                    leg.apply(stream, |stream, ports| self.leg(stream, ports, recording, LegStart::EarlyMedia).ok());
                }
            }
            if let Some(result) = call.take_result() {
                return result.map_err(|error| error.to_string());
            }
            let heard = async {
                match leg {
                    EarlyLeg::Started(leg) => leg.events.recv().await,
                    EarlyLeg::Waiting(_) | EarlyLeg::Lost => std::future::pending().await,
                }
            };
            tokio::select! {
                event = call.recv() => call.handle(event).await,
                event = heard => if event.is_none() {
                    *leg = EarlyLeg::Lost; // it failed with its worker
                },
            }
        }
    }

    /// Answers a call that came in and follows the script.
    pub async fn answer(&self, incoming: IncomingCall, script: &CallScript, recording: Option<PathBuf>) -> CallReport {
        let mut report = CallReport::default();
        let IncomingCall { incoming, mut events } = incoming;
        let result = async {
            let ports = self.ports.take().map_err(|error| error.to_string())?;
            let mut negotiation = Negotiation::new(self.addr, ports.port(), &TrunkMedia::default(), None, 1);
            let offer = incoming.sdp.clone().unwrap_or_default();
            let (stream, sdp) = negotiation.answer(&offer).map_err(|refusal| refusal.reason.to_owned())?;
            if script.0.iter().any(|step| matches!(step, ScriptStep::Answer)) {
                self.sip.send_provisional(incoming.call, 183, Some(sdp.clone())).await;
                let early = Some(sdp);
                let leg = self.leg(stream, ports, recording, LegStart::Answered)?;
                let line = SipCallLeg { call: incoming.call, sip: self.sip.clone(), events, negotiation };
                return talk(line, leg, script, &mut report, early).await;
            }
            self.sip.send_provisional(incoming.call, 180, None).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.sip.answer(incoming.call, sdp).await;
            loop {
                match tokio::time::timeout(SETUP_DEADLINE, events.recv()).await {
                    Ok(Some(SipEvent::Acknowledged { .. })) => break,
                    Ok(Some(SipEvent::Ended { cause, .. })) => return Err(format!("ended before it began: {cause:?}")),
                    Ok(Some(_)) => {}
                    _ => return Err("never confirmed".to_owned()),
                }
            }
            let leg = self.leg(stream, ports, recording, LegStart::Answered)?;
            let line = SipCallLeg { call: incoming.call, sip: self.sip.clone(), events, negotiation };
            talk(line, leg, script, &mut report, None).await
        };
        let result = result.await;
        self.sip.hang_up(incoming.call).await;
        report.failure = result.err();
        report
    }

    /// Waits until every hang-up has been answered, for two seconds at most: a process that ends at once would leave
    /// the other end on the line.
    pub async fn settle(&self) {
        let settled = async {
            while self.sip.snapshot().await.is_some_and(|snapshot| snapshot.sessions > 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), settled).await;
    }

    fn leg(
        &self, stream: StreamConfig, ports: PortPair, recording: Option<PathBuf>, begin: LegStart,
    ) -> Result<PhoneLeg, String> {
        PhoneLeg::start(&self.workers, stream, TransportSetup::Rtp(ports), recording, begin)
    }

    /// Calls as a browser does; `exchange` carries our offer to the server and its answer back. The report's set-up
    /// time ends with the open path.
    pub async fn dial_web<F: Future<Output = Result<String, String>>>(
        &self, codecs: &[Codec], script: &CallScript, exchange: impl FnOnce(String) -> F,
    ) -> CallReport {
        let mut report = CallReport::default();
        report.failure = self.try_dial_web(codecs, script, exchange, &mut report).await.err();
        report
    }

    async fn try_dial_web<F: Future<Output = Result<String, String>>>(
        &self, codecs: &[Codec], script: &CallScript, exchange: impl FnOnce(String) -> F, report: &mut CallReport,
    ) -> Result<(), String> {
        let started = Instant::now();
        let socket = std::net::UdpSocket::bind((self.addr, 0)).map_err(|error| error.to_string())?;
        let here = socket.local_addr().map_err(|error| error.to_string())?;
        let reach = HostCandidates { udp: vec![here], tcp: vec![] };
        let offered = WebRtcPeer::offer(started, &reach, codecs).ok_or("no offer")?;
        let answer = exchange(offered.sdp.clone()).await?;
        let (peer, stream) = offered.accept(&answer).map_err(|refused| refused.0)?;
        let wire = TransportSetup::WebRtcOwnSocket(Box::new(peer), socket);
        let leg = PhoneLeg::start(&self.workers, stream, wire, None, LegStart::Answered)?;
        let mut ear = ReceivedAudio::new();
        let mut talk = ScriptedCall::new(None, leg, &mut ear, None);
        loop {
            match talk.next(started + SETUP_DEADLINE).await {
                Some((_, LegEvent::Connected { .. })) => break,
                Some(_) => {}
                None => return Err("no path to the server".to_owned()),
            }
        }
        report.setup_ms = Some(started.elapsed().as_secs_f64() * 1_000.0);
        talk.ear.started = started;
        let result = talk.run(script, report).await;
        ear.report(report);
        result
    }
}

/// Follows the script in an answered call, or in one that came in and is answered by its script.
async fn talk(
    line: SipCallLeg, leg: PhoneLeg, script: &CallScript, report: &mut CallReport, early: Option<Vec<u8>>,
) -> Result<(), String> {
    let mut ear = ReceivedAudio::new();
    let result = ScriptedCall::new(Some(line), leg, &mut ear, early).run(script, report).await;
    ear.report(report);
    result
}
