//! What is to be found out about a call when it is over.

use super::FieldError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What to find out about a call when it is over; `analysis_plan` of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalysisPlan {
    /// JSON schema of what is extracted from the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}))]
    pub structured_data_plan: Option<Value>,
    /// Turns of caller and agent a call must have to be analysed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10_000)]
    pub min_messages_threshold: Option<u32>,
    /// What makes a call a success, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_criteria: Option<String>,
}

/// The field of the schema, from the agent.
pub(super) const SCHEMA_FIELD: &str = "analysis_plan.structured_data_plan";

impl AnalysisPlan {
    /// Whether the values can be used; not whether the schema can, see [`AgentFields::check_schemas`].
    ///
    /// [`AgentFields::check_schemas`]: super::agent::AgentFields::check_schemas
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.min_messages_threshold.is_some_and(|min| min > 10_000) {
            return Err(FieldError::new("analysis_plan.min_messages_threshold", "must be between 0 and 10000"));
        }
        if self.structured_data_plan.as_ref().is_some_and(|schema| !schema.is_object()) {
            return Err(FieldError::new(SCHEMA_FIELD, "must be a JSON schema"));
        }
        Ok(())
    }
}
