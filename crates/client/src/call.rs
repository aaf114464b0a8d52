//! `trunkline call NUMBER --agent NAME`: an agent of the server calls a number, and the call is shown until it ends.

use crate::api::Api;
use crate::credentials;
use crate::error::ClientError;
use crate::output::{cell, print, print_json};
use crate::resource::{AGENTS, CALLS};
use crate::tail::{CallEnd, TailOutput, follow};
use clap::Args;
use serde_json::{Map, Value, json};
use std::time::Duration;
use trunkline_domain::end_reason::EndReason;

/// How long a call may take to be hung up after Ctrl-C.
const HANG_UP: Duration = Duration::from_secs(5);

/// What `trunkline call` takes of this.
#[derive(Debug, Args)]
pub struct CallByAgentArgs {
    /// Let this agent of the server call the number (E.164, such as +31201234567), and show what is said. Exit code 5
    /// if the call fails. Needs `trunkline login`.
    #[arg(long, value_name = "NAME OR ID", requires = "to")]
    agent: Option<String>,
    /// The organization's number that is shown to the callee.
    #[arg(long, value_name = "NUMBER", requires = "agent")]
    from_number: Option<String>,
    /// First words of the call, instead of the agent's.
    #[arg(long, value_name = "TEXT", requires = "agent")]
    first_message: Option<String>,
    /// A fact about the callee for the agent; may be repeated.
    #[arg(long = "context", value_name = "NAME=VALUE", requires = "agent")]
    context: Vec<String>,
    /// Print the call as one JSON document when it is over, and nothing before.
    #[arg(long, requires = "agent")]
    json: bool,
}

/// A call that an agent is to make.
#[derive(Debug)]
pub struct CallByAgent {
    to: String,
    agent: String,
    more: Map<String, Value>,
    json: bool,
}

impl CallByAgentArgs {
    /// The call, if an agent is named.
    ///
    /// # Errors
    ///
    /// A fact that has no name.
    pub fn call(self, to: Option<&str>) -> Result<Option<CallByAgent>, ClientError> {
        let (Some(agent), Some(to)) = (self.agent, to) else { return Ok(None) };
        let mut more = Map::new();
        let mut context = Map::new();
        for fact in &self.context {
            let pair = fact.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) =
                pair.ok_or_else(|| ClientError::Usage(format!("--context {fact}: it is NAME=VALUE")))?;
            context.insert(name.to_owned(), value.into());
        }
        if !context.is_empty() {
            more.insert("context_data".to_owned(), context.into());
        }
        for (field, value) in [("from_number", self.from_number), ("starting_message", self.first_message)] {
            if let Some(value) = value {
                more.insert(field.to_owned(), value.into());
            }
        }
        Ok(Some(CallByAgent { to: to.to_owned(), agent, more, json: self.json }))
    }
}

impl CallByAgent {
    /// Makes the call and shows it.
    ///
    /// # Errors
    ///
    /// What was refused, or the end reason of a call that failed.
    pub async fn run(self) -> Result<(), ClientError> {
        let api = Api::new(&credentials::server()?)?;
        let agent = AGENTS.id_of(&api, &self.agent).await?;
        let id = self.place(&api, &agent).await?;
        let mut output = if self.json { TailOutput::Silent } else { TailOutput::lines() };
        let end = tokio::select! {
            end = follow(&api, &id, &mut output) => end?,
            _ = tokio::signal::ctrl_c() => return Err(hang_up(&api, &id).await),
        };
        if self.json {
            print_json(&api.get(&CALLS.path_of(&id)).await?)?;
        }
        outcome(&end)
    }

    /// Creates the task and has it carried out; returns the id of the call.
    async fn place(&self, api: &Api, agent: &str) -> Result<String, ClientError> {
        let mut task = self.more.clone();
        task.insert("agent_id".to_owned(), agent.into());
        task.insert("to_number".to_owned(), self.to.as_str().into());
        let made = api.post("/tasks", &Value::Object(task)).await?;
        let task = made["task"]["id"].as_str().unwrap_or_default().to_owned();
        let executed = match api.post(&format!("/tasks/{task}/execute"), &json!({})).await {
            Ok(executed) => executed,
            Err(error) => {
                // A call that never was leaves nothing behind.
                let _ = api.delete(&format!("/tasks/{task}")).await;
                return Err(error);
            }
        };
        let id = executed["call_id"].as_str().unwrap_or_default().to_owned();
        if !self.json {
            print(&format!("-- {}: call {id}", cell(&executed["message"])))?;
        }
        Ok(id)
    }
}

/// Whoever makes a call and presses Ctrl-C does not want to leave it alone.
async fn hang_up(api: &Api, id: &str) -> ClientError {
    let path = format!("/calls/{id}/end");
    let words = match tokio::time::timeout(HANG_UP, api.post(&path, &json!({}))).await {
        Ok(Ok(_)) => "hung up".to_owned(),
        Ok(Err(error)) => format!("the call may go on: {error}"),
        Err(_) => format!("the call may go on: `trunkline calls end {id}` hangs up"),
    };
    ClientError::Interrupted(words)
}

/// The exit code follows the end reason; one that this client does not know, the status.
fn outcome(end: &CallEnd) -> Result<(), ClientError> {
    let reason = end.reason.as_deref().unwrap_or(&end.status);
    let known = end.reason.as_deref().and_then(EndReason::parse);
    let failed = known.map_or(end.status == "failed", EndReason::is_failure);
    if failed { Err(ClientError::CallFailed(format!("the call failed: {reason}"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_follows_the_end_reason() {
        let end = |status: &str, reason: Option<&str>| {
            let end = CallEnd { status: status.into(), reason: reason.map(Into::into) };
            outcome(&end).map_err(|error| (error.exit_code(), error.to_string()))
        };
        assert_eq!(end("completed", Some("agent_hung_up")), Ok(()));
        assert_eq!(end("failed", Some("busy")), Err((5, "the call failed: busy".to_owned())));
        assert_eq!(end("failed", Some("eaten_by_a_whale")).unwrap_err().0, 5, "a reason of a newer server");
        assert_eq!(end("completed", None), Ok(()));
    }

    #[test]
    fn facts_have_names() {
        let args = |context: &[&str]| CallByAgentArgs {
            agent: Some("A".into()),
            from_number: None,
            first_message: Some("Hi.".into()),
            context: context.iter().map(|&one| one.into()).collect(),
            json: false,
        };
        let call = args(&["customer=Jan", "note=a=b"]).call(Some("+31201234567")).unwrap().unwrap();
        let wanted = json!({"context_data": {"customer": "Jan", "note": "a=b"}, "starting_message": "Hi."});
        assert_eq!(Value::Object(call.more), wanted);
        assert!(args(&["customer"]).call(Some("+1")).is_err());
    }
}
