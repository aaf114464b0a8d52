//! One call of a check, from its INVITE to its end. Whatever happens in between, what was dialed is hung up.

use super::dialog::{Dialog, LocalIdentity, add_offer, cancel};
use super::media_probe::{MediaProbe, ProbeKeys, ProbeStream};
use super::observation::{
    AnswerDescription, AnswerObservation, CallEnd, CallObservation, CallPurpose, Exchange, ExchangeOutcome,
    HoldObservation, Provisional, ReferObservation, TimerObservation,
};
use super::offer::{self, LocalDescription, OfferedSecurity};
use super::rtp_statistics::{PayloadTypes, RtpStatistics};
use super::sip_line::{CurrentCall, LineError, Pending, SipLine, begin_again, note_reply, shorten};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;
use trunkline_signaling::sdp::MediaDirection;
use trunkline_signaling::sip::message::body::SessionBody;
use trunkline_signaling::sip::message::scan::param;
use trunkline_signaling::sip::message::{HeaderName, Method, Request, Response};
use trunkline_signaling::sip::user_agent::InviteRequest;

/// A carrier answers a request in a call within this time.
pub(super) const REQUEST_DEADLINE: Duration = Duration::from_secs(6);
/// How long it may ring.
pub(super) const RING_DEADLINE: Duration = Duration::from_secs(45);
/// How long hold lasts, and how long is listened before and after it.
pub(super) const HOLD_TIME: Duration = Duration::from_secs(2);
/// Packets that were on their way when the call was held.
const HOLD_SETTLES: Duration = Duration::from_millis(400);
/// How long the outcome of a REFER is awaited.
const REFER_TIME: Duration = Duration::from_secs(10);
/// Responses before the answer that are kept.
const PROVISIONALS_MAX: usize = 20;
/// Sent in the middle of the call.
const DIGITS: &str = "159#";

/// What is the same for all calls of a check.
pub(super) struct CallContext {
    pub local: LocalIdentity,
    pub advertised: IpAddr,
    pub template: InviteRequest,
    pub session_expires_s: u32,
    pub ptime_ms: u16,
}

/// What one call does.
pub(super) struct CallPlan {
    pub purpose: CallPurpose,
    pub codecs: Vec<String>,
    pub security: OfferedSecurity,
    /// How long is listened, without hold.
    pub listen: Duration,
    pub refer_to: Option<String>,
}

impl CallPlan {
    fn is_thorough(&self) -> bool {
        !matches!(self.purpose, CallPurpose::OneCodec(_))
    }
}

/// How far a call has come.
enum CallStage {
    Idle,
    /// The INVITE is on its way; the call has to be canceled.
    Calling(Box<(Request, Pending)>),
    /// The call has to be hung up.
    Answered,
    Over,
}

struct Call<'a> {
    line: &'a mut SipLine,
    context: &'a CallContext,
    plan: &'a CallPlan,
    seen: CallObservation,
    probe: MediaProbe,
    description: LocalDescription,
    version: u32,
    dialog: Dialog,
    stage: CallStage,
    begun: Instant,
    /// Description of a response before the answer.
    early: Option<AnswerDescription>,
    answered_at: Option<(Instant, f64)>,
    /// When hold began: what follows does not count for the statistics.
    held_s: Option<f64>,
}

