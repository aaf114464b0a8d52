//! Commands for a call whose browser is connected.

use super::call_media::CallMedia;
use super::web_offers::{IceRestart, WebCallError};
use crate::registry::CallCommand;

/// Handles a command of a connected browser.
pub(super) fn handle_command(media: &CallMedia, command: CallCommand) {
    match command {
        CallCommand::Candidates(lines) => {
            let _ = media.leg.add_candidates(lines);
        }
        CallCommand::RestartIce(restart) => {
            let IceRestart { theirs, reply } = *restart;
            // A closed leg answers nothing.
            let _ = media.leg.restart_ice(theirs, Box::new(move |ours| drop(reply.send(ours))));
        }
        CallCommand::Connect(offer) => drop(offer.reply.send(Err(WebCallError::TokenUsed))),
        // Ends are carried out before; whoever wants something of a call that is not answered learns that by the drop.
        CallCommand::End(_) | CallCommand::Control(_) | CallCommand::Listen(_) => {}
    }
}
