//! The signalling side of a call: a SIP dialog, or a browser's session. The dialog may be replaced during the call.

use super::handover::{Handover, HandoverNews};
use crate::call::negotiate::Negotiation;
use tokio::sync::mpsc;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event};

/// The call leg by signalling type.
pub(super) enum Line {
    Sip(Box<SipLine>),
    /// A browser: its signalling arrives as commands, and through its media leg.
    Web,
}

pub(super) struct SipLine {
    pub call: SipCall,
    pub events: mpsc::Receiver<Event>,
    pub negotiation: Negotiation,
    /// The dialog is open. Needed because a closed channel would be ready forever.
    pub alive: bool,
    /// The call to somebody else that the peer asked for with REFER.
    pub handover: Option<Handover>,
}

/// An event of the call leg.
pub(super) enum News {
    Sip(Option<Event>),
    Handover(HandoverNews),
}

impl SipLine {
    pub(super) fn new(call: SipCall, events: mpsc::Receiver<Event>, negotiation: Negotiation) -> Self {
        Self { call, events, negotiation, alive: true, handover: None }
    }

    /// Continues in another dialog.
    pub(super) fn replace(&mut self, call: SipCall, events: mpsc::Receiver<Event>, negotiation: Negotiation) {
        (self.call, self.events, self.negotiation) = (call, events, negotiation);
        (self.alive, self.handover) = (true, None);
    }
}

impl Line {
    pub(super) fn sip(call: SipCall, events: mpsc::Receiver<Event>, negotiation: Negotiation) -> Self {
        Self::Sip(Box::new(SipLine::new(call, events, negotiation)))
    }

    pub(super) async fn next(&mut self) -> News {
        let Self::Sip(line) = self else { return std::future::pending().await };
        let handover = async {
            match &mut line.handover {
                Some(handover) => handover.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = line.events.recv(), if line.alive => {
                line.alive = !matches!(event, Some(Event::Ended { .. }) | None);
                News::Sip(event)
            }
            news = handover => News::Handover(news),
            else => std::future::pending().await,
        }
    }
}
