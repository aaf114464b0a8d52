//! Handle of the SIP task: sends commands to it.

use super::connection_limits::SipConnectionReports;
use super::dns::HostResolver;
use crate::sip::message::Headers;
use crate::sip::message_log::LegMessages;
use crate::sip::user_agent::{
    CallId, InboundTrunk, InboundTrunks, InviteRequest, ProbeResult, RegistrationConfig, SipCommandError, SipCounters,
    SipEvent, TrunkKey,
};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Statistics of the running user agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct SipSnapshot {
    /// Messages counted since the start.
    pub counters: SipCounters,
    /// Calls whose end has not been reported to their owner, ringing ones included.
    pub calls: usize,
    /// Sessions held: calls, ended calls with an open transaction, registrations and OPTIONS probes.
    pub sessions: usize,
    /// Server transactions held, for requests received (at most 320,000).
    pub server_transactions: usize,
    /// Client transactions held, for requests sent.
    pub client_transactions: usize,
}

/// A command for the SIP task.
#[derive(Debug)]
pub(super) enum SipCommand {
    /// For a call that exists, from its owner.
    Call(CallId, CallCommand),
    /// For the service.
    Service(ServiceCommand),
}

/// What the owner of a call wants.
#[derive(Debug)]
pub(super) enum CallCommand {
    MarkAttended,
    SendProvisional { status: u16, sdp: Option<Vec<u8>> },
    Answer { sdp: Vec<u8> },
    Reject { status: u16, retry_after_s: Option<u32> },
    HangUp,
    HangUpWithoutMedia,
    AnswerReoffer { sdp: Option<Vec<u8>> },
    SendInfo { content_type: &'static str, body: Vec<u8> },
    SendRefer { target: String, headers: Headers },
    AnswerRefer { accept: bool },
    SendReferNotify { status: u16 },
    SendReoffer { sdp: Vec<u8> },
    Acknowledge { sdp: Option<Vec<u8>> },
    TakeEvents { reply: oneshot::Sender<Option<mpsc::Receiver<SipEvent>>> },
    AssignTrunk { id: TrunkKey },
    RejectUnknownNumber,
}

/// What belongs to no call yet, or to all.
#[derive(Debug)]
pub(super) enum ServiceCommand {
    SendInvite {
        invite: Box<InviteRequest>,
        reply: oneshot::Sender<Result<(CallId, mpsc::Receiver<SipEvent>), SipCommandError>>,
    },
    SendOptions {
        probe: Box<InviteRequest>,
        reply: oneshot::Sender<Result<mpsc::Receiver<SipEvent>, SipCommandError>>,
    },
    SetRegistrations {
        rules: Vec<RegistrationConfig>,
    },
    SetTrunks {
        trunks: Arc<InboundTrunks>,
        done: oneshot::Sender<()>,
    },
    SetCallsMax {
        calls_max: usize,
        done: oneshot::Sender<()>,
    },
    Snapshot {
        reply: oneshot::Sender<SipSnapshot>,
    },
    CallMessages {
        calls: Vec<CallId>,
        reply: oneshot::Sender<Vec<LegMessages>>,
    },
    SelfCheck {
        reply: oneshot::Sender<u16>,
    },
}

impl SipCommand {
    /// The call of the command, if any.
    pub(super) fn call(&self) -> Option<CallId> {
        match self {
            Self::Call(call, _) => Some(*call),
            Self::Service(_) => None,
        }
    }
}

/// Sends commands to the user agent. Commands that do not fit the state of their call are dropped; the owner follows the
/// state by events.
#[derive(Clone, Debug)]
pub struct SipHandle {
    pub(super) commands: mpsc::Sender<SipCommand>,
    pub(super) local: ListenAddresses,
    pub(super) reports: SipConnectionReports,
    pub(super) host_resolver: HostResolver,
}

/// Where the user agent listens.
#[derive(Clone, Copy, Debug)]
pub struct ListenAddresses {
    /// Bound address of the UDP socket; the port is the real one where 0 was configured.
    pub udp: SocketAddr,
    /// Bound address of the TCP listener, with the same port as UDP.
    pub tcp: SocketAddr,
    /// Bound address of the TLS listener; `None` without one.
    pub tls: Option<SocketAddr>,
    /// Bound address of the WebSocket listener, WS or WSS; `None` without one.
    pub ws: Option<SocketAddr>,
}

impl SipHandle {
    /// Returns the bound addresses of all transports.
    pub fn local(&self) -> ListenAddresses {
        self.local
    }