/// Makes a call. The observation is there also when the line broke or the user ended the check.
pub(super) async fn place(
    line: &mut SipLine, context: &CallContext, plan: &CallPlan,
) -> (CallObservation, Result<(), LineError>) {
    let seen = CallObservation {
        purpose: plan.purpose.clone(),
        offered_srtp: plan.security.key().is_some(),
        invite: Exchange::default(),
        timer: TimerObservation { asked_s: context.session_expires_s, ..TimerObservation::default() },
        provisionals: Vec::new(),
        answer: None,
        early: RtpStatistics::default(),
        media: RtpStatistics::default(),
        hold: HoldObservation::NotTried,
        refer: ReferObservation::NotTried,
        sent_digits: String::new(),
        end: CallEnd::NotAnswered,
        peer_requests: Vec::new(),
    };
    let probe = match MediaProbe::open(context.advertised) {
        Ok(probe) => probe,
        Err(error) => return (seen, Err(LineError::Lost(format!("RTP ports: {error}")))),
    };
    let description = LocalDescription {
        addr: context.advertised,
        port: probe.port,
        codecs: plan.codecs.clone(),
        security: plan.security,
        ptime_ms: context.ptime_ms,
        session_id: rand::random(),
    };
    let mut call = Call {
        dialog: Dialog::new(&context.template),
        line,
        context,
        plan,
        seen,
        probe,
        description,
        version: 1,
        stage: CallStage::Idle,
        begun: Instant::now(),
        early: None,
        answered_at: None,
        held_s: None,
    };
    let mut result = call.run().await;
    if let Err(error) = call.end().await
        && result.is_ok()
    {
        result = Err(error);
    }
    (call.summarize(), result)
}

