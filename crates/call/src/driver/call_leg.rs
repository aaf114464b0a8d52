//! The signalling side of a call: a SIP dialog, or a browser's session. The dialog may be replaced during the call.

use super::early_media::EarlyDigits;
use super::inbound_refer::{InboundRefer, InboundReferEvent};
use crate::negotiate::Negotiation;
use tokio::sync::mpsc;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, SipEvent};

/// The call leg by signalling type.
pub(super) enum CallLeg {
    Sip(Box<SipLeg>),
    /// A browser: its signalling arrives as commands, and through its media leg.
    Web,
}

pub(super) struct SipLeg {
    pub call: SipCall,
    pub events: mpsc::Receiver<SipEvent>,
    /// What came before them.
    early_digits: EarlyDigits,
    pub negotiation: Negotiation,
    /// The dialog is open. Needed because a closed channel would be ready forever.
    pub is_open: bool,
    /// The call to a third party that the peer asked for with REFER.
    pub inbound_refer: Option<InboundRefer>,
}

/// An event of the call leg.
pub(super) enum SignalingEvent {
    Sip(Option<SipEvent>),
    /// A key that was pressed before the conversation, as an event, as INFO or in the audio.
    EarlyDigit(char),
    InboundRefer(InboundReferEvent),
}

impl SipLeg {
    fn new(
        call: SipCall, events: mpsc::Receiver<SipEvent>, negotiation: Negotiation, early_digits: EarlyDigits,
    ) -> Self {
        Self { call, events, early_digits, negotiation, is_open: true, inbound_refer: None }
    }

    /// Continues in another dialog, with the keys that were pressed in it before.
    pub(super) fn replace(
        &mut self, call: SipCall, events: mpsc::Receiver<SipEvent>, negotiation: Negotiation, early_digits: EarlyDigits,
    ) {
        (self.call, self.events, self.negotiation) = (call, events, negotiation);
        self.early_digits = early_digits;
        (self.is_open, self.inbound_refer) = (true, None);
    }
}

impl CallLeg {
    /// A dialog, with the keys that were pressed before the conversation.
    pub(super) fn sip(
        call: SipCall, events: mpsc::Receiver<SipEvent>, negotiation: Negotiation, early_digits: EarlyDigits,
    ) -> Self {
        Self::Sip(Box::new(SipLeg::new(call, events, negotiation, early_digits)))
    }

    pub(super) async fn next(&mut self) -> SignalingEvent {
        let Self::Sip(line) = self else { return std::future::pending().await };
        if let Some(early) = line.early_digits.pop() {
            return SignalingEvent::EarlyDigit(early);
        }
        let inbound_refer = async {
            match &mut line.inbound_refer {
                Some(inbound_refer) => inbound_refer.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = line.events.recv(), if line.is_open => {
                line.is_open = !matches!(event, Some(SipEvent::Ended { .. }) | None);
                SignalingEvent::Sip(event)
            }
            update = inbound_refer => SignalingEvent::InboundRefer(update),
            else => std::future::pending().await,
        }
    }
}