    /// What the listeners have counted.
    pub fn connection_reports(&self) -> &SipConnectionReports {
        &self.reports
    }

    /// Returns the bound address of the UDP socket.
    pub fn local_udp(&self) -> SocketAddr {
        self.local.udp
    }

    /// Returns the bound address of the TCP listener.
    pub fn local_tcp(&self) -> SocketAddr {
        self.local.tcp
    }

    /// Starts an outgoing call and returns its id and its events. Fails with `Overloaded` at the call limit, when the
    /// command queue is full, or when the SIP task has ended.
    pub async fn send_invite(
        &self, invite: InviteRequest,
    ) -> Result<(CallId, mpsc::Receiver<SipEvent>), SipCommandError> {
        let (reply, answer) = oneshot::channel();
        let command = SipCommand::Service(ServiceCommand::SendInvite { invite: Box::new(invite), reply });
        self.commands.try_send(command).map_err(|_| SipCommandError::Overloaded)?;
        answer.await.unwrap_or(Err(SipCommandError::Overloaded))
    }

    /// Sends OPTIONS and returns what it found, after [`PROBE_TIMEOUT`](crate::sip::user_agent::PROBE_TIMEOUT) at the
    /// latest. Fails if too many probes are pending.
    pub async fn send_options(&self, probe: InviteRequest) -> Result<ProbeResult, SipCommandError> {
        let (reply, events) = oneshot::channel();
        let command = SipCommand::Service(ServiceCommand::SendOptions { probe: Box::new(probe), reply });
        self.commands.try_send(command).map_err(|_| SipCommandError::Overloaded)?;
        let mut events = events.await.unwrap_or(Err(SipCommandError::Overloaded))?;
        Ok(match events.recv().await {
            Some(SipEvent::OptionsAnswered { result, .. }) => result,
            _ => ProbeResult::Silent,
        })
    }

    /// Marks the call as attended, so that a slow answer does not count as overload.
    pub async fn mark_attended(&self, call: CallId) {
        self.send_for(call, CallCommand::MarkAttended).await;
    }

    /// Sends a provisional response (180 or 183) to an inbound INVITE. `sdp` is an early answer and is dropped if the
    /// INVITE had no offer.
    pub async fn send_provisional(&self, call: CallId, status: u16, sdp: Option<Vec<u8>>) {
        self.send_for(call, CallCommand::SendProvisional { status, sdp }).await;
    }

    /// Answers an inbound call with 200. `sdp` is our answer, or our offer if the INVITE had none.
    pub async fn answer(&self, call: CallId, sdp: Vec<u8>) {
        self.send_for(call, CallCommand::Answer { sdp }).await;
    }

    /// Rejects an inbound call with a final status (300 or above); `retry_after_s` becomes Retry-After, in seconds.
    pub async fn reject(&self, call: CallId, status: u16, retry_after_s: Option<u32>) {
        self.send_for(call, CallCommand::Reject { status, retry_after_s }).await;
    }

    /// Ends a call in any state: rejects it with 480, cancels it, or sends BYE. `Ended` follows at once.
    pub async fn hang_up(&self, call: CallId) {
        self.send_for(call, CallCommand::HangUp).await;
    }

    /// Ends an answered call because the media that the peer described cannot be used. `Ended` follows at once.
    pub async fn hang_up_without_media(&self, call: CallId) {
        self.send_for(call, CallCommand::HangUpWithoutMedia).await;
    }

    /// Answers the peer's re-INVITE or UPDATE with 200 and this description; `None` rejects it with 488 and keeps the
    /// media.
    pub async fn answer_reoffer(&self, call: CallId, sdp: Option<Vec<u8>>) {
        self.send_for(call, CallCommand::AnswerReoffer { sdp }).await;
    }

