//! Services that fail, stall and come back while a caller speaks, in virtual time: no word is lost, and none comes twice.

mod counts;
mod last_one;
mod refusals;

use super::*;
use crate::stt::{SttProtocol, SttSessionConfig, SttSocket, SttVendor};
use crate::transport::WebSocketRequest;
use crate::{Deadlines, LocalTtsPrograms, OrganizationKeys, ProviderAccess, ProviderSettings, StageDeadlines};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use trunkline_domain::provider::ProviderAccount;

const MS: Duration = Duration::from_millis(1);
/// A code of silence; every other code is a word.
const SILENCE: u8 = 0xFF;

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It hears, and has final words so long after the end of speech.
    Hears(Duration),
    /// Nobody answers at its address.
    Refuses,
    /// It refuses the key.
    Unauthorized,
    /// It, or a gateway before it, refuses the connection with this status.
    Status(u16),
    /// The same for the first connection alone.
    StatusOnce(u16),
    /// It takes everything and says nothing.
    Mute,
    /// It says that it lives, and has no words.
    Wordless,
    /// It says the first word, and is gone.
    Breaks,
}

/// A service whose words are the codes that it heard.
#[derive(Debug)]
struct Service {
    mode: Mutex<Mode>,
    connections: AtomicU32,
}

impl Service {
    fn new(mode: Mode) -> &'static Self {
        Box::leak(Box::new(Self { mode: Mutex::new(mode), connections: AtomicU32::new(0) }))
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }
}

impl SttVendor for Service {
    fn open(&self, _: &SttSessionConfig) -> Box<dyn SttProtocol> {
        Box::new(Wire)
    }

    fn connect<'a>(
        &'a self, _: &'a ProviderRegistry, _: &'a SttCandidate, _: &'a dyn SttProtocol,
    ) -> BoxFuture<'a, Result<SttSocket, ProviderError>> {
        Box::pin(async move {
            self.connections.fetch_add(1, Ordering::Relaxed);
            let mode = self.mode();
            match mode {
                Mode::Refuses => return Err(ProviderError::Unreachable("refused".to_owned())),
                Mode::Unauthorized => return Err(ProviderError::refused(401, "key")),
                Mode::Status(status) => return Err(ProviderError::refused(status, "no")),
                Mode::StatusOnce(status) => {
                    self.set(HEARS);
                    return Err(ProviderError::refused(status, "no"));
                }
                _ => {}
            }
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            drop(trunkline_supervision::spawn("fake_stt", listen(theirs, mode)));
            Ok(Box::new(WebSocketStream::from_raw_socket(ours, Role::Client, None).await) as SttSocket)
        })
    }
}

/// The far end of a connection, which keeps the mode in which it began. Silence of 200 ms ends an utterance.
async fn listen(stream: DuplexStream, mode: Mode) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let (mut heard, mut silent): (Vec<u8>, u32) = (Vec::new(), 0);
    if mode != Mode::Mute && socket.send(Message::text("hello")).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(codes) = message else { continue };
        let word = codes.first().copied().unwrap_or(SILENCE);
        silent = if word == SILENCE { silent + 1 } else { 0 };
        let is_new = word != SILENCE && heard.last() != Some(&word);
        heard.extend(is_new.then_some(word));
        let words = words(&heard);
        match mode {
            Mode::Hears(_) if is_new => drop(socket.send(Message::text(format!("interim {words}"))).await),
            Mode::Hears(after) if silent == 10 && !heard.is_empty() => {
                pass(after).await;
                heard.clear();
                drop(socket.send(Message::text(format!("final {words}"))).await);
            }
            Mode::Breaks if is_new => {
                drop(socket.send(Message::text(format!("interim {words}"))).await);
                return;
            }
            _ => {}
        }
    }
}

fn words(heard: &[u8]) -> String {
    heard.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
}

/// The clock stands still until nothing else is to be done.
async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

struct Wire;

impl SttProtocol for Wire {
    fn upgrade(&self, _: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        Err(ProviderError::NotConfigured)
    }

    fn initial_messages(&self) -> Vec<Message> {
        Vec::new()
    }

    fn audio(&mut self, codes: &[u8]) -> Option<Message> {
        Some(Message::Binary(Bytes::copy_from_slice(codes)))
    }

    fn keep_alive(&mut self) -> (Duration, Message) {
        (Duration::from_secs(3), Message::Binary(vec![SILENCE; 160].into()))
    }

    fn speech_ended_message(&mut self) -> Option<Message> {
        None
    }

    fn finalize(&mut self) -> Option<Message> {
        None
    }

    fn close(&mut self) -> Option<Message> {
        None
    }

