//! What is to be found out about a call when it is over.

use super::FieldFault;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

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

impl AnalysisPlan {
    pub fn validate(&self) -> Result<(), FieldFault> {
        if self.min_messages_threshold.is_some_and(|min| min > 10_000) {
            return Err(FieldFault::new("analysis_plan.min_messages_threshold", "must be between 0 and 10000"));
        }
        if let Some(schema) = &self.structured_data_plan {
            let fault = |message: String| FieldFault::new("analysis_plan.structured_data_plan", message);
            if !schema.is_object() {
                return Err(fault("must be a JSON schema".to_owned()));
            }
            jsonschema::validator_for(schema).map_err(|error| fault(format!("is not a JSON schema: {error}")))?;
        }
        Ok(())
    }
}
