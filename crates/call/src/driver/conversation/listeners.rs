//! Those who listen in to a call: each gets both sides, and the caller hears nothing of them.

use super::super::listen_request::{ListenError, ListenRequest};
use super::ConversationLoop;
use super::listener_lines::{LISTENERS_MAX, ListenerLine};
use trunkline_media::audio::AudioFrame;
use trunkline_media::io::worker::LegHandle;

impl ConversationLoop {
    pub(super) fn handle_listen(&mut self, request: ListenRequest) {
        let ListenRequest { relay, line, reply } = request;
        self.listeners.remove_gone();
        let result = match (self.is_chat(), self.listeners.0.len()) {
            (true, _) => Err(ListenError::NoSound),
            (false, LISTENERS_MAX..) => Err(ListenError::TooMany),
            (false, _) => Ok(()),
        };
        if result.is_ok() {
            tracing::info!("somebody listens in");
            metrics::counter!("trunkline_listen_ins_total").increment(1);
            self.listeners.0.push(ListenerLine { relay, line });
            self.send_to_leg(|leg| leg.set_listen_in(true));
        }
        let _ = reply.send(result); // who asked may have gone, which the line tells
    }

    /// Both sides of the call for those who listen.
    pub(super) fn carry_both_sides(&mut self, frame: AudioFrame) {
        self.listeners.remove_gone();
        for one in &self.listeners.0 {
            one.relay.send(frame);
        }
        if self.listeners.0.is_empty() {
            self.send_to_leg(|leg: &LegHandle| leg.set_listen_in(false));
        }
    }
}
