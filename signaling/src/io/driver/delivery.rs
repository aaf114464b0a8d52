//! Delivers events to the owners of calls.

use super::state::{IncomingCall, SipDriver};
use crate::limits;
use crate::sip::user_agent::{IncomingInvite, SipEvent};
use std::time::Instant;
use tokio::sync::mpsc;

impl SipDriver {
    pub(super) fn deliver_event(&mut self, event: SipEvent) {
        let call = match event {
            SipEvent::Incoming(incoming) => return self.deliver_incoming(*incoming),
            SipEvent::Registration { id, event } => {
                // A lost event is superseded by the next one.
                let _ = self.registrations.try_send((id, event));
                return;
            }
            SipEvent::ProvisionalResponse { call, .. }
            | SipEvent::Answered { call, .. }
            | SipEvent::Acknowledged { call, .. }
            | SipEvent::ReofferReceived { call, .. }
            | SipEvent::ReofferAccepted { call, .. }
            | SipEvent::ReofferRejected { call, .. }
            | SipEvent::ReferReceived { call, .. }
            | SipEvent::ReplacesReceived { call, .. }
            | SipEvent::DigitReceived { call, .. }
            | SipEvent::ReferProgress { call, .. }
            | SipEvent::OptionsAnswered { call, .. }
            | SipEvent::Ended { call, .. } => call,
        };
        let ended = matches!(event, SipEvent::Ended { .. } | SipEvent::OptionsAnswered { .. });
        let newcomer = match &event {
            SipEvent::ReplacesReceived { by, .. } => Some(by.call),
            _ => None,
        };
        if let SipEvent::ReplacesReceived { by, .. } = &event {
            self.messages.open_inbound(by);
        }
        if let Some(newcomer) = newcomer {
            let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
            self.calls.insert(newcomer, events);
            self.unclaimed_events.insert(newcomer, queue);
        }
        let delivered = self.calls.get(&call).is_none_or(|queue| queue.try_send(event).is_ok());
        if let Some(newcomer) = newcomer.filter(|_| !delivered) {
            let _ = self.user_agent.reject(Instant::now(), newcomer, 481, None);
        }
        if ended {
            self.unclaimed_events.remove(&call);
            self.calls.remove(&call);
        } else if !delivered {
            // The owner is gone or does not read, so the call is ended.
            self.calls.remove(&call);
            let _ = self.user_agent.hang_up(Instant::now(), call);
        }
    }

    fn deliver_incoming(&mut self, incoming: IncomingInvite) {
        let call = incoming.call;
        self.messages.open_inbound(&incoming);
        let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
        match self.incoming.try_send(IncomingCall { incoming, events: queue }) {
            Ok(()) => {
                self.calls.insert(call, events);
            }
            Err(_) => {
                let _ = self.user_agent.reject(Instant::now(), call, 503, Some(5));
            }
        }
    }
}
