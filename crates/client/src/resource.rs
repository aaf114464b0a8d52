//! The lists of the API: their paths, what identifies an entry for people, and the columns of their tables.

use crate::api::Api;
use crate::error::ClientError;
use crate::output::{cell, table};
use serde_json::Value;

/// Entries that are searched for a name.
const SEARCHED_MAX: usize = 100_000;

/// A kind of document.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Path of the list.
    pub path: &'static str,
    /// Field of the list in its page.
    pub many: &'static str,
    /// Field of a document in its answer; also what people call it.
    pub one: &'static str,
    /// Field that people name an entry by; none: by its id only.
    pub name: Option<&'static str>,
    /// Heads and fields of the table.
    columns: &'static [(&'static str, &'static str)],
}

/// `/agents`.
pub(crate) const AGENTS: Resource = Resource {
    path: "/agents",
    many: "agents",
    one: "agent",
    name: Some("name"),
    columns: &[
        ("ID", "/id"),
        ("NAME", "/name"),
        ("ENABLED", "/is_active"),
        ("STT", "/stt_config/provider"),
        ("LLM", "/llm_config/model"),
        ("TTS", "/tts_config/provider"),
        ("UPDATED", "/updated_at"),
    ],
};

/// `/phone-numbers`.
pub(crate) const NUMBERS: Resource = Resource {
    path: "/phone-numbers",
    many: "phone_numbers",
    one: "phone_number",
    name: Some("number"),
    columns: &[
        ("ID", "/id"),
        ("NUMBER", "/number"),
        ("NAME", "/name"),
        ("AGENT", "/agent_id"),
        ("TRUNK", "/trunk_id"),
        ("UPDATED", "/updated_at"),
    ],
};

/// `/trunks`.
pub(crate) const TRUNKS: Resource = Resource {
    path: "/trunks",
    many: "trunks",
    one: "trunk",
    name: Some("name"),
    columns: &[
        ("ID", "/id"),
        ("NAME", "/name"),
        ("HOST", "/host"),
        ("TRANSPORT", "/transport"),
        ("REGISTRATION", "/state/registration/state"),
        ("UPDATED", "/updated_at"),
    ],
};

/// `/tasks`.
pub(crate) const TASKS: Resource = Resource {
    path: "/tasks",
    many: "tasks",
    one: "task",
    name: None,
    columns: &[
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("TO", "/to_number"),
        ("AGENT", "/agent_id"),
        ("SCHEDULED", "/scheduled_at"),
        ("CREATED", "/created_at"),
    ],
};

/// `/calls`.
pub(crate) const CALLS: Resource = Resource {
    path: "/calls",
    many: "calls",
    one: "call",
    name: None,
    columns: &[
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("END", "/end_reason"),
        ("DIRECTION", "/direction"),
        ("FROM", "/from_number"),
        ("TO", "/to_number"),
        ("SECONDS", "/duration_seconds"),
        ("STARTED", "/started_at"),
    ],
};

impl Resource {
    /// A table of entries.
    pub(crate) fn table(&self, entries: &[Value]) -> String {
        let header: Vec<&str> = self.columns.iter().map(|(head, _)| *head).collect();
        let row = |entry: &Value| {
            self.columns.iter().map(|(_, field)| cell(entry.pointer(field).unwrap_or(&Value::Null))).collect()
        };
        table(&header, &entries.iter().map(row).collect::<Vec<_>>())
    }

    /// The path of one document.
    pub(crate) fn path_of(&self, id: &str) -> String {
        format!("{}/{id}", self.path)
    }

    /// The id of the entry that a person means: an id, or a name that only one entry has.
    pub(crate) async fn id_of(&self, api: &Api, text: &str) -> Result<String, ClientError> {
        if uuid::Uuid::try_parse(text).is_ok() {
            return Ok(text.to_owned());
        }
        let Some(name) = self.name else {
            return Err(ClientError::Usage(format!("{text:?} is not the id of a {}", self.one)));
        };
        let (entries, _) = api.list(self.path, self.many, &[], SEARCHED_MAX).await?;
        let found: Vec<&Value> = entries.iter().filter(|entry| entry[name].as_str() == Some(text)).collect();
        let what = self.one.replace('_', " ");
        match found.as_slice() {
            [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
            [] => Err(ClientError::Usage(format!("there is no {what} {text:?}: `list` shows those that are there"))),
            many => {
                let ids: Vec<&str> = many.iter().filter_map(|entry| entry["id"].as_str()).collect();
                let count = many.len();
                Err(ClientError::Usage(format!("{count} entries are called {text:?}; use an id: {}", ids.join(", "))))
            }
        }
    }

    /// All entries.
    pub(crate) async fn all(&self, api: &Api) -> Result<Vec<Value>, ClientError> {
        Ok(api.list(self.path, self.many, &[], SEARCHED_MAX).await?.0)
    }
}
