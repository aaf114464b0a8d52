//! Transactions over the check's own socket: requests are repeated and challenges answered, requests of the carrier are
//! answered and noted, and every wait has an end.

use super::observation::{Authentication, Exchange, ExchangeOutcome, Reply};
use super::sip_connection::SipConnection;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use trunkline_signaling::sip::digest::{DigestChallenge, DigestClientSession, DigestCredentials};
use trunkline_signaling::sip::message::parse::ParsedMessage;
use trunkline_signaling::sip::message::scan::param;
use trunkline_signaling::sip::message::{HeaderName, Headers, Method, Request, Response, SipMessage, print};

/// First repetition of a request over UDP (T1), and the longest distance (T2).
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// Messages that wait for another transaction.
const UNCLAIMED_MAX: usize = 64;
/// Remembered ACKs, answers and requests.
const REMEMBERED_MAX: usize = 32;

/// Why a wait did not end with a message or its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// Ctrl-C.
    Interrupted,
    /// The check as a whole took too long.
    TimeUp,
    Lost(String),
}

/// A request that is on its way.
pub(super) struct Pending {
    branch: String,
    bytes: Vec<u8>,
    is_invite: bool,
    sent_at: Instant,
    repeat_at: Option<Instant>,
    interval: Duration,
    ack: Option<Vec<u8>>,
}

/// What waits end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineMode {
    /// Ctrl-C and the end of the check's time end every wait.
    Checking,
    /// Calls are being ended: only the time of each step counts.
    CleaningUp,
}

/// The line to the carrier.
pub(super) struct SipLine {
    connection: SipConnection,
    credentials: Option<DigestCredentials>,
    stop: watch::Receiver<bool>,
    deadline: Instant,
    mode: LineMode,
    unclaimed: VecDeque<Response>,
    /// ACKs of final responses to INVITEs, by Call-ID and CSeq: a repeated response gets it again.
    acks: VecDeque<(String, u32, Vec<u8>)>,
    /// Answers by the branch of their request.
    answered: VecDeque<(String, Vec<u8>)>,
    /// The call that goes on, and what the carrier wants in it.
    pub call: Option<CurrentCall>,
}

/// Answers an offer of the carrier.
pub type AnswerOffer = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// The call that goes on, as far as the carrier's requests concern it.
pub(super) struct CurrentCall {
    pub call_id: String,
    pub contact: String,
    /// Requests of the carrier in their order.
    pub requests: Vec<Request>,
    /// How a new offer is answered; `None` before the answer.
    pub answer: Option<AnswerOffer>,
    pub hung_up: Option<(Instant, Option<String>)>,
}

impl SipLine {
    pub(super) fn new(
        connection: SipConnection, credentials: Option<DigestCredentials>, stop: watch::Receiver<bool>,
        deadline: Instant,
    ) -> Self {
        Self {
            connection,
            credentials,
            stop,
            deadline,
            mode: LineMode::Checking,
            unclaimed: VecDeque::new(),
            acks: VecDeque::new(),
            answered: VecDeque::new(),
            call: None,
        }
    }

    /// From here on nothing but the time of each step ends a wait. Returns the mode before.
    pub(super) fn clean_up(&mut self) -> LineMode {
        std::mem::replace(&mut self.mode, LineMode::CleaningUp)
    }

    pub(super) fn set_mode(&mut self, mode: LineMode) {
        self.mode = mode;
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.connection.send(bytes).await.map_err(|error| LineError::Lost(error.to_string()))
    }

    /// Sends a request that has a Via.
    pub(super) async fn start(&mut self, request: &Request) -> Result<Pending, LineError> {
        let bytes = print::request(request);
        let is_invite = request.method == Method::Invite;
        let now = Instant::now();
        let repeats = !self.connection.transport.is_reliable();
        let pending = Pending {
            branch: request.headers.branch().unwrap_or_default().to_owned(),
            ack: is_invite.then(|| print::request(&ack_of_refusal(request, None))),
            bytes,
            is_invite,
            sent_at: now,
            repeat_at: repeats.then(|| now + T1),
            interval: T1,
        };
        self.send(&pending.bytes).await?;
        Ok(pending)
    }

