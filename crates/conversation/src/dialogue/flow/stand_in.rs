//! The flow that stands in when no model answers: it says so, offers to put the caller through or to take a message, and
//! ends the call.

use crate::dialogue::phrases::message_phrases;
use serde_json::{Value, json};
use trunkline_domain::flow::Flow;

/// The flow in the language of the voice. `destination` is where callers can be put through to.
pub fn stand_in(language: &str, destination: Option<&str>) -> Flow {
    let phrases = message_phrases(language);
    let mut states = json!({
        "sorry": {"type": "say", "text": phrases.sorry, "next": "offer"},
        "offer": {"type": "ask", "slot": "leave_message", "next": "offered", "exhausted": "declined"},
        "offered": {"type": "branch", "slot": "leave_message", "cases": {"yes": "message"}, "otherwise": "declined"},
        "message": {"type": "take_message", "next": "taken"},
        "taken": {"type": "end", "text": phrases.taken},
        "declined": {"type": "end", "text": phrases.declined},
    });
    let mut slots = json!({"leave_message": {"type": "yes_no", "question": phrases.offer_message}});
    if let Some(destination) = destination {
        states["sorry"]["next"] = json!("desk");
        states["desk"] = json!({"type": "ask", "slot": "put_through", "next": "asked", "exhausted": "offer"});
        states["asked"] =
            json!({"type": "branch", "slot": "put_through", "cases": {"yes": "transfer"}, "otherwise": "offer"});
        states["transfer"] = json!({"type": "transfer", "destination": destination, "failed": "offer"});
        slots["put_through"] = json!({"type": "yes_no", "question": phrases.offer_transfer});
    }
    let wishes: Vec<&str> = phrases.message.split('|').collect();
    let intents: Value = json!([{"name": "message", "phrases": wishes, "next": "message"}]);
    let flow = json!({"start": "sorry", "states": states, "slots": slots, "intents": intents});
    serde_json::from_value(flow).unwrap_or_default()
}
