//! What is to be found out about a call when it is over.

use super::rules::{between, fits};
use super::schema_sense::describes_no_object;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What to find out about a call when it is over; `analysis_plan` of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct AnalysisPlan {
    /// JSON schema of what is extracted from the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}))]
    #[garde(inner(custom(fits(Value::is_object, "must be a JSON schema"))))]
    #[garde(inner(custom(fits(|schema: &Value| !describes_no_object(schema), "must be the JSON schema of an object"))))]
    pub structured_data_plan: Option<Value>,
    /// Turns of caller and agent a call must have to be analysed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10_000)]
    #[garde(inner(custom(between(0..=10_000))))]
    pub min_messages_threshold: Option<u32>,
    /// What makes a call a success, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_criteria: Option<String>,
}

/// The field of the schema, from the agent.
pub(super) const SCHEMA_FIELD: &str = "analysis_plan.structured_data_plan";
