//! Agents.

use super::agent_versions::insert_version;
use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, document, now, parsed, text};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::sync::Arc;
use trunkline_domain::agent::{Agent, AgentFields};
use trunkline_domain::ids::{AgentId, OrganizationId};
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::time::UnixMs;

fn agent(scope: OrgScope, row: &AnyRow) -> Result<Agent, StoreError> {
    Ok(Agent {
        id: parsed(AgentId::parse(row.try_get("id")?), "agents.id")?,
        organization: scope.organization(),
        fields: document(row.try_get("fields")?)?,
        version: row.try_get("version")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    /// Creates an agent with version 1. Fails with `QuotaExceeded` if the organization or its family has too many.
    pub async fn create_agent(&self, scope: OrgScope, fields: AgentFields) -> Result<Agent, StoreError> {
        let at = now();
        let agent = Agent {
            id: AgentId::new(),
            organization: scope.organization(),
            fields,
            version: 1,
            created_at: at,
            updated_at: at,
        };
        let mut transaction = self.write.begin().await?;
        self.reserve(&mut transaction, scope.organization(), QuotaResource::Agents).await?;
        sqlx::query("INSERT INTO agents (id, organization_id, is_active, fields, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(agent.id.to_string())
            .bind(scope.organization().to_string())
            .bind(i64::from(agent.fields.is_active))
            .bind(text(&agent.fields)?)
            .bind(at.0)
            .bind(at.0)
            .execute(&mut *transaction)
            .await?;
        insert_version(&mut transaction, &agent).await?;
        transaction.commit().await?;
        Ok(agent)
    }

    /// Returns a copy of an agent, from the cache for up to a second; `None` if the organization has no such agent.
    pub async fn agent(&self, scope: OrgScope, id: AgentId) -> Result<Option<Agent>, StoreError> {
        Ok(self.shared_agent(scope, id).await?.map(|agent| Agent::clone(&agent)))
    }

    /// The same without a copy; the same value for as long as it is remembered.
    pub async fn shared_agent(&self, scope: OrgScope, id: AgentId) -> Result<Option<Arc<Agent>>, StoreError> {
        if let Some(agent) = self.cache.agent(scope.organization(), id) {
            return Ok(Some(agent));
        }
        let found = self.stored_agent(scope, id).await?.map(Arc::new);
        if let Some(agent) = &found {
            self.cache.put_agent(agent);
        }
        Ok(found)
    }

    /// The agent as the database has it now, for changes: what is remembered may be a second old.
    pub async fn stored_agent(&self, scope: OrgScope, id: AgentId) -> Result<Option<Agent>, StoreError> {
        let row = sqlx::query("SELECT * FROM agents WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(|row| agent(scope, row)).transpose()
    }

    /// Returns a page, newest first, and the number of all that match. `active` filters by `is_active`; `None`: all.
    pub async fn agents(
        &self, scope: OrgScope, active: Option<bool>, page: PageRequest,
    ) -> Result<(Vec<Agent>, i64), StoreError> {
        let from = "FROM agents WHERE organization_id = $1 AND ($2 IS NULL OR is_active = $2)";
        let binds = [BindValue::Text(scope.organization().to_string()), BindValue::MaybeInt(active.map(i64::from))];
        self.list("*", from, "created_at DESC, id DESC", &binds, page, |row| agent(scope, row)).await
    }

    /// Active agents of all organizations, newest first: for the operator's checks.
    pub async fn active_agents_of_everyone(&self, limit: i64) -> Result<Vec<Agent>, StoreError> {
        let newest = "SELECT * FROM agents WHERE is_active = 1 ORDER BY created_at DESC, id DESC LIMIT $1";
        let rows = sqlx::query(newest).bind(limit).fetch_all(&self.read).await?;
        let with_scope = |row: &AnyRow| {
            let organization = OrganizationId::parse(row.try_get("organization_id")?);
            agent(OrgScope::new(parsed(organization, "agents.organization_id")?), row)
        };
        rows.iter().map(with_scope).collect()
    }

    /// Changes an agent if it is still in the version that `agent` was read in; false when it is not.
    pub async fn update_agent(&self, scope: OrgScope, agent: &Agent) -> Result<bool, StoreError> {
        let mut transaction = self.write.begin().await?;
        let updated = sqlx::query(
            "UPDATE agents SET is_active = $1, fields = $2, updated_at = $3, version = version + 1 \
             WHERE id = $4 AND organization_id = $5 AND version = $6",
        )
        .bind(i64::from(agent.fields.is_active))
        .bind(text(&agent.fields)?)
        .bind(agent.updated_at.0)
        .bind(agent.id.to_string())
        .bind(scope.organization().to_string())
        .bind(agent.version)
        .execute(&mut *transaction)
        .await?;
        let changed = updated.rows_affected() == 1;
        if changed {
            insert_version(&mut transaction, agent).await?;
        }
        transaction.commit().await?;
        self.cache.forget_agent(agent.id);
        Ok(changed)
    }

    /// False when tasks that are pending or in progress still need it.
    pub async fn delete_agent(&self, scope: OrgScope, id: AgentId) -> Result<bool, StoreError> {
        let mut transaction = self.write.begin().await?;
        let active: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM tasks WHERE agent_id = $1 AND organization_id = $2 AND status IN ('pending', 'in_progress')",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .fetch_one(&mut *transaction)
        .await?;
        if active > 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM agent_versions WHERE agent_id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM agents WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.cache.forget_agent(id);
        Ok(true)
    }
}
