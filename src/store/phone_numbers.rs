//! Numbers: which agent answers them and which trunk they come over.

use super::{OrgScope, Page, Store, StoreError, document, now, parsed};
use crate::domain::agent::Agent;
use crate::domain::ids::{AgentId, OrganizationId, PhoneNumberId, TrunkId};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::time::UnixMs;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

#[derive(Clone, Debug, PartialEq)]
pub struct PhoneNumberRow {
    pub id: PhoneNumberId,
    pub number: PhoneNumber,
    pub agent: Option<AgentId>,
    pub trunk: Option<TrunkId>,
    pub name: Option<String>,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

/// Who answers a call that came in.
#[derive(Clone, Debug)]
pub struct Route {
    pub scope: OrgScope,
    pub agent: Agent,
}

fn number(row: &SqliteRow) -> Result<PhoneNumberRow, StoreError> {
    let agent: Option<String> = row.try_get("agent_id")?;
    let trunk: Option<String> = row.try_get("trunk_id")?;
    Ok(PhoneNumberRow {
        id: parsed(PhoneNumberId::parse(row.try_get("id")?), "phone_numbers.id")?,
        number: parsed(PhoneNumber::parse(row.try_get("number")?), "phone_numbers.number")?,
        agent: agent.as_deref().and_then(AgentId::parse),
        trunk: trunk.as_deref().and_then(TrunkId::parse),
        name: row.try_get("name")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    pub async fn create_phone_number(
        &self, scope: OrgScope, phone: &PhoneNumber, agent: Option<AgentId>, trunk: Option<TrunkId>,
        name: Option<String>,
    ) -> Result<PhoneNumberRow, StoreError> {
        let at = now();
        let row = PhoneNumberRow {
            id: PhoneNumberId::new(),
            number: phone.clone(),
            agent,
            trunk,
            name,
            created_at: at,
            updated_at: at,
        };
        sqlx::query("INSERT INTO phone_numbers (id, organization_id, number, agent_id, trunk_id, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(row.id.to_string())
            .bind(scope.organization().to_string())
            .bind(phone.as_str())
            .bind(agent.map(|id| id.to_string()))
            .bind(trunk.map(|id| id.to_string()))
            .bind(&row.name)
            .bind(at.0)
            .bind(at.0)
            .execute(&self.write)
            .await
            .map_err(|error| super::unique(error, "this number"))?;
        Ok(row)
    }

    pub async fn phone_number(&self, scope: OrgScope, id: PhoneNumberId) -> Result<Option<PhoneNumberRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM phone_numbers WHERE id = ? AND organization_id = ?")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(number).transpose()
    }

    pub async fn phone_numbers(&self, scope: OrgScope, page: Page) -> Result<(Vec<PhoneNumberRow>, i64), StoreError> {
        let organization = scope.organization().to_string();
        let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM phone_numbers WHERE organization_id = ?")
            .bind(&organization)
            .fetch_one(&self.read)
            .await?;
        let rows = sqlx::query(
            "SELECT * FROM phone_numbers WHERE organization_id = ? ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
        )
        .bind(&organization)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(&self.read)
        .await?;
        Ok((rows.iter().map(number).collect::<Result<_, _>>()?, total))
    }

    pub async fn update_phone_number(&self, scope: OrgScope, row: &PhoneNumberRow) -> Result<(), StoreError> {
        sqlx::query("UPDATE phone_numbers SET agent_id = ?, trunk_id = ?, name = ?, updated_at = ? WHERE id = ? AND organization_id = ?")
            .bind(row.agent.map(|id| id.to_string()))
            .bind(row.trunk.map(|id| id.to_string()))
            .bind(&row.name)
            .bind(row.updated_at.0)
            .bind(row.id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        Ok(())
    }

    pub async fn delete_phone_number(&self, scope: OrgScope, id: PhoneNumberId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM phone_numbers WHERE id = ? AND organization_id = ?")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// The active agent of a dialled number, if the number belongs to the organization of one of the
    /// trunks the call may have come over. The user part of the Request-URI is matched with and
    /// without its plus.
    pub async fn route(&self, dialled: &str, trunks: &[TrunkId]) -> Result<Option<Route>, StoreError> {
        let plus = format!("+{}", dialled.trim_start_matches('+'));
        let rows = sqlx::query(
            "SELECT p.trunk_id AS via, t.id AS candidate, a.id, a.fields, a.created_at, a.updated_at, a.organization_id \
             FROM phone_numbers p JOIN agents a ON a.id = p.agent_id JOIN trunks t ON t.organization_id = p.organization_id \
             WHERE p.number = ? AND a.is_active = 1",
        )
        .bind(plus)
        .fetch_all(&self.read)
        .await?;
        for row in &rows {
            let via: Option<String> = row.try_get("via")?;
            let candidate: String = row.try_get("candidate")?;
            let fits = via.is_none_or(|via| via == candidate);
            if !fits || !trunks.iter().any(|trunk| trunk.to_string() == candidate) {
                continue;
            }
            let organization =
                parsed(OrganizationId::parse(row.try_get("organization_id")?), "agents.organization_id")?;
            let scope = OrgScope::new(organization);
            let agent = Agent {
                id: parsed(AgentId::parse(row.try_get("id")?), "agents.id")?,
                organization,
                fields: document(row.try_get("fields")?)?,
                created_at: UnixMs(row.try_get("created_at")?),
                updated_at: UnixMs(row.try_get("updated_at")?),
            };
            return Ok(Some(Route { scope, agent }));
        }
        Ok(None)
    }
}