    fn read(&mut self, text: &str) -> Result<SttUpdate, ProviderError> {
        let update = |event| SttUpdate { events: vec![event], settled_ms: None, span: None };
        Ok(match text.split_once(' ') {
            Some(("interim", words)) => update(SttEvent::Interim(words.to_owned())),
            // All that it has heard is settled.
            Some((_, words)) => SttUpdate {
                settled_ms: Some(u64::from(u32::MAX)),
                ..update(SttEvent::Final { text: words.to_owned(), confidence: None, speech_final: true })
            },
            None => SttUpdate::default(),
        })
    }
}

fn providers() -> ProviderRegistry {
    let deadline = Deadlines { connect: 3_000 * MS, first_byte: 4_000 * MS, between_bytes: 4_000 * MS };
    let timeouts = StageDeadlines { stt: deadline, llm: deadline, tts: deadline, realtime: deadline };
    let settings = ProviderSettings {
        timeouts,
        endpoints: ProviderAccount::ALL.iter().map(|account| access(*account)).collect(),
        programs: LocalTtsPrograms { espeak: String::new(), flite: String::new() },
        speech: crate::LocalSpeechSettings::default(),
        guard: trunkline_egress::EgressGuard::unrestricted(),
    };
    ProviderRegistry::new(settings).unwrap().of_organization("o", OrganizationKeys::Known(vec![]))
}

fn access(account: ProviderAccount) -> ProviderAccess {
    ProviderAccess {
        account,
        base_url: String::new(),
        api_key: None,
        api_version: String::new(),
        concurrency_max: 0,
        is_customer_server: false,
        blocked: None,
    }
}

fn candidate(service: &'static Service, account: ProviderAccount, name: &str, is_last_resort: bool) -> SttCandidate {
    let setup = SttSessionConfig {
        model: "m".into(),
        language: "en".into(),
        keyterms: vec![],
        encoding: "mulaw",
        endpointing_ms: 300,
        eager: false,
    };
    SttCandidate { vendor: service, endpoint: access(account), setup, name: name.into(), is_last_resort }
}

/// A caller whose words are numbers, and what the call is told.
struct Caller {
    session: SttSession,
    next_word: u8,
    told: Vec<SttEvent>,
}

impl Caller {
    /// A vendor, and the model of this machine behind it.
    fn new(vendor: &'static Service, local: &'static Service) -> Self {
        let candidates = vec![
            candidate(vendor, ProviderAccount::Deepgram, "vendor", false),
            candidate(local, ProviderAccount::Local, "local", true),
        ];
        Self { session: open_stt_session(&providers(), candidates), next_word: 1, told: Vec::new() }
    }

    async fn frames(&mut self, code: u8, count: u32) {
        for _ in 0..count {
            let audio = SttInput::Audio(Bytes::from(vec![code; 160]));
            self.session.input.try_send(audio).unwrap();
            pass(20 * MS).await;
            while let Ok(event) = self.session.stream.events.try_recv() {
                self.told.push(event);
            }
        }
    }

    async fn silence(&mut self, time: Duration) {
        self.frames(SILENCE, (time.as_millis() / 20) as u32).await;
    }

    /// Three new words, 300 ms each, and silence; returns them, and the time from their end to the final words.
    async fn says_three_words(&mut self) -> (String, Option<Duration>) {
        self.session.input.try_send(SttInput::SpeechStarted).unwrap();
        let first = self.next_word;
        for word in first..first + 3 {
            self.frames(word, 15).await;
        }
        self.next_word += 3;
        self.silence(200 * MS).await;
        let silent = Instant::now();
        let before = self.finals().len();
        self.session.input.try_send(SttInput::SpeechEnded).unwrap();
        let mut after = None;
        for _ in 0..125 {
            self.silence(20 * MS).await;
            if after.is_none() && self.finals().len() > before {
                after = Some(silent.elapsed());
            }
        }
        (words(&[first, first + 1, first + 2]), after)
    }

    fn finals(&self) -> Vec<String> {
        let text = |event: &SttEvent| match event {
            SttEvent::Final { text, .. } if !text.is_empty() => Some(text.clone()),
            _ => None,
        };
        self.told.iter().filter_map(text).collect()
    }

    fn switches(&self) -> Vec<String> {
        let switch = |event: &SttEvent| match event {
            SttEvent::FailedOver(one) => Some(format!("{} {} {}", one.from, one.to, one.reason)),
            _ => None,
        };
        self.told.iter().filter_map(switch).collect()
    }
}

const HEARS: Mode = Mode::Hears(Duration::from_millis(100));

