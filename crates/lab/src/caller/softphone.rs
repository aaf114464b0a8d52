//! A phone without a person: dials or answers, follows its script, measures what it hears.

use super::report::CallReport;
use super::script::{CallScript, SOUND_DBFS, ScriptStep, SpeechClip};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline::call::negotiate::{Negotiation, TrunkMedia};
use trunkline_media::audio::AudioFrame;
pub use trunkline_media::codec::Codec;
use trunkline_media::frame::level_dbfs;
use trunkline_media::io::ports::{PortPair, PortPool};
use trunkline_media::io::receive_timestamp::ReceiveTimestamping;
use trunkline_media::io::worker::{LegHandle, MediaWorkers, TransportSetup};
use trunkline_media::leg::{AnalysisConfig, AudioDelivery, Latching, LegConfig, LegEvent, StreamConfig};
use trunkline_media::playout::pacer::SpurtStart;
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::rtcp::NtpClock;
use trunkline_media::transport::webrtc::{HostCandidates, WebRtcPeer};
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::io::driver::{self as sip, IncomingCall, ListenConfig, SipService};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, DestinationPolicy, HostCredentials, InboundTrunk, InviteRequest, SipEvent, Transport,
    UserAgentConfig as SipConfig,
};

/// The agent is done speaking after this much silence.
const SILENCE: Duration = Duration::from_millis(700);
/// An agent that says nothing for this long has failed.
const AGENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The agent speaks this long before it is interrupted.
const BEFORE_INTERRUPTING: Duration = Duration::from_millis(2_600);
/// A marked packet this shortly before a sound is its beginning.
const TALK_SPURT_LEAD: Duration = Duration::from_millis(150);
const SETUP_DEADLINE: Duration = Duration::from_secs(40);
const LEG_EVENTS_MAX: usize = 1_024;

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
        let name = |uri: &Uri| NameAddr { display: None, uri: uri.clone(), params: String::new() };
        InviteRequest {
            request_uri: self.to.clone(),
            from: name(&self.from),
            to: name(&self.to),
            hops: Vec::new(),
            transport: self.transport,
            credentials: self.credentials.clone().map(|all| HostCredentials::of(&self.to, all)),
            sdp: Some(offer),
            headers: Headers::default(),
            trunk: None,
            accept_refer: false,
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
        let mut report = CallReport::default();
        if let Err(failure) = self.try_dial(dial, script, recording, &mut report).await {
            report.failure = Some(failure);
        }
        report
    }

    async fn try_dial(
        &self, dial: &DialParams, script: &CallScript, recording: Option<PathBuf>, report: &mut CallReport,
    ) -> Result<(), String> {
        let ports = self.ports.take().map_err(|error| error.to_string())?;
        let mut negotiation = Negotiation::new(self.addr, ports.port(), &dial.media(), self.workers.fingerprint(), 1);
        let started = Instant::now();
        let (call, mut events) =
            self.sip.send_invite(dial.invite(negotiation.offer())).await.map_err(|refusal| format!("{refusal:?}"))?;
        let deadline = tokio::time::Instant::now() + SETUP_DEADLINE;
        let answer = loop {
            match tokio::time::timeout_at(deadline, events.recv()).await {
                Ok(Some(SipEvent::Answered { sdp, .. })) => break sdp,
                Ok(Some(SipEvent::Ended { cause, .. })) => return Err(format!("not answered: {cause:?}")),
                Ok(Some(_)) => {}
                Ok(None) => return Err("not answered".to_owned()),
                Err(_) => {
                    self.sip.hang_up(call).await;
                    return Err("no answer in time".to_owned());
                }
            }
        };
        report.setup_ms = Some(started.elapsed().as_secs_f64() * 1_000.0);
        let stream = negotiation.accept(&answer.unwrap_or_default()).map_err(|refusal| refusal.reason.to_owned());
        let result = match stream {
            Ok(stream) => self.talk(call, events, negotiation, stream, ports, script, recording, report, None).await,
            Err(why) => Err(why),
        };
        self.sip.hang_up(call).await;
        result
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
                return self
                    .talk(incoming.call, events, negotiation, stream, ports, script, recording, &mut report, early)
                    .await;
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
            self.talk(incoming.call, events, negotiation, stream, ports, script, recording, &mut report, None).await
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

    async fn talk(
        &self, call: CallId, sip_events: mpsc::Receiver<SipEvent>, negotiation: Negotiation, stream: StreamConfig,
        ports: PortPair, script: &CallScript, recording: Option<PathBuf>, report: &mut CallReport,
        early: Option<Vec<u8>>,
    ) -> Result<(), String> {
        let (leg, leg_events) = self.leg(stream, TransportSetup::Rtp(ports), recording)?;
        let line = Some(SipCallLeg { call, sip: self.sip.clone(), events: sip_events, negotiation });
        let mut ear = ReceivedAudio::new();
        let talk =
            ScriptedCall { line, leg, leg_events, ear: &mut ear, segments: 0, gone: false, digits_sent: false, early };
        let result = talk.run(script, report).await;
        ear.report(report);
        result
    }

    fn leg(
        &self, stream: StreamConfig, wire: TransportSetup, recording: Option<PathBuf>,
    ) -> Result<(LegHandle, mpsc::Receiver<(Instant, LegEvent)>), String> {
        let (sender, events) = mpsc::channel(LEG_EVENTS_MAX);
        let config = leg_config(stream, recording.is_some());
        // The instant is taken on the media thread: what happens to this task later does not count.
        let sink = Box::new(move |event| sender.try_send((Instant::now(), event)).is_ok());
        let leg = self.workers.add(config, wire, recording, sink).map_err(|_| "media is overloaded".to_owned())?;
        Ok((leg, events))
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
        let (leg, leg_events) = self.leg(stream, TransportSetup::WebRtcOwnSocket(Box::new(peer), socket), None)?;
        let mut ear = ReceivedAudio::new();
        let mut talk = ScriptedCall {
            line: None,
            leg,
            leg_events,
            ear: &mut ear,
            segments: 0,
            gone: false,
            digits_sent: false,
            early: None,
        };
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

impl ScriptedCall<'_> {
    /// Follows the script to its end, and lets the leg go.
    async fn run(mut self, script: &CallScript, report: &mut CallReport) -> Result<(), String> {
        let result = self.follow(script, report).await;
        report.ended_by_agent = self.gone;
        let ScriptedCall { leg, mut leg_events, .. } = self;
        leg.remove(None);
        while let Ok(Some((_, event))) = tokio::time::timeout(Duration::from_secs(2), leg_events.recv()).await {
            if let LegEvent::Closed { stats } = event {
                report.packets_received = stats.packets_received;
                report.packets_lost = stats.packets_lost;
                break;
            }
        }
        result
    }
}

/// What the SIP side says, where there is one.
async fn signalled(line: &mut Option<SipCallLeg>) -> Option<SipEvent> {
    match line {
        Some(line) => line.events.recv().await,
        None => std::future::pending().await,
    }
}

fn leg_config(stream: StreamConfig, record: bool) -> LegConfig {
    LegConfig {
        stream,
        latching: Latching::default(),
        ssrc: rand::random(),
        first_sequence: rand::random(),
        first_timestamp: rand::random(),
        clock: NtpClock { origin: Instant::now(), ntp_origin: 0 },
        cname: "caller".to_owned(),
        analysis: AnalysisConfig::Off,
        network_timeout: Duration::from_secs(3_600),
        record,
        audio: AudioDelivery::G711,
        spurt_start: SpurtStart::OnGrid,
        ambience: None,
    }
}

/// What is heard of the agent.
struct ReceivedAudio {
    /// The last frame; kept for its room.
    samples: Vec<i16>,
    started: Instant,
    last_frame: Option<Instant>,
    last_was_sound: bool,
    /// First and last sound of the present speech.
    speech: Option<(Instant, Instant)>,
    first_sound: Option<Instant>,
    /// The last packet that was marked as the first of a talk spurt.
    spurt: Option<Instant>,
    gaps_ms: Vec<f32>,
    sound_frames: u64,
    energy_db_sum: f64,
}

impl ReceivedAudio {
    fn new() -> Self {
        Self {
            samples: Vec::new(),
            started: Instant::now(),
            last_frame: None,
            last_was_sound: false,
            speech: None,
            first_sound: None,
            spurt: None,
            gaps_ms: Vec::new(),
            sound_frames: 0,
            energy_db_sum: 0.0,
        }
    }

    fn hear(&mut self, at: Instant, frame: &AudioFrame) {
        self.samples.clear();
        self.samples.extend(frame.samples());
        let dbfs = level_dbfs(&self.samples);
        let sound = dbfs > SOUND_DBFS;
        if sound {
            self.first_sound.get_or_insert(at);
            self.speech = Some(match self.speech {
                Some((first, last)) if at - last < SILENCE => (first, at),
                // Speech begins with its first packet, which may still be a breath; agents that mark
                // none are taken at their first sound.
                _ => (self.spurt.filter(|spurt| at - *spurt < TALK_SPURT_LEAD).unwrap_or(at), at),
            });
            self.sound_frames += 1;
            self.energy_db_sum += f64::from(dbfs);
            if let (true, Some(last)) = (self.last_was_sound, self.last_frame) {
                self.gaps_ms.push((at - last).as_secs_f32() * 1_000.0);
            }
        }
        self.last_frame = Some(at);
        self.last_was_sound = sound;
    }

    /// Since when the agent has been speaking without a longer pause, if it is.
    fn speaking_since(&self, now: Instant) -> Option<Instant> {
        self.speech.filter(|(_, last)| now.saturating_duration_since(*last) < SILENCE).map(|(first, _)| first)
    }

    fn report(self, report: &mut CallReport) {
        report.first_sound_ms = self.first_sound.map(|at| (at - self.started).as_secs_f64() * 1_000.0);
        report.heard_seconds = self.sound_frames as f64 / 50.0;
        report.level_dbfs = (self.energy_db_sum / self.sound_frames.max(1) as f64) as f32;
        report.gaps_ms = self.gaps_ms;
    }
}

/// The SIP side of a call.
struct SipCallLeg {
    call: CallId,
    sip: SipHandle,
    events: mpsc::Receiver<SipEvent>,
    negotiation: Negotiation,
}

struct ScriptedCall<'a> {
    /// None for a browser, whose call its page ends.
    line: Option<SipCallLeg>,
    leg: LegHandle,
    leg_events: mpsc::Receiver<(Instant, LegEvent)>,
    ear: &'a mut ReceivedAudio,
    segments: u32,
    gone: bool,
    digits_sent: bool,
    /// The description of an answer that is still to be given.
    early: Option<Vec<u8>>,
}