    /// Sends an ACK, which has no answer, and again for each repetition of its 200.
    pub(super) async fn acknowledge(&mut self, ack: &Request) -> Result<(), LineError> {
        let bytes = print::request(ack);
        let number = ack.headers.cseq().map_or(0, |cseq| cseq.number);
        remember(&mut self.acks, (ack.headers.call_id().to_owned(), number, bytes.clone()));
        self.send(&bytes).await
    }

    /// The next response to a request; `None` if none comes until then. A refusal of an INVITE is acknowledged.
    pub(super) async fn response(
        &mut self, pending: &mut Pending, until: Instant,
    ) -> Result<Option<Response>, LineError> {
        loop {
            let claimed = |response: &Response| response.headers.branch() == Some(pending.branch.as_str());
            if let Some(at) = self.unclaimed.iter().position(claimed)
                && let Some(response) = self.unclaimed.remove(at)
            {
                if pending.is_invite || response.status >= 200 {
                    pending.repeat_at = None;
                }
                if pending.is_invite && response.status >= 300 {
                    self.acknowledge_refusal(pending, &response).await?;
                }
                return Ok(Some(response));
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            if let Some(at) = pending.repeat_at.filter(|at| *at <= now) {
                pending.interval = (pending.interval * 2).min(if pending.is_invite { T2 * 4 } else { T2 });
                pending.repeat_at = Some(at + pending.interval);
                let bytes = pending.bytes.clone();
                self.send(&bytes).await?;
            }
            self.wait(pending.repeat_at.map_or(until, |at| at.min(until))).await?;
        }
    }

    async fn acknowledge_refusal(&mut self, pending: &Pending, response: &Response) -> Result<(), LineError> {
        let Some(ack) = &pending.ack else { return Ok(()) };
        let text = String::from_utf8_lossy(ack).into_owned();
        let to = response.headers.get(&HeaderName::To).unwrap_or_default();
        let lines =
            text.split("\r\n").map(|line| if line.starts_with("To:") { format!("To: {to}") } else { line.to_owned() });
        let bytes = lines.collect::<Vec<String>>().join("\r\n").into_bytes();
        let number = response.headers.cseq().map_or(0, |cseq| cseq.number);
        remember(&mut self.acks, (response.headers.call_id().to_owned(), number, bytes.clone()));
        self.send(&bytes).await
    }

    /// Waits for one message, at most until then, and deals with it.
    pub(super) async fn wait(&mut self, until: Instant) -> Result<(), LineError> {
        let checking = self.mode == LineMode::Checking;
        let bound = if checking { until.min(self.deadline) } else { until };
        if checking && *self.stop.borrow() {
            return Err(LineError::Interrupted);
        }
        if checking && Instant::now() >= self.deadline {
            return Err(LineError::TimeUp);
        }
        let received = tokio::select! {
            received = self.connection.receive() => received.map_err(|error| LineError::Lost(error.to_string()))?,
            changed = self.stop.changed(), if checking => {
                return if changed.is_ok() { Err(LineError::Interrupted) } else { tokio::time::sleep_until(bound).await; Ok(()) };
            }
            () = tokio::time::sleep_until(bound) => return Ok(()),
        };
        match received {
            ParsedMessage::Message(SipMessage::Response(response)) => self.take_response(response).await,
            ParsedMessage::Message(SipMessage::Request(request)) => self.take_request(request).await,
            ParsedMessage::KeepAlive { .. } | ParsedMessage::Invalid { .. } | ParsedMessage::Unparseable(_) => Ok(()),
        }
    }

    /// Waits so long, whatever comes; ends early when the peer hangs up.
    pub(super) async fn pass(&mut self, time: Duration) -> Result<(), LineError> {
        let until = Instant::now() + time;
        while Instant::now() < until && self.call.as_ref().is_none_or(|call| call.hung_up.is_none()) {
            self.wait(until).await?;
        }
        Ok(())
    }

    async fn take_response(&mut self, response: Response) -> Result<(), LineError> {
        let number = response.headers.cseq().filter(|cseq| cseq.method == "INVITE").map(|cseq| cseq.number);
        let call_id = response.headers.call_id();
        let known = self.acks.iter().find(|(id, n, _)| id == call_id && Some(*n) == number && response.status >= 200);
        if let Some((.., ack)) = known {
            let ack = ack.clone();
            return self.send(&ack).await;
        }
        if self.unclaimed.len() < UNCLAIMED_MAX {
            self.unclaimed.push_back(response);
        }
        Ok(())
    }

    async fn take_request(&mut self, request: Request) -> Result<(), LineError> {
        let key = format!("{} {}", request.headers.branch().unwrap_or_default(), request.method.as_str());
        if request.method == Method::Ack {
            return Ok(());
        }
        if let Some((_, answer)) = self.answered.iter().find(|(branch, _)| *branch == key) {
            let answer = answer.clone();
            return self.send(&answer).await;
        }
        let ours = self.call.as_mut().filter(|call| call.call_id == request.headers.call_id());
        let response = match ours {
            Some(call) => call.handle(request),
            None => {
                let status = match request.method {
                    Method::Options => 200,
                    Method::Invite => 486,
                    _ => 481,
                };
                Response::to_request(&request.headers, status, Some("check"))
            }
        };
        let bytes = print::response(&response);
        remember(&mut self.answered, (key, bytes.clone()));
        self.send(&bytes).await
    }

    /// Sends a request until it has a final response, answers a challenge, and says what came of it.
    pub(super) async fn exchange(
        &mut self, request: &mut Request, wait: Duration, new_branch: impl Fn(&Self) -> String,
    ) -> Result<(Exchange, Option<Response>), LineError> {
        let mut exchange = Exchange::default();
        let begun = Instant::now();
        loop {
            let mut pending = self.start(request).await?;
            let mut last = None;
            while let Some(response) = self.response(&mut pending, begun + wait).await? {
                if response.status >= 200 {
                    last = Some(response);
                    break;
                }
            }
            let Some(response) = last else {
                exchange.outcome = ExchangeOutcome::NoAnswer;
                return Ok((exchange, None));
            };
            note_reply(&mut exchange, &response, pending.sent_at);
            if !self.answer_challenge(&mut exchange.authentication, request, &response) {
                return Ok((exchange, Some(response)));
            }
            let via = new_branch(self);
            begin_again(request, via);
        }
    }

    /// Adds credentials to a request that was challenged; false if it is not to be sent again.
    pub(super) fn answer_challenge(
        &self, seen: &mut Authentication, request: &mut Request, response: &Response,
    ) -> bool {
        let (asks, answers) = match response.status {
            401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            407 => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
            _ => return false,
        };
        let all: Vec<DigestChallenge> = response.headers.all(&asks).flat_map(DigestChallenge::parse_all).collect();
        let Some(best) = all.into_iter().max_by_key(|challenge| challenge.algorithm) else {
            let challenge = response.headers.get(&asks).unwrap_or("no challenge").split(',').next().unwrap_or("");
            *seen = Authentication::NotUnderstood { challenge: challenge.to_owned() };
            return false;
        };
        let realm = best.realm.clone();
        let Some(credentials) = &self.credentials else {
            *seen = Authentication::NoCredentials { realm };
            return false;
        };
        let is_repeated = request.headers.get(&answers).is_some();
        if is_repeated && !best.stale || matches!(seen, Authentication::Repeated { .. }) {
            *seen = Authentication::Repeated { realm };
            return false;
        }
        let mut session = DigestClientSession::new(best, format!("{:016x}", rand::random::<u64>()));
        let value = session.authorize(credentials, request.method.as_str(), &request.uri.to_string());
        request.headers.set(answers, value);
        *seen = if is_repeated { Authentication::Repeated { realm } } else { Authentication::Answered { realm } };
        true
    }
}

/// A new transaction for the same request: another Via and the next CSeq.
pub(super) fn begin_again(request: &mut Request, via: String) {
    request.headers.set(HeaderName::Via, via);
    let number = request.headers.cseq().map_or(1, |cseq| cseq.number + 1);
    request.headers.set(HeaderName::CSeq, format!("{number} {}", request.method.as_str()));
}

impl CurrentCall {
    fn handle(&mut self, request: Request) -> Response {
        let mut response = Response::to_request(&request.headers, 200, Some("check"));
        match request.method {
            Method::Bye => {
                let reason = request.headers.get(&HeaderName::Reason).map(str::to_owned);
                self.hung_up.get_or_insert((Instant::now(), reason));
            }
            Method::Invite | Method::Update => {
                response.headers.push(HeaderName::Contact, self.contact.as_str());
                match &mut self.answer {
                    Some(answer) if request.method == Method::Invite || !request.body.is_empty() => {
                        response.body = answer(&request.body);
                        response.headers.push(HeaderName::ContentType, "application/sdp");
                    }
                    Some(_) => {}
                    None => response.status = 491,
                }
                if let Some(interval) = request.headers.get(&HeaderName::SessionExpires) {
                    response.headers.push(HeaderName::SessionExpires, interval);
                    response.headers.push(HeaderName::Require, "timer");
                }
            }
            Method::Info | Method::Notify | Method::Options | Method::Message => {}
            Method::Refer => (response.status, response.reason) = (603, "Decline".to_owned()),
            _ => (response.status, response.reason) = (405, "Method Not Allowed".to_owned()),
        }
        if self.requests.len() < REMEMBERED_MAX {
            self.requests.push(request);
        }
        response
    }
}

fn remember<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() >= REMEMBERED_MAX {
        list.pop_front();
    }
    list.push_back(one);
}

