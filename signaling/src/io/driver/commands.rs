//! Commands of calls' owners and of the service.

use super::state::SipDriver;
use crate::io::handle::{CallCommand, ServiceCommand, SipCommand, SipSnapshot};
use crate::io::self_checks::{CHECK_ADDR, CHECK_TRANSPORT};
use crate::limits;
use crate::sip::message::parse;
use crate::sip::user_agent::{CallId, InviteRequest, SipCommandError, SipEvent};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// What the owner of a new call is told.
type StartedCall = Result<(CallId, mpsc::Receiver<SipEvent>), SipCommandError>;

impl SipDriver {
    pub(in crate::io) fn handle_command(&mut self, command: SipCommand) {
        match command {
            SipCommand::Call(call, command) => self.handle_call_command(call, command),
            SipCommand::Service(command) => self.handle_service_command(command),
        }
    }

    fn handle_call_command(&mut self, call: CallId, command: CallCommand) {
        let (now, user_agent) = (Instant::now(), &mut self.user_agent);
        let refused = match command {
            CallCommand::MarkAttended => user_agent.mark_attended(call),
            CallCommand::SendProvisional { status, sdp } => user_agent.send_provisional(now, call, status, sdp),
            CallCommand::Answer { sdp } => user_agent.answer(now, call, sdp),
            CallCommand::Reject { status, retry_after_s } => user_agent.reject(now, call, status, retry_after_s),
            CallCommand::RejectUnknownNumber => user_agent.reject_unknown_number(now, call),
            CallCommand::AssignTrunk { id } => user_agent.assign_trunk(call, &id),
            CallCommand::HangUp => user_agent.hang_up(now, call),
            CallCommand::HangUpWithoutMedia => user_agent.hang_up_without_media(now, call),
            CallCommand::AnswerReoffer { sdp } => user_agent.answer_reoffer(now, call, sdp),
            CallCommand::SendInfo { content_type, body } => user_agent.send_info(now, call, content_type, body),
            CallCommand::SendRefer { target, headers } => user_agent.send_refer_with(now, call, &target, &headers),
            CallCommand::AnswerRefer { accept } => user_agent.answer_refer(now, call, accept),
            CallCommand::SendReferNotify { status } => user_agent.send_refer_notify(now, call, status),
            CallCommand::SendReoffer { sdp } => user_agent.send_reoffer(now, call, sdp),
            CallCommand::Acknowledge { sdp } => user_agent.acknowledge(call, sdp),
            CallCommand::TakeEvents { reply } => {
                let _ = reply.send(self.unclaimed_events.remove(&call));
                Ok(())
            }
        };
        if let Err(refusal) = refused {
            tracing::debug!(?refusal, "command does not fit the state of its call");
        }
    }

    /// Whoever waits for the reply may have given up.
    fn handle_service_command(&mut self, command: ServiceCommand) {
        let (now, user_agent) = (Instant::now(), &mut self.user_agent);
        match command {
            ServiceCommand::SendInvite { invite, reply } => self.start_call(now, *invite, reply),
            ServiceCommand::SendOptions { probe, reply } => {
                let _ = reply.send(self.start_probe(now, *probe));
            }
            ServiceCommand::SetRegistrations { rules } => user_agent.set_registrations(now, rules),
            ServiceCommand::SetCallsMax { calls_max, done } => {
                user_agent.set_calls_max(calls_max);
                let _ = done.send(());
            }
            ServiceCommand::SetTrunks { trunks, done } => {
                self.admission.lists.set(trunks.clone());
                user_agent.set_trunks(trunks);
                let _ = done.send(());
            }
            ServiceCommand::CallMessages { calls, reply } => {
                let _ = reply.send(self.messages.messages(&calls));
            }
            ServiceCommand::SelfCheck { reply } => {
                let probe = self.self_checks.start_check(reply);
                user_agent.handle_parsed(now, CHECK_TRANSPORT, CHECK_ADDR, parse::datagram(probe.as_bytes()));
            }
            ServiceCommand::Snapshot { reply } => {
                let (sessions, server_transactions, client_transactions) = user_agent.held_counts();
                let (counters, calls) = (user_agent.counters(), user_agent.calls());
                let _ = reply.send(SipSnapshot { counters, calls, sessions, server_transactions, client_transactions });
            }
        }
    }

    fn start_call(&mut self, now: Instant, invite: InviteRequest, reply: oneshot::Sender<StartedCall>) {
        let sent = self.user_agent.send_invite(now, invite);
        if let Ok(call) = sent
            && let Some((call_id, local_tag)) = self.user_agent.dialog_names(call)
        {
            self.messages.open_outbound(call, call_id, local_tag);
        }
        let result = sent.map(|call| (call, self.open_queue(call)));
        if let Err(Ok((call, _))) = reply.send(result) {
            let _ = self.user_agent.hang_up(now, call);
        }
    }

    fn start_probe(&mut self, now: Instant, probe: InviteRequest) -> Result<mpsc::Receiver<SipEvent>, SipCommandError> {
        let call = self.user_agent.send_options(now, probe)?;
        Ok(self.open_queue(call))
    }

    /// The queue of a call's events.
    fn open_queue(&mut self, call: CallId) -> mpsc::Receiver<SipEvent> {
        let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
        self.calls.insert(call, events);
        queue
    }
}
