//! Commands from beside an answered call: the machine takes them, row and listeners learn of them.

use super::ConversationLoop;
use crate::live_update::LiveUpdate;
use crate::registry::ControlRequest;
use serde_json::json;
use std::time::Instant;

impl ConversationLoop {
    pub(super) async fn handle_control(&mut self, now: Instant, request: ControlRequest) {
        let ControlRequest { control, by, reply } = request;
        if let Some(result) = self.handle_chat_control(now, &control) {
            let _ = reply.send(result); // the client may have gone
            return;
        }
        let result = self.machine.handle_control(now, &control, &by);
        let _ = reply.send(result); // the client may have gone
        if let Err(error) = result {
            return tracing::info!(command = control.name(), reason = error.code(), "a command was refused");
        }
        tracing::info!(command = control.name(), "a command from beside the call");
        metrics::counter!("trunkline_call_controls_total", "command" => control.name()).increment(1);
        let controls = self.machine.metrics().controls();
        let told = controls.last().cloned().unwrap_or_default();
        let all = json!(controls);
        self.call.slot.live.send(LiveUpdate::Controlled(told));
        self.call.record.set_metric("controls", Some(all));
        self.call.record.record_figures().await;
    }
}