/// The ACK of a refusal goes the way of the INVITE (RFC 3261 section 17.1.1.3).
fn ack_of_refusal(invite: &Request, to: Option<&str>) -> Request {
    let mut headers = Headers::default();
    for name in [HeaderName::Via, HeaderName::Route, HeaderName::MaxForwards, HeaderName::From] {
        invite.headers.all(&name).for_each(|value| headers.push(name.clone(), value));
    }
    headers.push(HeaderName::To, to.or(invite.headers.get(&HeaderName::To)).unwrap_or_default());
    headers.push(HeaderName::CallId, invite.headers.call_id());
    headers.push(HeaderName::CSeq, format!("{} ACK", invite.headers.cseq().map_or(1, |cseq| cseq.number)));
    Request { method: Method::Ack, uri: invite.uri.clone(), headers, body: Vec::new() }
}

/// Takes what matters of a final response.
pub(super) fn note_reply(exchange: &mut Exchange, response: &Response, sent_at: Instant) {
    let headers = &response.headers;
    let first = |names: [HeaderName; 2]| names.iter().find_map(|name| headers.get(name)).map(shorten);
    let list = |name: &HeaderName| headers.list(name).map(|one| one.trim().to_owned()).take(64).collect::<Vec<_>>();
    exchange.outcome = ExchangeOutcome::Answered(Reply {
        status: response.status,
        reason: shorten(&response.reason),
        explanation: first([HeaderName::Warning, HeaderName::Reason]),
        software: first([HeaderName::Server, HeaderName::UserAgent]),
        allow: headers.get(&HeaderName::Allow).map(|_| list(&HeaderName::Allow)),
        supported: list(&HeaderName::Supported),
        after_ms: sent_at.elapsed().as_millis() as u64,
    });
    if let Some(via) = headers.top_via() {
        let received = param(&via.params, "received").map_or(via.host.as_str(), |value| value);
        let port = param(&via.params, "rport").and_then(|port| port.parse().ok()).or(via.port);
        let ip = received.trim_matches(['[', ']']).parse().ok();
        exchange.seen_as = ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, port));
    }
}

/// Texts of the carrier go to a terminal: they are cut, without control characters.
pub(super) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
