//! Who answers in the demo: a shop by rules on this machine's own speech, or a support agent on vendors.

use serde_json::{Value, json};
use std::net::SocketAddr;

/// The shop as customers find it among the examples.
const SHOP: &str = include_str!("../../../../examples/shop_flow.json");

/// What of the shop is on this machine in the demo.
#[derive(Clone, Copy, Debug)]
pub struct ShopPlaces<'a> {
    /// Where orders are looked up: a web server.
    pub orders: SocketAddr,
    /// The phone of the people of the shop: a SIP address.
    pub second_phone: SocketAddr,
    /// Voice of the agent.
    pub voice: &'a str,
}

/// The agent of the example, which hears and speaks on this machine; its orders and its people are here too.
///
/// # Errors
///
/// The example is no JSON.
pub fn shop(places: ShopPlaces<'_>) -> Result<Value, String> {
    let mut agent: Value = serde_json::from_str(SHOP).map_err(|error| format!("examples/shop_flow.json: {error}"))?;
    let stt = json!({"provider": "local", "model": "moonshine-tiny-en", "language": "en"});
    let tts = json!({"provider": "local", "voice_id": places.voice, "language": "en"});
    (agent["stt_config"], agent["tts_config"]) = (stt, tts);
    let tool = &mut agent["llm_config"]["tools"][0];
    tool["url"] = json!(format!("http://{}/orders/{{order_number}}", places.orders));
    tool["request"] = json!({"method": "GET"});
    agent["transfer_config"] = json!({"mode": "bridge", "destinations": [
        {"name": "shop", "target": format!("sip:shop@{}", places.second_phone), "description": "The people of the shop"}]});
    Ok(agent)
}

/// The shop's agent for calls that ask for one answer.
pub(super) fn delivery_check(voice: &str) -> Value {
    json!({
        "name": "Delivery check", "business_name": "Corner Shop",
        "stt_config": {"provider": "local", "model": "moonshine-tiny-en", "language": "en"},
        "tts_config": {"provider": "local", "voice_id": voice, "language": "en"},
        "llm_config": {"provider": "local", "flow": {
            "start": "address",
            "states": {
                "address": {"type": "ask", "slot": "address_is_correct", "next": "answer", "exhausted": "unclear"},
                "answer": {"type": "branch", "slot": "address_is_correct", "cases": {"yes": "correct"}, "otherwise": "unclear"},
                "correct": {"type": "end", "text": "Thank you. Your parcel comes tomorrow. Goodbye."},
                "unclear": {"type": "end", "text": "Thank you. A colleague will call you about the address. Goodbye."}
            },
            "slots": {"address_is_correct": {"type": "yes_no", "question": "Is your delivery address still correct?"}}
        }},
    })
}

/// A support agent on vendors, emulated or real. `has_elevenlabs`: that one's voice speaks.
pub(super) fn support(voice: Option<&str>, has_elevenlabs: bool) -> Value {
    let voice = match voice {
        Some(voice) => json!({"provider": "local", "voice_id": voice, "language": "en"}),
        None if has_elevenlabs => {
            json!({"provider": "elevenlabs", "voice_id": "21m00Tcm4TlvDq8ikWAM", "language": "en"})
        }
        None => json!({"provider": "openai", "voice_id": "alloy", "language": "en"}),
    };
    json!({
        "name": "Acme support", "business_name": "Acme",
        "system_prompt": "You are the telephone agent of Acme, a web shop. Be brief. End the call when the caller says goodbye.",
        "first_message": "Good morning, this is Acme. How can I help you?",
        "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
        "llm_config": {"provider": "openai", "model": "gpt-4o-mini", "temperature": 0.3},
        "tts_config": voice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_domain::agent::AgentFields;

    #[test]
    fn every_agent_of_the_demo_can_be_saved() {
        let here = "127.0.0.1:5080".parse().unwrap();
        let places = ShopPlaces { orders: here, second_phone: here, voice: "piper:joe" };
        for agent in [shop(places).unwrap(), delivery_check("piper:joe"), support(None, true), support(None, false)] {
            let agent: AgentFields = serde_json::from_value(agent).unwrap();
            assert_eq!(trunkline_domain::faults(&agent), [], "{}", agent.name);
        }
    }
}