impl Call<'_> {
    async fn run(&mut self) -> Result<(), LineError> {
        if !self.set_up().await? {
            return Ok(());
        }
        let listen = self.plan.listen;
        if !self.plan.is_thorough() {
            return self.line.pass(listen).await;
        }
        // Digits come in the middle: the tones of the echo test are over then.
        self.line.pass(listen / 2).await?;
        if self.has_events() {
            self.probe.send_digits(DIGITS);
            DIGITS.clone_into(&mut self.seen.sent_digits);
        }
        self.line.pass(listen.saturating_sub(listen / 2 + HOLD_TIME)).await?;
        let before = self.probe.received();
        self.line.pass(HOLD_TIME).await?;
        let packets_before = self.probe.received() - before;
        self.hold(packets_before).await?;
        self.refer().await
    }

    fn is_up(&self) -> bool {
        matches!(self.stage, CallStage::Answered) && self.line.call.as_ref().is_some_and(|call| call.hung_up.is_none())
    }

    fn has_events(&self) -> bool {
        let description = self.seen.answer.as_ref().and_then(|answer| answer.description.as_ref().ok());
        description.is_some_and(|description| !description.telephone_events.is_empty())
    }

    /// Dials; true once the call is answered.
    async fn set_up(&mut self) -> Result<bool, LineError> {
        self.line.call = Some(CurrentCall {
            call_id: self.dialog.call_id.clone(),
            contact: self.context.local.contact.clone(),
            requests: Vec::new(),
            answer: None,
            hung_up: None,
        });
        let offer = self.description.print(MediaDirection::SendRecv, self.version);
        let (local, template) = (&self.context.local, &self.context.template);
        let mut invite = self.dialog.invite(local, template, self.context.session_expires_s, offer);
        self.begun = Instant::now();
        loop {
            let pending = self.line.start(&invite).await?;
            self.stage = CallStage::Calling(Box::new((invite.clone(), pending)));
            let Some(response) = self.final_response(&invite).await? else {
                self.seen.invite.outcome = ExchangeOutcome::NoAnswer;
                return Ok(false);
            };
            note_reply(&mut self.seen.invite, &response, self.begun);
            if (200..300).contains(&response.status) {
                self.answered(&invite, &response).await?;
                return Ok(true);
            }
            self.stage = CallStage::Over;
            if response.status == 422 && self.seen.timer.raised_to_s.is_none() {
                let Some(min_se_s) = response.headers.number(&HeaderName::MinSe) else { return Ok(false) };
                self.seen.timer.raised_to_s = Some(min_se_s);
                invite.headers.set(HeaderName::SessionExpires, min_se_s.max(self.seen.timer.asked_s).to_string());
                invite.headers.set(HeaderName::MinSe, min_se_s.to_string());
            } else if !self.line.answer_challenge(&mut self.seen.invite.authentication, &mut invite, &response) {
                return Ok(false);
            }
            begin_again(&mut invite, self.context.local.via());
            self.dialog.cseq = invite.headers.cseq().map_or(self.dialog.cseq, |cseq| cseq.number);
        }
    }

    /// The final response to the INVITE on its way; `None` if nobody answers in time.
    async fn final_response(&mut self, invite: &Request) -> Result<Option<Response>, LineError> {
        let until = self.begun + RING_DEADLINE;
        // Without any response there is nobody to ring.
        let mut patience = Instant::now() + 2 * REQUEST_DEADLINE;
        loop {
            let CallStage::Calling(calling) = &mut self.stage else { return Ok(None) };
            let Some(response) = self.line.response(&mut calling.1, patience.min(until)).await? else {
                return Ok(None);
            };
            patience = until;
            if response.status >= 200 {
                return Ok(Some(response));
            }
            if response.status > 100 {
                self.provisional(invite, &response).await?;
            }
        }
    }

    async fn provisional(&mut self, invite: &Request, response: &Response) -> Result<(), LineError> {
        let description = SessionBody::find(&response.headers, &response.body).description();
        let early_media_header = response.headers.get(&HeaderName::Other("P-Early-Media".into())).map(shorten);
        let mut seen = Provisional {
            status: response.status,
            after_ms: self.begun.elapsed().as_millis() as u64,
            has_description: description.is_some(),
            reliable: None,
            early_media_header,
        };
        if let Some(Ok((answer, key))) = description.map(|description| offer::read(&description)) {
            self.start_media(&answer, key.as_ref().map(|line| line.key.as_bytes()));
            self.early = Some(answer);
        }
        let is_reliable =
            response.headers.list(&HeaderName::Require).any(|one| one.trim().eq_ignore_ascii_case("100rel"));
        if let Some(number) = response.headers.number(&HeaderName::RSeq).filter(|_| is_reliable) {
            let mut early = self.dialog.with(invite, response);
            let invite_number = early.cseq;
            let mut prack = early.request(&self.context.local, Method::Prack);
            prack.headers.push(HeaderName::RAck, format!("{number} {invite_number} INVITE"));
            let via = self.context.local.clone();
            let (exchange, _) = self.line.exchange(&mut prack, REQUEST_DEADLINE, |_| via.via()).await?;
            self.dialog.cseq = prack.headers.cseq().map_or(early.cseq, |cseq| cseq.number);
            seen.reliable = Some(status_of(&exchange));
        }
        if self.seen.provisionals.len() < PROVISIONALS_MAX {
            self.seen.provisionals.push(seen);
        }
        Ok(())
    }

    async fn answered(&mut self, invite: &Request, response: &Response) -> Result<(), LineError> {
        let number = invite.headers.cseq().map_or(1, |cseq| cseq.number);
        let cseq = self.dialog.cseq.max(number);
        self.dialog = self.dialog.with(invite, response);
        self.dialog.cseq = cseq;
        self.stage = CallStage::Answered;
        self.answered_at = Some((Instant::now(), self.probe.now_s()));
        let ack = self.dialog.ack(&self.context.local, number);
        self.line.acknowledge(&ack).await?;
        let expires = response.headers.get(&HeaderName::SessionExpires);
        self.seen.timer.agreed = expires.and_then(|value| {
            let seconds = response.headers.number(&HeaderName::SessionExpires)?;
            Some((seconds, param(value, "refresher").map(shorten)))
        });
        let description = match SessionBody::find(&response.headers, &response.body).description() {
            Some(description) => offer::read(&description),
            None => self.early.clone().map(|early| (early, None)).ok_or_else(|| "it has no description".to_owned()),
        };
        if let Ok((answer, key)) = &description {
            let has_own = !response.body.is_empty();
            if has_own {
                self.start_media(answer, key.as_ref().map(|line| line.key.as_bytes()));
            }
            let (local, codec) = (self.description.clone(), answer.codecs.first().cloned().unwrap_or_default());
            let mut version = 1_000;
            if let Some(call) = &mut self.line.call {
                call.answer = Some(Box::new(move |offered: &[u8]| {
                    version += 1;
                    offer::answer_again(&local, &codec, offered, version)
                }));
            }
        }
        let after_ms = self.begun.elapsed().as_millis() as u64;
        let description = description.map(|(answer, _)| answer);
        self.seen.answer = Some(AnswerObservation { after_ms, description });
        Ok(())
    }

    fn start_media(&self, answer: &AnswerDescription, their_key: Option<&[u8]>) {
        let (Some(addr), Some((audio, clock_hz)), Some(codec)) = (answer.addr, answer.audio, answer.codecs.first())
        else {
            return;
        };
        let ours = self.plan.security.key().map(|line| line.key.as_bytes().to_vec());
        let keys = ours.zip(their_key).map(|(send, receive)| ProbeKeys { send, receive: receive.to_vec() });
        let events = answer.telephone_events.iter().filter(|(_, clock)| *clock == clock_hz).map(|(number, _)| *number);
        let types = PayloadTypes { audio, clock_hz, events: events.collect(), comfort_noise: answer.comfort_noise };
        let wanted_ms = answer.ptime_ms.unwrap_or(self.context.ptime_ms).min(answer.maxptime_ms.unwrap_or(60));
        let packet_ms = if codec == "OPUS" { 20 } else { (wanted_ms / 10 * 10).clamp(10, 60) };
        self.probe.set_stream(ProbeStream { target: addr, codec: codec.clone(), types, packet_ms, keys });
    }

    /// A re-INVITE with this direction: its status, and the direction of the answer.
    async fn reinvite(&mut self, direction: MediaDirection) -> Result<(Option<u16>, Option<&'static str>), LineError> {
        self.version += 1;
        let offer = self.description.print(direction, self.version);
        let mut request = self.dialog.request(&self.context.local, Method::Invite);
        add_offer(&mut request, offer);
        let via = self.context.local.clone();
        let (exchange, response) = self.line.exchange(&mut request, REQUEST_DEADLINE, |_| via.via()).await?;
        let number = request.headers.cseq().map_or(self.dialog.cseq, |cseq| cseq.number);
        self.dialog.cseq = number;
        let Some(response) = response else { return Ok((None, None)) };
        if !(200..300).contains(&response.status) {
            return Ok((status_of(&exchange), None));
        }
        let ack = self.dialog.ack(&self.context.local, number);
        self.line.acknowledge(&ack).await?;
        let description = SessionBody::find(&response.headers, &response.body).description();
        let direction = description.and_then(|bytes| offer::read(&bytes).ok()).map(|(answer, _)| answer.direction);
        Ok((Some(response.status), direction))
    }

    async fn hold(&mut self, packets_before: u64) -> Result<(), LineError> {
        if !self.is_up() {
            return Ok(());
        }
        self.held_s = Some(self.probe.now_s());
        let (status, direction) = self.reinvite(MediaDirection::SendOnly).await?;
        if !status.is_some_and(|status| (200..300).contains(&status)) {
            self.seen.hold = HoldObservation::Refused(status);
            return Ok(());
        }
        self.probe.pause(true);
        self.line.pass(HOLD_SETTLES).await?;
        let before = self.probe.received();
        self.line.pass(HOLD_TIME).await?;
        let packets_on_hold = self.probe.received() - before;
        if !self.is_up() {
            return Ok(());
        }
        let (resumed, resumed_direction) = self.reinvite(MediaDirection::SendRecv).await?;
        self.probe.pause(false);
        let before = self.probe.received();
        self.line.pass(HOLD_TIME).await?;
        let packets_after = self.probe.received() - before;
        self.seen.hold = HoldObservation::Held {
            direction,
            packets_on_hold,
            resumed,
            resumed_direction,
            packets_after,
            packets_before,
        };
        Ok(())
    }

    async fn refer(&mut self) -> Result<(), LineError> {
        let Some(refer_to) = self.plan.refer_to.clone().filter(|_| self.is_up()) else { return Ok(()) };
        let mut request = self.dialog.request(&self.context.local, Method::Refer);
        request.headers.push(HeaderName::ReferTo, format!("<{refer_to}>"));
        request.headers.push(HeaderName::ReferredBy, self.context.local.contact.as_str());
        let via = self.context.local.clone();
        let (exchange, _) = self.line.exchange(&mut request, REQUEST_DEADLINE, |_| via.via()).await?;
        self.dialog.cseq = request.headers.cseq().map_or(self.dialog.cseq, |cseq| cseq.number);
        let status = status_of(&exchange);
        let mut reports = Vec::new();
        if status.is_some_and(|status| status < 300) {
            let until = Instant::now() + REFER_TIME;
            while Instant::now() < until && self.is_up() && !reports.last().is_some_and(|last: &String| is_final(last))
            {
                self.line.wait(until).await?;
                let requests = self.line.call.iter().flat_map(|call| &call.requests);
                let notified = requests.filter(|request| request.method == Method::Notify);
                reports = notified
                    .filter_map(|request| String::from_utf8_lossy(&request.body).lines().next().map(shorten))
                    .collect();
            }
        }
        self.seen.refer = ReferObservation::Answered { status, reports };
        Ok(())
    }

    /// Cancels or hangs up, and takes its time for that also after Ctrl-C.
    async fn end(&mut self) -> Result<(), LineError> {
        let mode = self.line.clean_up();
        let ended = match std::mem::replace(&mut self.stage, CallStage::Over) {
            CallStage::Idle | CallStage::Over => Ok(()),
            CallStage::Calling(calling) => self.cancel(calling.0, calling.1).await,
            CallStage::Answered => self.hang_up().await,
        };
        self.line.set_mode(mode);
        ended
    }

    async fn cancel(&mut self, invite: Request, mut pending: Pending) -> Result<(), LineError> {
        self.seen.end = CallEnd::Canceled { after_ms: self.begun.elapsed().as_millis() as u64 };
        let mut canceling = self.line.start(&cancel(&invite)).await?;
        let until = Instant::now() + REQUEST_DEADLINE;
        let _ = self.line.response(&mut canceling, Instant::now() + Duration::from_secs(2)).await?;
        while let Some(response) = self.line.response(&mut pending, until).await? {
            if (200..300).contains(&response.status) {
                // The answer crossed the CANCEL.
                self.answered(&invite, &response).await?;
                return self.hang_up().await;
            }
            if response.status >= 300 {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn hang_up(&mut self) -> Result<(), LineError> {
        self.stage = CallStage::Over;
        let hung_up = self.line.call.as_ref().and_then(|call| call.hung_up.clone());
        if let (Some((at, reason)), Some((answered, _))) = (hung_up, self.answered_at) {
            let after_ms = at.saturating_duration_since(answered).as_millis() as u64;
            self.seen.end = CallEnd::ByPeer { after_ms, reason: reason.map(|reason| shorten(&reason)) };
            return Ok(());
        }
        let mut bye = self.dialog.request(&self.context.local, Method::Bye);
        let via = self.context.local.clone();
        self.seen.end = CallEnd::ByUs { status: None };
        let (exchange, _) = self.line.exchange(&mut bye, REQUEST_DEADLINE, |_| via.via()).await?;
        self.seen.end = CallEnd::ByUs { status: status_of(&exchange) };
        Ok(())
    }

    fn summarize(mut self) -> CallObservation {
        if let Some(call) = self.line.call.take() {
            let names = call.requests.iter().map(|request| shorten(request.method.as_str()));
            self.seen.peer_requests = names.collect();
        }
        let now_s = self.probe.now_s();
        let answered_s = self.answered_at.map_or(now_s, |(_, at_s)| at_s);
        let until_s = self.held_s.unwrap_or(now_s);
        let log = self.probe.finish();
        self.seen.early = log.statistics(0.0, answered_s);
        if self.answered_at.is_some() {
            self.seen.media = log.statistics(answered_s, until_s);
        }
        self.seen
    }
}

/// A report that says how a transfer went: `SIP/2.0 200 OK`.
fn is_final(status_line: &str) -> bool {
    status_line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).is_some_and(|status| status >= 200)
}

fn status_of(exchange: &Exchange) -> Option<u16> {
    match &exchange.outcome {
        ExchangeOutcome::Answered(reply) => Some(reply.status),
        ExchangeOutcome::NoAnswer | ExchangeOutcome::NotTried => None,
    }
}