    /// Sends INFO in an answered call; `application/dtmf-relay` carries DTMF. The response is not reported.
    pub async fn send_info(&self, call: CallId, content_type: &'static str, body: Vec<u8>) {
        self.send_for(call, CallCommand::SendInfo { content_type, body }).await;
    }

    /// Sends REFER; the outcome comes as events.
    pub async fn send_refer(&self, call: CallId, target: String, headers: Headers) {
        self.send_for(call, CallCommand::SendRefer { target, headers }).await;
    }

    /// Accepts or declines a transfer the peer requested.
    pub async fn answer_refer(&self, call: CallId, accept: bool) {
        self.send_for(call, CallCommand::AnswerRefer { accept }).await;
    }

    /// Notifies the peer of the progress of its transfer.
    pub async fn send_refer_notify(&self, call: CallId, status: u16) {
        self.send_for(call, CallCommand::SendReferNotify { status }).await;
    }

    /// Sends a re-INVITE; the outcome comes as an event.
    pub async fn send_reoffer(&self, call: CallId, sdp: Vec<u8>) {
        self.send_for(call, CallCommand::SendReoffer { sdp }).await;
    }

    /// The answer to the offer that came with the peer's 200.
    pub async fn acknowledge(&self, call: CallId, sdp: Option<Vec<u8>>) {
        self.send_for(call, CallCommand::Acknowledge { sdp }).await;
    }

    /// Takes the event queue of a call that replaces another.
    pub async fn take_events(&self, call: CallId) -> Option<mpsc::Receiver<SipEvent>> {
        let (reply, answer) = oneshot::channel();
        self.send_for(call, CallCommand::TakeEvents { reply }).await;
        answer.await.ok()?
    }

    /// Replaces the registrations.
    pub async fn set_registrations(&self, rules: Vec<RegistrationConfig>) {
        self.send(SipCommand::Service(ServiceCommand::SetRegistrations { rules })).await;
    }

    /// Calls over this number are answered 503; 0 while the server drains.
    pub async fn set_calls_max(&self, calls_max: usize) {
        let (done, applied) = oneshot::channel();
        self.send(SipCommand::Service(ServiceCommand::SetCallsMax { calls_max, done })).await;
        let _ = applied.await;
    }

    /// Assigns the call to this trunk; it has only that trunk's rights.
    pub async fn assign_trunk(&self, call: CallId, id: TrunkKey) {
        self.send_for(call, CallCommand::AssignTrunk { id }).await;
    }

    /// Rejects a number that belongs to no candidate: 401 if credentials could add candidates, else 404.
    pub async fn reject_unknown_number(&self, call: CallId) {
        self.send_for(call, CallCommand::RejectUnknownNumber).await;
    }

    /// Who may call in; holds for every request read after this returns. The index is built here and not in the SIP
    /// task.
    pub async fn set_trunks(&self, trunks: Vec<InboundTrunk>) {
        let (done, applied) = oneshot::channel();
        let trunks = Arc::new(InboundTrunks::from(trunks));
        self.send(SipCommand::Service(ServiceCommand::SetTrunks { trunks, done })).await;
        let _ = applied.await;
    }

    /// Returns counters and table sizes at the moment; `None` when the SIP task has ended.
    pub async fn snapshot(&self) -> Option<SipSnapshot> {
        let (reply, answer) = oneshot::channel();
        self.send(SipCommand::Service(ServiceCommand::Snapshot { reply })).await;
        answer.await.ok()
    }

    /// Self-check: sends an internal OPTIONS through the command queue and returns the status of the answer; `None` if
    /// the task has ended. Use a timeout.
    pub async fn self_check(&self) -> Option<u16> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(SipCommand::Service(ServiceCommand::SelfCheck { reply })).await.ok()?;
        answer.await.ok()
    }

    /// The user agent has ended.
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    async fn send_for(&self, call: CallId, command: CallCommand) {
        self.send(SipCommand::Call(call, command)).await;
    }

    async fn send(&self, command: SipCommand) {
        // The driver ends only with the process; a closed queue means that we are shutting down.
        let _ = self.commands.send(command).await;
    }
}
