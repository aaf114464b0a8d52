//! Calls with a DTLS handshake that is over at once, by our own media.

use super::target::{FaultTarget, number};
use crate::caller::script::CallScript;
use crate::caller::softphone::DialParams;
use std::sync::Arc;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

/// DTLS-SRTP in both roles, with sound both ways.
pub(super) async fn dtls_handshake_at_once(target: Arc<FaultTarget>) -> Result<(), String> {
    let (server, local) = (target.server.sip, target.phone.sip.local_udp());
    let dial = DialParams {
        to: Uri::sip(Some(number::DTLS), &server.ip().to_string(), Some(server.port())),
        from: Uri::sip(Some("+15550141"), &local.ip().to_string(), Some(local.port())),
        transport: Transport::Udp,
        credentials: None,
        codecs: vec!["PCMU".into()],
    };
    let report = target.phone.dial_encrypted(&dial, &CallScript::parse("pause 600; hangup")?).await;
    match report.failure {
        Some(failure) => Err(failure),
        None if report.packets_received == 0 => Err("nothing was heard".to_owned()),
        None => Ok(()),
    }
}
