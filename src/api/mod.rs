//! The REST API. A handler parses, asks the domain and the store, and answers; it never sees SQL, SIP
//! or sound. Mounted twice: `/api/v1` with the envelope, `/v1` with the bare body.

mod agent_versions;
mod agent_view;
mod agents;
mod api_keys;
mod audit_log;
mod auth;
mod auth_header;
mod body;
mod body_schema;
mod calls;
mod client_ip;
mod console;
mod constraints;
mod envelope;
mod error;
mod events;
mod examples;
mod health;
mod health_checks;
pub mod http_listener;
mod http_settings;
mod input;
mod large_body_queue;
pub mod live_socket;
mod live_transcript;
mod login_throttle;
pub mod metrics;
mod metrics_service;
mod openapi;
mod organization_rates;
mod organizations;
mod passwords;
mod patch;
mod phone_numbers;
mod precondition;
mod providers;
mod query_parameters;
mod rate_limit;
mod recordings;
mod reports;
mod request_deadline;
mod request_limits;
mod response;
pub mod router;
mod secrets;
mod sessions;
mod settings;
mod state;
mod tasks;
mod text_limits;
mod trunks;
mod usage;
mod user_view;
mod users;
mod web_calls;
mod webhook_deliveries;
mod whip;

pub use health_checks::HealthSources;
pub use metrics_service::{MetricsAuth, MetricsSources};
pub use router::openapi_document;
pub use settings::{ApiSettings, DemoPhrase, DemoSettings, IceServerSettings};
pub use state::{ApiServices, ApiState};

#[cfg(test)]
mod tests;
