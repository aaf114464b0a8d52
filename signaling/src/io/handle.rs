//! Handle of the SIP task: sends commands to it.

use super::driver::Snapshot;
use super::listener::StreamReports;
use crate::sip::endpoint::{CallId, Event, Invite, Refusal, RegistrationRule, TrunkKey, TrunkRule, TrunkRules};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

#[derive(Debug)]
pub(super) enum Command {
    Invite { invite: Box<Invite>, reply: oneshot::Sender<Result<(CallId, mpsc::Receiver<Event>), Refusal>> },
    Options { probe: Box<Invite>, reply: oneshot::Sender<Result<mpsc::Receiver<Event>, Refusal>> },
    Attend { call: CallId },
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
    SetTrunks { trunks: Arc<TrunkRules>, done: oneshot::Sender<()> },
    ChooseTrunk { call: CallId, id: TrunkKey },
    RejectNumber { call: CallId },
    SetCallsMax { calls_max: usize, done: oneshot::Sender<()> },
    Snapshot { reply: oneshot::Sender<Snapshot> },
    Check { reply: oneshot::Sender<u16> },
}

impl Command {
    /// The call of the command, if any.
    pub(super) fn call(&self) -> Option<CallId> {
        match self {
            Self::Progress { call, .. }
            | Self::Answer { call, .. }
            | Self::Reject { call, .. }
            | Self::HangUp { call }
            | Self::AnswerReoffer { call, .. }
            | Self::Info { call, .. }
            | Self::Refer { call, .. }
            | Self::AnswerRefer { call, .. }
            | Self::NotifyRefer { call, .. }
            | Self::Reoffer { call, .. }
            | Self::Acknowledge { call, .. }
            | Self::ChooseTrunk { call, .. }
            | Self::Attend { call }
            | Self::RejectNumber { call }
            | Self::Take { call, .. } => Some(*call),
            Self::Invite { .. }
            | Self::Options { .. }
            | Self::SetRegistrations { .. }
            | Self::SetTrunks { .. }
            | Self::SetCallsMax { .. }
            | Self::Snapshot { .. }
            | Self::Check { .. } => None,
        }
    }
}

/// Sends commands to the endpoint. Commands that do not fit the state of their call are dropped; the owner follows the
/// state by events.
#[derive(Clone, Debug)]
pub struct SipHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) local: Local,
    pub(super) reports: StreamReports,
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

    /// What the listeners have counted.
    pub fn streams(&self) -> &StreamReports {
        &self.reports
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

    /// Sends OPTIONS and returns the status of the answer; `None` without an answer after
    /// [`PROBE_TIMEOUT`](crate::sip::endpoint::PROBE_TIMEOUT). Fails if too many probes are pending.
    pub async fn options(&self, probe: Invite) -> Result<Option<u16>, Refusal> {
        let (reply, events) = oneshot::channel();
        let command = Command::Options { probe: Box::new(probe), reply };
        self.commands.try_send(command).map_err(|_| Refusal::Overload)?;
        let mut events = events.await.unwrap_or(Err(Refusal::Overload))?;
        Ok(match events.recv().await {
            Some(Event::Probed { status, .. }) => status,
            _ => None,
        })
    }

    /// Marks the call as attended, so that a slow answer does not count as overload.
    pub async fn attend(&self, call: CallId) {
        self.send(Command::Attend { call }).await;
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

    /// Sends REFER; the outcome comes as events.
    pub async fn refer(&self, call: CallId, target: String) {
        self.send(Command::Refer { call, target }).await;
    }

    /// Accepts or declines a transfer the peer requested.
    pub async fn answer_refer(&self, call: CallId, accept: bool) {
        self.send(Command::AnswerRefer { call, accept }).await;
    }

    /// Notifies the peer of the progress of its transfer.
    pub async fn notify_refer(&self, call: CallId, status: u16) {
        self.send(Command::NotifyRefer { call, status }).await;
    }

    /// Sends a re-INVITE; the outcome comes as an event.
    pub async fn reoffer(&self, call: CallId, sdp: Vec<u8>) {
        self.send(Command::Reoffer { call, sdp }).await;
    }

    /// The answer to the offer that came with the peer's 200.
    pub async fn acknowledge(&self, call: CallId, sdp: Option<Vec<u8>>) {
        self.send(Command::Acknowledge { call, sdp }).await;
    }

    /// Takes the event queue of a call that replaces another.
    pub async fn take(&self, call: CallId) -> Option<mpsc::Receiver<Event>> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Take { call, reply }).await;
        answer.await.ok()?
    }

    /// Replaces the registrations.
    pub async fn set_registrations(&self, rules: Vec<RegistrationRule>) {
        self.send(Command::SetRegistrations { rules }).await;
    }

    /// Calls over this number are answered 503; 0 while the server drains.
    pub async fn set_calls_max(&self, calls_max: usize) {
        let (done, applied) = oneshot::channel();
        self.send(Command::SetCallsMax { calls_max, done }).await;
        let _ = applied.await;
    }

    /// Assigns the call to this trunk; it has only that trunk's rights.
    pub async fn choose_trunk(&self, call: CallId, id: TrunkKey) {
        self.send(Command::ChooseTrunk { call, id }).await;
    }

    /// Rejects a number that belongs to no candidate: 401 if credentials could add candidates, else 404.
    pub async fn reject_number(&self, call: CallId) {
        self.send(Command::RejectNumber { call }).await;
    }

    /// Who may call in; holds for every request read after this returns. The index is built here and not in the SIP
    /// task.
    pub async fn set_trunks(&self, trunks: Vec<TrunkRule>) {
        let (done, applied) = oneshot::channel();
        let trunks = Arc::new(TrunkRules::from(trunks));
        self.send(Command::SetTrunks { trunks, done }).await;
        let _ = applied.await;
    }

    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Snapshot { reply }).await;
        answer.await.ok()
    }

    /// Self-check: sends an internal OPTIONS through the command queue and returns the status of the answer; `None` if
    /// the task has ended. Use a timeout.
    pub async fn check(&self) -> Option<u16> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Check { reply }).await.ok()?;
        answer.await.ok()
    }

    /// The endpoint has ended.
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    async fn send(&self, command: Command) {
        // The driver ends only with the process; a closed queue means that we are shutting down.
        let _ = self.commands.send(command).await;
    }
}
