//! A call: the machine that decides is in `trunkline-conversation`, the driver that carries is here.

pub mod admission;
pub mod assistant;
mod call_events;
mod call_metrics;
mod call_row;
mod call_webhooks;
mod cluster_messages;
mod concurrency_limits;
mod dialog_rules;
pub mod driver;
mod inbound_answer;
mod inbound_route;
pub mod invite;
pub mod live_update;
mod local_voice;
pub mod negotiate;
pub mod outgoing_call;
pub mod past_events;
mod personalize;
mod post_call;
mod provider_plan;
pub mod public_links;
mod realtime_plan;
mod recordings;
pub mod registry;
pub mod sip_causes;
mod sip_log;
mod task_placement;
mod tool_calls;
mod tool_schemas;
pub mod trunk_routes;
pub mod trunk_selection;
mod trunk_states;
mod tts_queue;
mod web_quota;

pub use trunkline_conversation::{amd, dtmf, machine};
