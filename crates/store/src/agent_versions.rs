//! Every state an agent has been saved in.

use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, document, text};
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};
use trunkline_domain::agent::{Agent, AgentFields};
use trunkline_domain::ids::AgentId;
use trunkline_domain::time::UnixMs;

/// Versions kept of one agent; the oldest go first.
const VERSIONS_MAX: i64 = 200;
/// Bytes of them: of an agent with a long prompt fewer are kept, at least the present one and the one before.
const VERSIONS_BYTES_MAX: usize = 4 << 20;

/// A state that an agent was saved in; 200 at most are kept of an agent.
#[derive(Clone, Debug)]
pub struct AgentVersion {
    /// From 1, the newest is the present state.
    pub version: i64,
    /// The customer's document, as it was saved then.
    pub fields: AgentFields,
    /// When this version was saved.
    pub created_at: UnixMs,
}

fn version(row: &AnyRow) -> Result<AgentVersion, StoreError> {
    Ok(AgentVersion {
        version: row.try_get("version")?,
        fields: document(row.try_get("fields")?)?,
        created_at: UnixMs(row.try_get("created_at")?),
    })
}

/// Writes the agent's present state down, under the version that its row has by now.
pub(super) async fn insert_version(transaction: &mut Transaction<'_, Any>, agent: &Agent) -> Result<(), StoreError> {
    let fields = text(&agent.fields)?;
    let kept = i64::try_from(VERSIONS_BYTES_MAX / fields.len().max(1)).unwrap_or(VERSIONS_MAX).clamp(2, VERSIONS_MAX);
    sqlx::query(
        "INSERT INTO agent_versions (agent_id, organization_id, version, fields, created_at) \
         SELECT id, organization_id, version, $2, CAST($3 AS BIGINT) FROM agents WHERE id = $1",
    )
    .bind(agent.id.to_string())
    .bind(fields)
    .bind(agent.updated_at.0)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "DELETE FROM agent_versions WHERE agent_id = $1 AND version <= \
         (SELECT MAX(version) FROM agent_versions WHERE agent_id = $1) - $2",
    )
    .bind(agent.id.to_string())
    .bind(kept)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    /// Newest first.
    pub async fn agent_versions(
        &self, scope: OrgScope, agent: AgentId, page: PageRequest,
    ) -> Result<(Vec<AgentVersion>, i64), StoreError> {
        let from = "FROM agent_versions WHERE organization_id = $1 AND agent_id = $2";
        let binds = [BindValue::Text(scope.organization().to_string()), BindValue::Text(agent.to_string())];
        self.list("*", from, "version DESC", &binds, page, version).await
    }

    /// Returns a version by its number; `None` if the agent or version does not exist or is no longer kept.
    pub async fn agent_version(
        &self, scope: OrgScope, agent: AgentId, number: i64,
    ) -> Result<Option<AgentVersion>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM agent_versions WHERE organization_id = $1 AND agent_id = $2 AND version = $3")
                .bind(scope.organization().to_string())
                .bind(agent.to_string())
                .bind(number)
                .fetch_optional(&self.read)
                .await?;
        row.as_ref().map(version).transpose()
    }
}
