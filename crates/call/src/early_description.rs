//! What a caller's dialog has agreed on before its conversation: the answer to the INVITE, and to the offers that come
//! after it in PRACK and UPDATE (RFC 3262 section 5, RFC 3311 section 5).

use super::negotiate::{DialogMediaChange, Negotiation};
use trunkline_media::leg::StreamConfig;
use trunkline_signaling::sip::user_agent::SipEvent;

/// The media of a dialog that is not answered, or not acknowledged.
#[derive(Debug)]
pub struct EarlyDescription {
    /// Our side.
    pub negotiation: Negotiation,
    /// What was agreed; `None` until the caller's answer arrives.
    pub stream: Option<StreamConfig>,
    /// Our newest description, which the 200 carries.
    pub sdp: Vec<u8>,
}

/// What becomes of an offer.
#[derive(Debug)]
pub struct EarlyAnswer {
    /// Our answer; `None` refuses the offer, and the media stay as they were.
    pub text: Option<Vec<u8>>,
    /// Where the media of a leg that rings already goes now.
    pub stream: Option<StreamConfig>,
}

impl EarlyDescription {
    /// Answers an offer of the caller. Refused are one that crosses our own, and one of a WebRTC peer, which only its
    /// leg can answer.
    pub fn answer_offer(&mut self, event: &SipEvent) -> EarlyAnswer {
        let refused = EarlyAnswer { text: None, stream: None };
        if self.stream.is_none() || self.negotiation.is_webrtc() {
            return refused;
        }
        let DialogMediaChange::Reoffered { text: Some(text), stream: Some(stream) } =
            self.negotiation.handle_dialog_event(event)
        else {
            return refused;
        };
        self.stream = Some(stream);
        self.sdp.clone_from(&text);
        EarlyAnswer { text: Some(text), stream: Some(stream) }
    }
}

#[cfg(test)]
mod tests;
