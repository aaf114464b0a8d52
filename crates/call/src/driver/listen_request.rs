//! Somebody wants to listen to a call: what the call is handed, and why it may refuse.

use tokio::sync::oneshot;
use trunkline_media::io::worker::RelaySender;

/// Why somebody cannot listen to a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// WebRTC is switched off in the settings.
    #[error("Listening from browsers is switched off on this server")]
    Disabled,
    /// The media worker has no room.
    #[error("This server has no room for another listener")]
    Overloaded,
    /// The offer cannot be used; holds the reason, in words for the client.
    #[error("{0}")]
    Offer(String),
    /// No such call goes on in this process.
    #[error("The call is over, or runs on another server")]
    NotHere,
    /// There is nothing to be heard yet.
    #[error("The call has not been answered yet")]
    NotAnswered,
    /// A chat.
    #[error("A chat has no sound: read it instead")]
    NoSound,
    /// As many people listen as may.
    #[error("As many people listen to the call as may: 4")]
    TooMany,
}

/// Somebody wants to listen.
#[derive(Debug)]
pub struct ListenRequest {
    /// Takes both sides.
    pub(super) relay: RelaySender,
    /// Kept by the call while it goes on; closed when the listener has gone.
    pub(super) line: oneshot::Sender<()>,
    pub(super) reply: oneshot::Sender<Result<(), ListenError>>,
}
