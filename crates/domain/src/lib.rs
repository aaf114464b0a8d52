//! The vocabulary of the product: values that cannot be wrong once they exist. Imports nothing of ours.

pub mod agent;
pub mod agent_handover;
pub mod agent_texts;
pub mod alert;
pub mod alert_message;
pub mod allowed_networks;
pub mod ambience;
pub mod analysis;
pub mod attestation;
pub mod batch;
pub mod built_in_tools;
pub mod call;
pub mod call_control;
pub mod call_count;
pub mod call_documents;
pub mod call_facts;
pub mod chat;
pub mod collected;
pub mod delivery;
pub mod dtmf_rules;
pub mod end_reason;
pub mod fair_share;
pub mod fallback;
pub mod finding;
pub mod flow;
pub mod ids;
pub mod inbound_claim;
pub mod keyterms;
pub mod languages;
pub mod llm_options;
pub mod local_stt;
pub mod local_voice;
pub mod login_address;
pub mod organization;
pub mod password;
pub mod permission;
pub mod phone_number;
pub mod price;
pub mod pronunciation;
pub mod provider;
pub mod provider_config;
pub mod quota;
pub mod ringing_config;
mod rules;
pub mod schedule;
pub mod schema_sense;
pub mod secret;
pub mod sip_headers;
pub mod sip_log;
pub mod speech_tags;
pub mod task;
pub mod template;
pub mod time;
pub mod tool_limits;
pub mod tool_progress;
pub mod tool_request;
pub mod transcript;
pub mod transfer;
pub mod trunk;
pub mod turn_config;
pub mod webhook_secret;

use garde::{Report, Validate};

/// Faults that one answer lists.
pub const FAULTS_MAX: usize = 50;

/// A value of a customer that was refused, with the path of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `llm_config.tools[0].function.name`.
    pub field: String,
    /// What is wrong, in words that follow the name of the field: `must be between 0 and 2`.
    pub message: String,
}

impl FieldError {
    /// Creates an error from the path of the field and the words that follow it.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same fault seen from the object that holds the field.
    pub fn inside(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), message: self.message }
    }
}

/// What is wrong with a value by the rules on its fields: [`FAULTS_MAX`] at most. `garde` checks fields in the order of
/// their names.
pub fn faults(value: &impl Validate<Context = ()>) -> Vec<FieldError> {
    let found = value.validate().err().map(Report::into_inner).into_iter().flatten().take(FAULTS_MAX);
    // A field that is named like a word of Rust is raw in the code only.
    let told = found.map(|(path, error)| FieldError::new(path.to_string().replace("r#", ""), error.message()));
    told.collect()
}

#[cfg(test)]
mod tests;