impl ScriptedCall<'_> {
    async fn follow(&mut self, script: &CallScript, report: &mut CallReport) -> Result<(), String> {
        let mut asked: Option<Instant> = None;
        for step in &script.0 {
            if self.gone {
                return Ok(());
            }
            match step {
                ScriptStep::Listen => {
                    let since = asked.unwrap_or(self.ear.started);
                    self.listen(since).await?;
                    if let (Some(asked), Some((first, _))) =
                        (asked.take(), self.ear.speech.filter(|(first, _)| *first > since))
                    {
                        report.responses_ms.push((first - asked).as_secs_f64() * 1_000.0);
                    }
                }
                ScriptStep::Say(speech) => asked = Some(self.say(speech).await?.1),
                ScriptStep::Interrupt(speech) => {
                    let now = Instant::now();
                    self.until(now + AGENT_TIMEOUT, "the agent to speak", |talk| {
                        let now = Instant::now();
                        talk.ear.speaking_since(now).is_some_and(|since| now - since >= BEFORE_INTERRUPTING)
                    })
                    .await?;
                    let (first, last) = self.say(speech).await?;
                    asked = Some(last);
                    if let Some((_, fell_silent)) = self.ear.speech.filter(|(since, _)| *since < first) {
                        report
                            .barge_ins_ms
                            .push((fell_silent.saturating_duration_since(first)).as_secs_f64() * 1_000.0);
                    }
                }
                ScriptStep::Digits(digits) => {
                    self.digits_sent = false;
                    self.leg.send_dtmf(digits.clone()).map_err(|_| "media is overloaded".to_owned())?;
                    self.until(Instant::now() + AGENT_TIMEOUT, "digits to be sent", |talk| talk.digits_sent).await?;
                }
                ScriptStep::Pause(pause) => {
                    let _ = self.until(Instant::now() + *pause, "", |_| false).await;
                }
                ScriptStep::Answer => {
                    if let (Some(sdp), Some(line)) = (self.early.take(), &self.line) {
                        line.sip.answer(line.call, sdp).await;
                    }
                }
                ScriptStep::HangUp => return Ok(()),
            }
        }
        Ok(())
    }

    /// Until the agent has spoken after `since` and fallen silent.
    async fn listen(&mut self, since: Instant) -> Result<(), String> {
        let deadline = Instant::now() + AGENT_TIMEOUT;
        self.until(deadline, "the agent to speak", |talk| talk.ear.speech.is_some_and(|(_, last)| last > since))
            .await?;
        self.until(deadline + AGENT_TIMEOUT, "the agent to finish", |talk| {
            talk.ear.speaking_since(Instant::now()).is_none()
        })
        .await
    }

    /// Speaks; returns when its first and last sound left.
    async fn say(&mut self, speech: &SpeechClip) -> Result<(Instant, Instant), String> {
        self.segments += 1;
        let segment = SegmentId { response_id: self.segments, index: 0 };
        self.leg.play(segment, speech.samples.to_vec(), true).map_err(|_| "media is overloaded".to_owned())?;
        let mut started = None;
        let length = Duration::from_millis(speech.samples.len() as u64 / 8);
        let deadline = Instant::now() + length + AGENT_TIMEOUT;
        let mut finished = false;
        while !finished && !self.gone {
            match self.next(deadline).await {
                Some((_, LegEvent::SegmentStarted { segment: id, at })) if id == segment => started = Some(at),
                Some((_, LegEvent::SegmentFinished { heard, .. })) if heard.segment == segment => finished = true,
                Some(_) => {}
                None => return Err("speech was not sent".to_owned()),
            }
        }
        let started = started.unwrap_or(deadline);
        let frame = Duration::from_millis(20);
        Ok((started + frame * speech.first_frame, started + frame * speech.last_frame))
    }

    /// Takes events until the condition holds or the call is gone.
    async fn until(&mut self, deadline: Instant, what: &str, condition: impl Fn(&Self) -> bool) -> Result<(), String> {
        loop {
            if self.gone || condition(self) {
                return Ok(());
            }
            // Silence is the absence of events: look again every 20 ms.
            let look = Instant::now() + Duration::from_millis(20);
            self.next(look.min(deadline)).await;
            if Instant::now() >= deadline {
                return Err(format!("waited in vain for {what}"));
            }
        }
    }

    /// The next media event before the deadline.
    async fn next(&mut self, deadline: Instant) -> Option<(Instant, LegEvent)> {
        loop {
            tokio::select! {
                event = self.leg_events.recv() => {
                    let (at, event) = event?;
                    if let LegEvent::Audio { frame, at } = &event {
                        self.ear.hear(*at, frame);
                    }
                    if let LegEvent::TalkSpurtStarted { at } = event {
                        self.ear.spurt = Some(at);
                    }
                    self.digits_sent |= event == LegEvent::DtmfSent;
                    self.gone |= matches!(event, LegEvent::NetworkLost | LegEvent::InternalError | LegEvent::PeerClosed);
                    return Some((at, event));
                }
                event = signalled(&mut self.line), if !self.gone => match event {
                    Some(SipEvent::ReofferReceived { sdp, .. }) => {
                        let Some(line) = &mut self.line else { continue };
                        let answer = match sdp {
                            Some(offer) => line.negotiation.answer(&offer).ok().map(|(stream, text)| {
                                let _ = self.leg.renegotiate(stream);
                                text
                            }),
                            None => Some(line.negotiation.offer()),
                        };
                        line.sip.answer_reoffer(line.call, answer).await;
                    }
                    Some(SipEvent::Ended { .. }) | None => {
                        self.gone = true;
                        return None;
                    }
                    Some(_) => {}
                },
                () = tokio::time::sleep_until(deadline.into()) => return None,
            }
        }
    }
}
