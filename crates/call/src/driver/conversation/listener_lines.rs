//! The lines to those who listen in to one call.

use tokio::sync::oneshot;
use trunkline_media::io::worker::RelaySender;

/// People who listen to one call at once.
pub(super) const LISTENERS_MAX: usize = 4;

/// One who listens.
pub(super) struct ListenerLine {
    pub(super) relay: RelaySender,
    /// Closed once they have gone; dropped with the call.
    pub(super) line: oneshot::Sender<()>,
}

/// All who listen to a call.
#[derive(Default)]
pub(super) struct Listeners(pub(super) Vec<ListenerLine>);

impl Listeners {
    /// Forgets those who have gone.
    pub(super) fn remove_gone(&mut self) {
        self.0.retain(|one| !one.line.is_closed());
    }
}
