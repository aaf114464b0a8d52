//! What signals a call: a SIP dialog, or a browser's session.

use crate::call::negotiate::Negotiation;
use tokio::sync::mpsc;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event};

/// What signals the call.
pub(super) enum Line {
    Sip(Box<SipLine>),
    /// A browser: what it signals comes as commands, and through its leg.
    Web,
}

pub(super) struct SipLine {
    pub call: SipCall,
    pub events: mpsc::Receiver<Event>,
    pub negotiation: Negotiation,
    /// The dialog is not over. A closed channel would answer at once, for ever.
    pub alive: bool,
}

impl Line {
    pub(super) async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Sip(line) if line.alive => {
                let event = line.events.recv().await;
                line.alive = !matches!(event, Some(Event::Ended { .. }) | None);
                event
            }
            _ => std::future::pending().await,
        }
    }
}
