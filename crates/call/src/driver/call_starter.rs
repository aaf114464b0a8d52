//! Starts calls for the API and the scheduler, who need nothing else of a call's services.

use super::chat_call;
use super::concurrency::ConcurrencyPermit;
use super::listen_in;
use super::listen_request::ListenError;
use super::services::SharedServices;
use super::task_call::{self, PlaceCallError, PlacedCall};
use super::web_call::{self, WebCallParams};
use super::web_offers::{WebAnswer, WebCallError};
use crate::domain::agent::Agent;
use crate::domain::ids::{CallId, TaskId, TrunkId};
use crate::store::OrgScope;
use secrecy::SecretString;
use std::net::IpAddr;

/// Starts calls of tasks and of browsers.
#[derive(Clone, Debug)]
pub struct CallStarter(SharedServices);

impl CallStarter {
    /// Starts calls with these services.
    pub fn new(services: SharedServices) -> Self {
        Self(services)
    }

    /// Calls the number of a pending task now, or queues it (`may_wait`). `full` are trunks that had no capacity for a
    /// more urgent task a moment ago.
    pub async fn place(
        &self, scope: OrgScope, task: TaskId, may_wait: bool, full: &[TrunkId],
    ) -> Result<PlacedCall, PlaceCallError> {
        task_call::place(&self.0, scope, task, may_wait, full).await
    }

    /// Creates a call that waits for its browser; its row exists on return.
    pub async fn place_web(
        &self, scope: OrgScope, agent: Agent, params: WebCallParams,
    ) -> Result<CallId, WebCallError> {
        web_call::place_web(&self.0, scope, agent, params).await
    }

    /// Begins a chat, a call without sound; its row exists on return.
    pub async fn place_chat(
        &self, scope: OrgScope, agent: Agent, params: WebCallParams,
    ) -> Result<CallId, WebCallError> {
        chat_call::place_chat(&self.0, scope, agent, params).await
    }

    /// Answers the offer of somebody who listens to a live call of this process; `permit` is held until they go.
    ///
    /// # Errors
    ///
    /// The call cannot be heard, or the offer not be used.
    pub async fn listen_in(
        &self, scope: OrgScope, call: CallId, offer: &str, permit: ConcurrencyPermit,
    ) -> Result<String, ListenError> {
        listen_in::listen_in(&self.0, scope, call, offer, permit).await
    }

    /// Passes a browser's offer to the call of its token, or to another call with the same agent if the token allows
    /// more.
    pub async fn connect_web(
        &self, scope: OrgScope, token: CallId, agent: Agent, sdp: String, address: IpAddr,
    ) -> Result<WebAnswer, WebCallError> {
        web_call::connect_web(&self.0, scope, token, agent, sdp, address).await
    }

    /// Candidates that a browser found later. False when there is no such call here.
    pub fn add_web_candidates(&self, scope: OrgScope, call: CallId, lines: Vec<String>) -> bool {
        web_call::add_web_candidates(&self.0, scope, call, lines)
    }

    /// ICE restart: our new user fragment and password.
    pub async fn restart_web(
        &self, scope: OrgScope, call: CallId, ufrag: String, password: SecretString,
    ) -> Option<(String, SecretString)> {
        web_call::restart_web(&self.0, scope, call, ufrag, password).await
    }
}
