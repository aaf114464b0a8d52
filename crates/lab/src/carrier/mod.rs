//! A carrier with faults that tests choose: the far end of `trunkline check-trunk`. It has its own packets and its own
//! answers, so that it does not share the check's mistakes.

mod behavior;
mod media;
mod registrar;
mod transfer;

pub use behavior::{CalleeAnswer, CalleeAudio, CarrierBehavior, CarrierSrtp};
use media::CarrierMedia;
use registrar::Registrar;
use secrecy::SecretString;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use trunkline_signaling::sdp::crypto::CryptoLine;
use trunkline_signaling::sdp::{MediaDescription, MediaDirection, parse as sdp};
use trunkline_signaling::sip::digest::{self, DigestCheck, DigestCredentials};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::{HeaderName, Method, Request, Response, SipMessage, print};

const REALM: &str = "carrier";
/// Number of the response that PRACK acknowledges.
const RSEQ: u32 = 7;
/// Between the responses to an INVITE.
const RINGING: Duration = Duration::from_millis(600);
/// Received datagrams are not longer.
const DATAGRAM_BYTES_MAX: usize = 8_192;

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallProgress {
    Ringing,
    /// PRACK has come for the reliable response.
    Acknowledged,
    Answered,
}

/// What is described to the caller.
#[derive(Clone)]
struct CarrierStream {
    /// Codec and payload type.
    codec: (String, u8),
    port: u16,
    /// Profile of the offer, and the key that is taken.
    security: Option<(String, CryptoLine)>,
}

/// A call at the carrier.
struct CarrierCall {
    invite: Request,
    media: CarrierMedia,
    stream: CarrierStream,
    progress: CallProgress,
}

type Calls = Arc<Mutex<HashMap<String, CarrierCall>>>;

