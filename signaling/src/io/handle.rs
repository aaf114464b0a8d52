//! What the rest of the program holds of the endpoint: commands to its task.

use super::driver::Snapshot;
use crate::sip::endpoint::{CallId, Event, Invite, Refusal, RegistrationRule, TrunkRule};
use std::net::SocketAddr;
use tokio::sync::{mpsc, oneshot};

#[derive(Debug)]
pub(super) enum Command {
    Invite { invite: Box<Invite>, reply: oneshot::Sender<Result<(CallId, mpsc::Receiver<Event>), Refusal>> },
    Options { probe: Box<Invite>, reply: oneshot::Sender<mpsc::Receiver<Event>> },
    Progress { call: CallId, status: u16, sdp: Option<Vec<u8>> },
    Answer { call: CallId, sdp: Vec<u8> },
    Reject { call: CallId, status: u16, retry_after_s: Option<u32> },
    HangUp { call: CallId },
    AnswerReoffer { call: CallId, sdp: Option<Vec<u8>> },
    Info { call: CallId, content_type: &'static str, body: Vec<u8> },
    Refer { call: CallId, target: String },
    AnswerRefer { call: CallId, accept: bool },
    NotifyRefer { call: CallId, status: u16 },
    Reoffer { call: CallId, sdp: Vec<u8> },
    Acknowledge { call: CallId, sdp: Option<Vec<u8>> },
    Take { call: CallId, reply: oneshot::Sender<Option<mpsc::Receiver<Event>>> },
    SetRegistrations { rules: Vec<RegistrationRule> },
    SetTrunks { trunks: Vec<TrunkRule>, done: oneshot::Sender<()> },
    SetCallsMax { calls_max: usize, done: oneshot::Sender<()> },
    Snapshot { reply: oneshot::Sender<Snapshot> },
}

/// Sends commands to the endpoint. Commands that no longer fit the state of their call are dropped:
/// the call's owner learns its state from the events.
#[derive(Clone, Debug)]
pub struct SipHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) local: Local,
}

/// Where the endpoint listens.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub tls: Option<SocketAddr>,
    pub ws: Option<SocketAddr>,
}

impl SipHandle {
    pub fn local(&self) -> Local {
        self.local
    }

    pub fn local_udp(&self) -> SocketAddr {
        self.local.udp
    }

    pub fn local_tcp(&self) -> SocketAddr {
        self.local.tcp
    }

    pub async fn invite(&self, invite: Invite) -> Result<(CallId, mpsc::Receiver<Event>), Refusal> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Invite { invite: Box::new(invite), reply };
        self.commands.try_send(command).map_err(|_| Refusal::Overload)?;
        answer.await.unwrap_or(Err(Refusal::Overload))
    }

    /// Asks whether somebody is there: the status of the answer, none without one (after 32 seconds at most).
    pub async fn options(&self, probe: Invite) -> Option<u16> {
        let (reply, events) = oneshot::channel();
        self.commands.try_send(Command::Options { probe: Box::new(probe), reply }).ok()?;
        match events.await.ok()?.recv().await {
            Some(Event::Probed { status, .. }) => status,
            _ => None,
        }
    }

    pub async fn progress(&self, call: CallId, status: u16, sdp: Option<Vec<u8>>) {
        self.send(Command::Progress { call, status, sdp }).await;
    }

    pub async fn answer(&self, call: CallId, sdp: Vec<u8>) {
        self.send(Command::Answer { call, sdp }).await;
    }

    pub async fn reject(&self, call: CallId, status: u16, retry_after_s: Option<u32>) {
        self.send(Command::Reject { call, status, retry_after_s }).await;
    }

    pub async fn hang_up(&self, call: CallId) {
        self.send(Command::HangUp { call }).await;
    }

    pub async fn answer_reoffer(&self, call: CallId, sdp: Option<Vec<u8>>) {
        self.send(Command::AnswerReoffer { call, sdp }).await;
    }

    pub async fn info(&self, call: CallId, content_type: &'static str, body: Vec<u8>) {
        self.send(Command::Info { call, content_type, body }).await;
    }

    /// Asks the peer to call somebody else; the outcome comes as events.
    pub async fn refer(&self, call: CallId, target: String) {
        self.send(Command::Refer { call, target }).await;
    }

    /// Takes or declines the transfer the peer asks for.
    pub async fn answer_refer(&self, call: CallId, accept: bool) {
        self.send(Command::AnswerRefer { call, accept }).await;
    }

    /// Tells the peer how the transfer it asked for goes.
    pub async fn notify_refer(&self, call: CallId, status: u16) {
        self.send(Command::NotifyRefer { call, status }).await;
    }

    /// Offers other media; the outcome comes as an event.
    pub async fn reoffer(&self, call: CallId, sdp: Vec<u8>) {
        self.send(Command::Reoffer { call, sdp }).await;
    }

    /// The answer to the offer that came with the peer's 200.
    pub async fn acknowledge(&self, call: CallId, sdp: Option<Vec<u8>>) {
        self.send(Command::Acknowledge { call, sdp }).await;
    }

    /// The events of a call that wants to take another's place.
    pub async fn take(&self, call: CallId) -> Option<mpsc::Receiver<Event>> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Take { call, reply }).await;
        answer.await.ok()?
    }

    /// With whom we are registered from now on.
    pub async fn set_registrations(&self, rules: Vec<RegistrationRule>) {
        self.send(Command::SetRegistrations { rules }).await;
    }

    /// Calls over this number are answered 503; 0 while the server drains.
    pub async fn set_calls_max(&self, calls_max: usize) {
        let (done, applied) = oneshot::channel();
        self.send(Command::SetCallsMax { calls_max, done }).await;
        let _ = applied.await;
    }

    /// Who may call in; holds for every request read after this returns.
    pub async fn set_trunks(&self, trunks: Vec<TrunkRule>) {
        let (done, applied) = oneshot::channel();
        self.send(Command::SetTrunks { trunks, done }).await;
        let _ = applied.await;
    }

    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Snapshot { reply }).await;
        answer.await.ok()
    }

    async fn send(&self, command: Command) {
        // The driver ends only with the process; a closed queue means that we are shutting down.
        let _ = self.commands.send(command).await;
    }
}