/// An outage of this kind from the first turn to the second; the third turn is the vendor's again.
async fn outage(mode: Mode, late_max: Duration) {
    let (vendor, local) = (Service::new(HEARS), Service::new(HEARS));
    let mut caller = Caller::new(vendor, local);
    let mut said = vec![caller.says_three_words().await.0];
    assert_eq!(local.connections.load(Ordering::Relaxed), 0, "{mode:?}");
    vendor.set(mode);
    // What is open breaks, or says nothing more: another connection is made, which is like the outage.
    caller.session.input.try_send(SttInput::Restart).unwrap();
    caller.silence(400 * MS).await;
    for turn in 0..2 {
        let (words, after) = caller.says_three_words().await;
        let after = after.unwrap_or_else(|| panic!("{mode:?} {turn}: {:?}", caller.told));
        assert!(after <= late_max, "{mode:?} {turn}: {after:?}");
        said.push(words);
    }
    vendor.set(HEARS);
    caller.silence(1_500 * MS).await;
    let (words, after) = caller.says_three_words().await;
    said.push(words);
    assert!(after.unwrap() <= 400 * MS, "{mode:?}: {after:?}");
    assert_eq!(caller.finals(), said, "{mode:?}: {:?}", caller.told);
    let switches = caller.switches();
    assert_eq!(switches.last().unwrap(), "local vendor recovered", "{mode:?}: {:?}", caller.told);
    assert_eq!(switches.len(), 2, "{mode:?}: {switches:?}");
    // The vendor has the call: the model of this machine does not hear it any more.
    let connections = local.connections.load(Ordering::Relaxed);
    said.push(caller.says_three_words().await.0);
    assert_eq!((caller.finals(), local.connections.load(Ordering::Relaxed)), (said, connections), "{mode:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_back_hears_the_next_turn() {
    outage(Mode::Refuses, 400 * MS).await;
    outage(Mode::Mute, 1_500 * MS).await;
    outage(Mode::Wordless, 1_500 * MS).await;
    outage(Mode::Breaks, 1_500 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_back_within_a_turn_hears_all_of_it() {
    let (vendor, local) = (Service::new(Mode::Refuses), Service::new(HEARS));
    let mut caller = Caller::new(vendor, local);
    let first = caller.says_three_words().await.0;
    // Tries are far apart by now, and the next is due while the caller speaks.
    caller.silence(40_000 * MS).await;
    caller.session.input.try_send(SttInput::SpeechStarted).unwrap();
    caller.frames(40, 80).await;
    vendor.set(HEARS);
    caller.frames(41, 900).await;
    caller.session.input.try_send(SttInput::SpeechEnded).unwrap();
    caller.silence(2_000 * MS).await;
    assert_eq!(caller.finals(), [first, "40 41".into()], "{:?}", caller.told);
    assert_eq!(caller.switches(), ["vendor local unreachable", "local vendor recovered"]);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_slower_than_the_model_of_this_machine_is_waited_for() {
    let (vendor, local) = (Service::new(Mode::Refuses), Service::new(HEARS));
    let mut caller = Caller::new(vendor, local);
    let first = caller.says_three_words().await.0;
    vendor.set(Mode::Hears(600 * MS));
    let (second, after) = caller.says_three_words().await;
    assert_eq!((caller.finals(), caller.switches().len()), (vec![first, second], 2), "{:?}", caller.told);
    assert!(after.unwrap() >= 500 * MS, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_comes_too_late_has_no_turn_and_says_nothing_twice() {
    let (vendor, local) = (Service::new(Mode::Refuses), Service::new(HEARS));
    let mut caller = Caller::new(vendor, local);
    let first = caller.says_three_words().await.0;
    vendor.set(Mode::Hears(1_200 * MS));
    let (second, after) = caller.says_three_words().await;
    assert_eq!((caller.finals(), caller.switches().len()), (vec![first, second], 1), "{:?}", caller.told);
    assert!(after.unwrap() <= 900 * MS, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_the_key_is_not_asked_again() {
    let (vendor, local) = (Service::new(Mode::Unauthorized), Service::new(HEARS));
    let mut caller = Caller::new(vendor, local);
    for _ in 0..6 {
        caller.says_three_words().await;
    }
    assert_eq!((caller.finals().len(), vendor.connections.load(Ordering::Relaxed)), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn tries_are_bounded_however_often_the_caller_speaks() {
    let (vendor, local) = (Service::new(Mode::Refuses), Service::new(HEARS));
    let mut caller = Caller::new(vendor, local);
    for _ in 0..200 {
        caller.session.input.try_send(SttInput::SpeechStarted).unwrap();
        caller.frames(SILENCE, 5).await;
    }
    let tries = vendor.connections.load(Ordering::Relaxed);
    assert!((5..=22).contains(&tries), "{tries} in 20 s");
}

#[tokio::test(start_paused = true)]
async fn a_mute_vendor_that_is_alone_is_not_left() {
    let vendor = Service::new(Mode::Mute);
    let candidates = vec![candidate(vendor, ProviderAccount::Deepgram, "vendor", false)];
    let session = open_stt_session(&providers(), candidates);
    let mut caller = Caller { session, next_word: 1, told: vec![] };
    caller.says_three_words().await;
    assert!(caller.told == [SttEvent::Ready], "the call asks the caller to repeat: {:?}", caller.told);
}
