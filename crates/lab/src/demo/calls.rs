//! The scripted calls of the demo: who calls whom, and what is said.

use crate::caller::script::CallScript;

/// A call to the agent, by a scripted caller.
#[derive(Clone, Debug)]
pub(super) struct InboundCall {
    /// What it shows.
    pub title: &'static str,
    /// The caller's number.
    pub from: &'static str,
    /// What the caller does.
    pub script: String,
}

/// A call that the agent makes for a task, to a phone that answers by a script.
#[derive(Clone, Debug)]
pub(super) struct OutboundCall {
    /// What the agent says first.
    pub first_message: &'static str,
    /// What the callee does.
    pub script: &'static str,
}

/// All calls, in their order.
#[derive(Clone, Debug)]
pub(super) struct DemoCalls {
    /// Calls to the agent.
    pub inbound: Vec<InboundCall>,
    /// The call of a task.
    pub outbound: OutboundCall,
}

impl DemoCalls {
    /// With an agent that hears any words: a question and an interruption, an order, a transfer, a message.
    pub(super) fn free() -> Self {
        let call = |title, from, script: &str| InboundCall { title, from, script: script.to_owned() };
        Self {
            inbound: vec![
                call(
                    "a caller has questions, interrupts, and asks for an order",
                    "+15550100",
                    "listen; say \"Uh, hi. I'd like to know when you're open on Saturdays.\"; \
                     interrupt \"Sorry, how much does delivery cost?\"; listen; say \"Great. And where is my order?\"; listen; \
                     say \"It's one two three four five six.\"; listen; pause 1500; listen; \
                     say \"No thank you, that's all. Goodbye.\"; listen",
                ),
                call(
                    "a caller leaves a message",
                    "+15550101",
                    "listen; say \"Could somebody call me back?\"; listen; say \"My name is John Smith.\"; listen; \
                     say \"Oh two oh, five five five, one two three four.\"; listen; say \"Yes, that's right.\"; listen; \
                     say \"My new lamp is broken. I would like another one.\"; listen; say \"That's all, thank you. Bye.\"; listen",
                ),
                call(
                    "a caller wants a person, and is put through to the demo's second phone",
                    "+15550102",
                    "listen; say \"Can I talk to a real person?\"; listen; say \"Yes hello, can you hear me?\"; listen; listen",
                ),
            ],
            outbound: OutboundCall {
                first_message: "Hello, this is Corner Shop. Is your delivery address still correct?",
                script: "listen; say \"Yes, that is correct.\"; listen",
            },
        }
    }

    /// With an emulated STT, which knows recorded phrases.
    pub(super) fn recorded() -> Self {
        let script = "listen; say hello; listen; say where_is_my_order; listen; say order_number; interrupt wait_stop; listen; \
            say opening_hours; listen; say goodbye; listen";
        let call = InboundCall { title: "a call comes in", from: "+15550100", script: script.to_owned() };
        let outbound = OutboundCall {
            first_message: "Hello, this is Acme. Is your delivery address still correct?",
            script: "listen; say yes_correct; listen; say goodbye; listen",
        };
        Self { inbound: vec![call], outbound }
    }

    /// The first caller says one thing of the user's in place of everything.
    pub(super) fn with_caller(mut self, text: &str) -> Self {
        self.inbound.truncate(1);
        let say = format!("listen; say \"{}\"; listen; ", text.replace('"', ""));
        let goodbye = if self.outbound.script.contains('"') { "\"Goodbye.\"" } else { "goodbye" };
        for call in &mut self.inbound {
            (call.title, call.script) = ("a call comes in", format!("{say}say {goodbye}; listen"));
        }
        self
    }

    /// The texts that a voice has to speak for them.
    pub(super) fn texts(&self) -> Vec<&str> {
        let inbound = self.inbound.iter().map(|call| call.script.as_str());
        inbound.chain([self.outbound.script]).flat_map(CallScript::texts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::script::SpokenTexts;

    #[test]
    fn every_script_of_the_demo_can_be_followed() {
        let free = DemoCalls::free();
        for calls in [
            free.clone(),
            DemoCalls::recorded(),
            free.with_caller("Do you sell \"lamps\"?"),
            DemoCalls::recorded().with_caller("Hi"),
        ] {
            let spoken: SpokenTexts =
                calls.texts().into_iter().map(|text| (text.to_owned(), vec![9_000; 1_600])).collect();
            let scripts = calls.inbound.iter().map(|call| call.script.as_str()).chain([calls.outbound.script]);
            for script in scripts {
                CallScript::parse_spoken(script, &spoken).unwrap();
            }
        }
    }
}
