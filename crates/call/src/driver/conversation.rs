//! The event loop of an answered call: handles one event at a time.

mod closing;
mod controls;
mod events;
mod handover;
mod listener_lines;
mod listeners;
mod next_agent;
mod outputs;
mod soundless;
mod tool_calls;

use super::call_leg::CallLeg;
use super::consultation::ConsultationHandle;
use super::listener::Listener;
use super::rules_llm::SharedFlowMemory;
use super::schema_validation::check_dtmf_tools;
use super::tool_runner::ToolServerResult;
use super::tts::TtsPipeline;
use super::{CallMedia, CallRecord, SharedServices, SpeechBackend};
use crate::amd::AmdDetector;
use crate::call_events;
use crate::domain::call::Direction;
use crate::domain::call_facts::CallVariables;
use crate::domain::end_reason::EndReason;
use crate::machine::{CallMachine, CallSpec};
use crate::providers::{EventStream, LlmEvent};
use crate::registry::CallSlot;
use crate::supervision::PanicError;
use crate::tool_answer::ToolOutcome;
use crate::tool_schemas::ToolSchemas;
use crate::webhooks::mcp::McpServer;
use listener_lines::Listeners;
use next_agent::NextAgent;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use trunkline_media::stats::LegStats;

/// A chat ends when nobody has written for this long.
const CHAT_IDLE_MAX: Duration = Duration::from_secs(300);

/// Everything an answered call holds.
pub(super) struct Conversation {
    pub context: SharedServices,
    pub spec: CallSpec,
    pub record: CallRecord,
    pub slot: CallSlot,
    pub leg: CallLeg,
    pub media: CallMedia,
}

/// A call that was set up, and what its conversation begins with.
pub(super) struct EstablishedCall {
    pub conversation: Conversation,
    pub speech: SpeechBackend,
    /// What early media said about who answers.
    pub early: Option<AmdDetector>,
}

struct ConversationLoop {
    call: Conversation,
    machine: CallMachine,
    tts: TtsPipeline,
    llm: Option<(u32, EventStream<LlmEvent>)>,
    flow_memory: SharedFlowMemory,
    listener: Listener,
    leg_alive: bool,
    tools: JoinSet<(String, ToolOutcome)>,
    /// What answers of tools have set.
    variables: CallVariables,
    /// Servers of the agent that offer tools: being reached, and there.
    connecting_servers: JoinSet<Result<ToolServerResult, PanicError>>,
    servers: Vec<Arc<McpServer>>,
    schemas: ToolSchemas,
    /// The consultation call of a transfer.
    consultation: Option<ConsultationHandle>,
    next_agent: NextAgent,
    hang_up: Option<EndReason>,
    stats: Option<LegStats>,
    listeners: Listeners,
    /// When a chat ends in which nobody writes; `None` for calls with sound.
    idle_at: Option<Instant>,
}

/// Runs the conversation to its end and records the final state.
pub(super) async fn run_conversation(established: EstablishedCall) {
    let EstablishedCall { mut conversation, speech, early } = established;
    conversation.record.record_answered().await;
    let (now, spec) = (Instant::now(), conversation.spec.clone());
    let (mut machine, listener) = match speech {
        SpeechBackend::Stt(stt) => (CallMachine::new(now, spec), Listener::Stt(stt)),
        SpeechBackend::Nobody => (CallMachine::new(now, spec), Listener::Nobody),
        SpeechBackend::Realtime(side) => {
            (CallMachine::with_realtime(now, spec, side.capabilities.clone()), Listener::Realtime(side))
        }
    };
    if let Some(early) = early {
        machine.handle_early_media(now, early);
    }
    let speaks = matches!(listener, Listener::Stt(_));
    let tts = TtsPipeline::new(conversation.context.providers.clone(), conversation.spec.clone(), speaks);
    let has_sound = conversation.record.call.direction != Direction::Chat;
    let mut running = ConversationLoop {
        call: conversation,
        machine,
        tts,
        llm: None,
        flow_memory: SharedFlowMemory::default(),
        listener,
        leg_alive: has_sound,
        tools: JoinSet::new(),
        variables: CallVariables::default(),
        connecting_servers: JoinSet::new(),
        servers: Vec::new(),
        schemas: ToolSchemas::default(),
        consultation: None,
        next_agent: NextAgent::default(),
        hang_up: None,
        stats: None,
        listeners: Listeners::default(),
        idle_at: (!has_sound).then(|| now + CHAT_IDLE_MAX),
    };
    running.connect_tool_servers();
    let (workers, scope, agent) = (&running.call.context.schemas, running.call.record.scope, &running.call.spec.agent);
    check_dtmf_tools(&mut running.schemas, workers, scope, &mut running.machine, agent).await;
    let reason = running.run().await;
    Box::pin(running.close(reason)).await;
}

impl ConversationLoop {
    async fn run(&mut self) -> EndReason {
        loop {
            self.execute_outputs().await;
            if let Some(reason) = self.hang_up {
                return reason;
            }
            self.call.record.record_legs(self.lines()).await;
            let happened = self.next().await;
            self.handle(happened).await;
        }
    }

    /// Lines the call holds, for its row.
    fn lines(&self) -> u32 {
        let inbound_refer = matches!(&self.call.leg, CallLeg::Sip(line) if line.inbound_refer.is_some());
        call_events::lines(self.consultation.is_some(), inbound_refer)
    }
}