fn lock(calls: &Calls) -> MutexGuard<'_, HashMap<String, CarrierCall>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running carrier on loopback; ends with this value.
pub struct Carrier {
    addr: SocketAddr,
    calls: Calls,
    dialed: Arc<AtomicUsize>,
    registrar: Registrar,
    task: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Carrier {
    /// Starts a carrier on a free UDP port.
    ///
    /// # Errors
    ///
    /// No port could be bound.
    pub async fn start(behavior: CarrierBehavior) -> std::io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).await?);
        let addr = socket.local_addr()?;
        let (calls, dialed) = (Calls::default(), Arc::<AtomicUsize>::default());
        let (behavior, registrar) = (Arc::new(behavior), Registrar::default());
        let (taken, seen, registered) = (calls.clone(), dialed.clone(), registrar.clone());
        let desk = Desk { socket, behavior, calls: taken, dialed: seen, registrar: registered, addr };
        Ok(Self { addr, calls, dialed, registrar, task: tokio::spawn(desk.run()) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Calls that ring or go on.
    pub fn open_calls(&self) -> usize {
        lock(&self.calls).len()
    }

    /// Calls that it took so far.
    pub fn dialed(&self) -> usize {
        self.dialed.load(Ordering::Relaxed)
    }

    /// Contacts that are registered now.
    pub fn registered(&self) -> usize {
        self.registrar.contacts()
    }

    /// How often a registration was granted.
    pub fn registrations(&self) -> usize {
        self.registrar.granted()
    }
}

#[derive(Clone)]
struct Desk {
    socket: Arc<UdpSocket>,
    behavior: Arc<CarrierBehavior>,
    calls: Calls,
    dialed: Arc<AtomicUsize>,
    registrar: Registrar,
    addr: SocketAddr,
}

impl Desk {
    async fn run(self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer).await {
            let message = parse::datagram(buffer.get(..len).unwrap_or_default());
            if let ParsedMessage::Message(SipMessage::Request(request)) = message {
                self.take(request, from).await;
            }
        }
    }

    async fn respond(&self, response: &Response, to: SocketAddr) {
        let _ = self.socket.send_to(&print::response(response), to).await;
    }

    fn response(&self, request: &Request, status: u16) -> Response {
        let mut response = Response::to_request(&request.headers, status, Some("callee"));
        response.headers.push(HeaderName::Contact, format!("<sip:carrier@{}>", self.addr));
        response.headers.push(HeaderName::Allow, self.behavior.allow);
        response.headers.push(HeaderName::Server, "unpleasant");
        response
    }

    async fn take(&self, request: Request, from: SocketAddr) {
        let call_id = request.headers.call_id().to_owned();
        let response = match request.method {
            Method::Ack => return,
            Method::Invite if request.headers.to_tag().is_none() => return self.invite(request, from).await,
            Method::Invite => self.reinvite(&request),
            Method::Register => match self.challenge(&request) {
                Some(challenge) => challenge,
                None => self.registrar.register(&request, self.behavior.min_expires_s),
            },
            Method::Prack => self.prack(&request),
            Method::Refer => {
                self.transfer(&request, from);
                self.response(&request, 202)
            }
            Method::Cancel => {
                let ringing = |call: &CarrierCall| call.progress != CallProgress::Answered;
                if let Some(call) = lock(&self.calls).remove(&call_id).filter(ringing) {
                    let refusal = self.response(&call.invite, 487);
                    let desk = self.clone();
                    tokio::spawn(async move { desk.respond(&refusal, from).await });
                }
                self.response(&request, 200)
            }
            Method::Bye => {
                lock(&self.calls).remove(&call_id);
                if self.behavior.ignores_bye {
                    return;
                }
                self.response(&request, 200)
            }
            _ => self.response(&request, 200),
        };
        self.respond(&response, from).await;
    }

    /// Refuses, or rings and answers.
    async fn invite(&self, request: Request, from: SocketAddr) {
        let call_id = request.headers.call_id().to_owned();
        if lock(&self.calls).contains_key(&call_id) {
            return; // a repetition
        }
        let set_up = match self.refusal(&request) {
            Some(refusal) => Err(refusal),
            None => self.set_up(&request).ok_or_else(|| self.response(&request, 488)),
        };
        match set_up {
            Err(refusal) => self.respond(&refusal, from).await,
            Ok(call) => {
                self.dialed.fetch_add(1, Ordering::Relaxed);
                let stream = call.stream.clone();
                lock(&self.calls).insert(call_id.clone(), call);
                let desk = self.clone();
                tokio::spawn(async move { desk.ring(request, from, &stream).await });
            }
        }
    }

    /// A challenge, unless the request has the account's credentials.
    fn challenge(&self, request: &Request) -> Option<Response> {
        let (username, password) = self.behavior.account?;
        let keyed =
            |bytes: &[u8]| format!("{:x}", bytes.iter().fold(7u64, |hash, b| hash.wrapping_mul(31) + u64::from(*b)));
        let credentials = DigestCredentials { username: username.to_owned(), password: SecretString::from(password) };
        let is_proven = request.headers.get(&HeaderName::Authorization).is_some_and(|proof| {
            let check = digest::verify(proof, &credentials, REALM, request.method.as_str(), 1, keyed);
            matches!(check, DigestCheck::Verified(_))
        });
        if is_proven {
            return None;
        }
        let mut challenge = self.response(request, 401);
        let nonce = digest::nonce(1, "x", b"peer", keyed);
        let value = format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"");
        challenge.headers.push(HeaderName::WwwAuthenticate, value);
        Some(challenge)
    }

    fn refusal(&self, request: &Request) -> Option<Response> {
        if let Some(challenge) = self.challenge(request) {
            return Some(challenge);
        }
        let asked_s = request.headers.number(&HeaderName::SessionExpires).unwrap_or(u32::MAX);
        if asked_s < self.behavior.min_se_s {
            let mut refusal = self.response(request, 422);
            refusal.headers.push(HeaderName::MinSe, self.behavior.min_se_s.to_string());
            return Some(refusal);
        }
        let has_keys = String::from_utf8_lossy(&request.body).contains("a=crypto:");
        (has_keys && self.behavior.srtp == CarrierSrtp::Refused).then(|| self.response(request, 488))
    }

    /// The call, if a codec fits.
    fn set_up(&self, request: &Request) -> Option<CarrierCall> {
        let line = audio_line(&request.body)?;
        let format = line.formats.iter().find(|format| self.behavior.codecs.contains(&format.encoding.as_str()))?;
        let codec = (format.encoding.clone(), format.payload_type);
        let target = SocketAddr::new(line.addr?, line.port);
        let media = CarrierMedia::open(&self.behavior, target, codec.1).ok()?;
        let taken = line.crypto.first().filter(|_| self.behavior.srtp == CarrierSrtp::Taken);
        let security = taken.map(|key| (line.protocol.clone(), *key));
        let stream = CarrierStream { codec, port: media.port(), security };
        Some(CarrierCall { invite: request.clone(), media, stream, progress: CallProgress::Ringing })
    }

    fn description(&self, stream: &CarrierStream, direction: MediaDirection) -> Vec<u8> {
        let CarrierStream { codec: (name, number), port, security } = stream;
        let mut key = String::new();
        if let Some((_, line)) = security {
            line.print(&mut key);
        }
        let profile = security.as_ref().map_or("RTP/AVP", |(profile, _)| profile);
        let event = self.behavior.event_payload_type;
        let (list, map) = match event {
            0 => (String::new(), String::new()),
            event => (format!(" {event}"), format!("a=rtpmap:{event} telephone-event/8000\r\n")),
        };
        let (ptime_ms, direction) = (self.behavior.ptime_ms, direction.name());
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} {profile} {number}{list}\r\n\
             a=rtpmap:{number} {name}/8000\r\n{map}{key}a=ptime:{ptime_ms}\r\na={direction}\r\n"
        )
        .into_bytes()
    }

    async fn ring(&self, request: Request, from: SocketAddr, stream: &CarrierStream) {
        let call_id = request.headers.call_id().to_owned();
        let describe = |response: &mut Response| {
            response.headers.push(HeaderName::ContentType, "application/sdp");
            response.body = self.description(stream, MediaDirection::SendRecv);
        };
        let is_early = self.behavior.answer == CalleeAnswer::AfterEarlyMedia;
        let mut ringing = self.response(&request, if is_early { 183 } else { 180 });
        if is_early {
            describe(&mut ringing);
            lock(&self.calls).values().for_each(|call| call.media.start());
        }
        if self.behavior.is_reliable {
            ringing.headers.push(HeaderName::Require, "100rel");
            ringing.headers.push(HeaderName::RSeq, RSEQ.to_string());
        }
        self.respond(&ringing, from).await;
        if self.behavior.answer == CalleeAnswer::Never {
            return;
        }
        tokio::time::sleep(RINGING).await;
        let is_there = match lock(&self.calls).get_mut(&call_id) {
            Some(call) if !self.behavior.is_reliable || call.progress == CallProgress::Acknowledged => {
                call.progress = CallProgress::Answered;
                call.media.start();
                true
            }
            _ => false,
        };
        if is_there {
            let mut answer = self.response(&request, 200);
            if let Some(expires) = request.headers.get(&HeaderName::SessionExpires) {
                answer.headers.push(HeaderName::SessionExpires, format!("{expires};refresher=uac"));
            }
            answer.headers.push(HeaderName::Supported, "timer, replaces");
            describe(&mut answer);
            self.respond(&answer, from).await;
        }
    }

    /// The PRACK of the one reliable response. Without it nobody answers.
    fn prack(&self, request: &Request) -> Response {
        let mut calls = lock(&self.calls);
        let waiting = calls.get_mut(request.headers.call_id()).filter(|call| {
            let number = call.invite.headers.cseq().map_or(0, |cseq| cseq.number);
            let is_reliable = self.behavior.is_reliable && call.progress == CallProgress::Ringing;
            is_reliable
                && request.headers.get(&HeaderName::RAck).is_some_and(|rack| rack == format!("{RSEQ} {number} INVITE"))
        });
        match waiting {
            Some(call) => {
                call.progress = CallProgress::Acknowledged;
                self.response(request, 200)
            }
            None => self.response(request, 481),
        }
    }

    fn reinvite(&self, request: &Request) -> Response {
        let calls = lock(&self.calls);
        let Some(call) = calls.get(request.headers.call_id()) else { return self.response(request, 481) };
        if self.behavior.refuses_hold {
            return self.response(request, 488);
        }
        let theirs = audio_line(&request.body).map_or(MediaDirection::SendRecv, |line| line.direction);
        let direction = theirs.reversed();
        call.media.set_sending(direction.sends());
        let mut answer = self.response(request, 200);
        answer.headers.push(HeaderName::ContentType, "application/sdp");
        answer.body = self.description(&call.stream, direction);
        answer
    }
}

fn audio_line(body: &[u8]) -> Option<MediaDescription> {
    let description = sdp::session_description(body).ok()?;
    description.media.into_iter().find(|line| line.kind == "audio")
}
