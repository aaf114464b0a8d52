//! Names of hosts in session descriptions (RFC 8866 section 5.7): looked up before the description is read, for a bounded
//! time. A name that has no address stands for the address that the signalling came from: the media will come from
//! there, or show where they do.

use super::handle::SipHandle;
use crate::sdp::host_names;
use crate::sip::user_agent::SipEvent;
use std::net::IpAddr;
use std::time::Duration;

/// For all names of one description: a caller waits for the answer.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(2);

impl SipHandle {
    /// The description with addresses in the place of names. `signalling`: stands in for a name without an address.
    pub async fn resolve_description(&self, description: Vec<u8>, signalling: Option<IpAddr>) -> Vec<u8> {
        let names = host_names::find(&description);
        if names.is_empty() {
            return description;
        }
        let lookups = async {
            let mut found = Vec::with_capacity(names.len());
            for name in &names {
                found.push(self.host_resolver.resolve(name).await);
            }
            found
        };
        let found = tokio::time::timeout(LOOKUP_DEADLINE, lookups).await.unwrap_or_default();
        let addr_of = |name: &str| {
            let at = names.iter().position(|other| other.eq_ignore_ascii_case(name))?;
            found.get(at).copied().flatten().or(signalling)
        };
        host_names::replace(&description, addr_of)
    }

    /// The same for an event that brings a description.
    pub async fn resolve_event(&self, mut event: SipEvent, signalling: Option<IpAddr>) -> SipEvent {
        let (sdp, peer) = match &mut event {
            SipEvent::ProvisionalResponse { sdp, peer, .. } | SipEvent::Answered { sdp, peer, .. } => {
                (sdp, Some(peer.ip()))
            }
            SipEvent::Acknowledged { sdp, .. }
            | SipEvent::ReofferReceived { sdp, .. }
            | SipEvent::ReofferAccepted { sdp, .. } => (sdp, signalling),
            _ => return event,
        };
        if let Some(description) = sdp.take() {
            *sdp = Some(self.resolve_description(description, peer).await);
        }
        event
    }
}
