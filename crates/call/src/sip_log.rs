//! From the messages of a call's legs at the SIP user agent to the log of the call.
//!
//! Pure: the driver reads and writes.

use crate::domain::sip_log::{SipDirection, SipLog, SipLogMessage};
use trunkline_signaling::sip::message_log::{LegMessages, LoggedMessage, MessageDirection};

/// One log of all legs. It is complete if the call is over and no leg goes on.
pub fn merge<'a>(legs: impl IntoIterator<Item = &'a LegMessages>, is_over: bool) -> SipLog {
    let mut log = SipLog { is_complete: is_over, ..SipLog::default() };
    for leg in legs {
        log.messages.extend(leg.messages.iter().map(|one| message(&leg.sip_call_id, one)));
        log.left_out = log.left_out.saturating_add(leg.left_out);
        log.is_complete &= !leg.is_open;
    }
    log.arranged()
}

fn message(sip_call_id: &str, message: &LoggedMessage) -> SipLogMessage {
    let masked = message.masked();
    SipLogMessage {
        at_ms: message.at_ms,
        direction: match message.direction {
            MessageDirection::Received => SipDirection::Received,
            MessageDirection::Sent => SipDirection::Sent,
        },
        transport: message.transport.name().to_ascii_lowercase(),
        local: message.local.to_string(),
        remote: message.remote.to_string(),
        sip_call_id: sip_call_id.to_owned(),
        cseq: message.cseq.to_string(),
        length: message.length,
        is_cut: masked.is_cut,
        repetitions: message.repetitions,
        last_at_ms: message.last_at_ms,
        text: masked.text,
    }
}
