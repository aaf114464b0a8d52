//! Agents.

use super::{OrgScope, Page, Store, StoreError, document, now, parsed, text};
use crate::domain::agent::{Agent, AgentFields};
use crate::domain::ids::AgentId;
use crate::domain::time::UnixMs;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

fn agent(scope: OrgScope, row: &SqliteRow) -> Result<Agent, StoreError> {
    Ok(Agent {
        id: parsed(AgentId::parse(row.try_get("id")?), "agents.id")?,
        organization: scope.organization(),
        fields: document(row.try_get("fields")?)?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    pub async fn create_agent(&self, scope: OrgScope, fields: AgentFields) -> Result<Agent, StoreError> {
        let at = now();
        let agent =
            Agent { id: AgentId::new(), organization: scope.organization(), fields, created_at: at, updated_at: at };
        sqlx::query("INSERT INTO agents (id, organization_id, is_active, fields, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(agent.id.to_string())
            .bind(scope.organization().to_string())
            .bind(agent.fields.is_active)
            .bind(text(&agent.fields)?)
            .bind(at.0)
            .bind(at.0)
            .execute(&self.write)
            .await?;
        Ok(agent)
    }

    pub async fn agent(&self, scope: OrgScope, id: AgentId) -> Result<Option<Agent>, StoreError> {
        let row = sqlx::query("SELECT * FROM agents WHERE id = ? AND organization_id = ?")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(|row| agent(scope, row)).transpose()
    }

    pub async fn agents(
        &self, scope: OrgScope, active: Option<bool>, page: Page,
    ) -> Result<(Vec<Agent>, i64), StoreError> {
        const WHERE: &str = "FROM agents WHERE organization_id = ?1 AND (?2 IS NULL OR is_active = ?2)";
        let organization = scope.organization().to_string();
        let total: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) {WHERE}")))
            .bind(&organization)
            .bind(active)
            .fetch_one(&self.read)
            .await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT * {WHERE} ORDER BY created_at DESC, id DESC LIMIT ?3 OFFSET ?4"
        )))
        .bind(&organization)
        .bind(active)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(&self.read)
        .await?;
        Ok((rows.iter().map(|row| agent(scope, row)).collect::<Result<_, _>>()?, total))
    }

    pub async fn update_agent(&self, scope: OrgScope, agent: &Agent) -> Result<(), StoreError> {
        sqlx::query("UPDATE agents SET is_active = ?, fields = ?, updated_at = ? WHERE id = ? AND organization_id = ?")
            .bind(agent.fields.is_active)
            .bind(text(&agent.fields)?)
            .bind(agent.updated_at.0)
            .bind(agent.id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// False when tasks that are pending or in progress still need it.
    pub async fn delete_agent(&self, scope: OrgScope, id: AgentId) -> Result<bool, StoreError> {
        let mut transaction = self.write.begin().await?;
        let active: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM tasks WHERE agent_id = ? AND organization_id = ? AND status IN ('pending', 'in_progress')",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .fetch_one(&mut *transaction)
        .await?;
        if active > 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM agents WHERE id = ? AND organization_id = ?")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}
