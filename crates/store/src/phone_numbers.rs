//! Numbers: which agent answers them and which trunk they come over.

use super::cached::{NumberOwner, PhoneNumberFields};
use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, now, parsed};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use trunkline_domain::agent::Agent;
use trunkline_domain::ids::{AgentId, OrganizationId, PhoneNumberId, TrunkId};
use trunkline_domain::phone_number::PhoneNumber;
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::secret::Secret;
use trunkline_domain::time::UnixMs;
use trunkline_domain::trunk::Trunk;
use trunkline_domain::webhook_secret::PreviousSecret;

/// Bound values of one query: far below what either database takes.
const NUMBERS_PER_QUERY: usize = 100;

/// A stored number: the customer's settings and what the server keeps beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneNumberRow {
    /// Chosen by the server when the number is created; never changes.
    pub id: PhoneNumberId,
    /// The customer's settings, as they were last saved.
    pub fields: PhoneNumberFields,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    /// When the number was created.
    pub created_at: UnixMs,
    /// When the settings were last changed.
    pub updated_at: UnixMs,
}

/// Who answers a call that came in: an agent, or whomever the number's webhook names.
#[derive(Clone, Debug)]
pub struct InboundRoute {
    /// The organization that the number belongs to, and so the call.
    pub scope: OrgScope,
    /// The active agent of the number. `None`: the number's webhook names one.
    pub agent: Option<Agent>,
    /// Settings of the number that was called.
    pub number: PhoneNumberFields,
    /// The trunk that the call came over.
    pub trunk: TrunkId,
}

fn owner(row: &AnyRow) -> Result<NumberOwner, StoreError> {
    let organization = OrganizationId::parse(row.try_get("organization_id")?);
    Ok(NumberOwner {
        organization: parsed(organization, "phone_numbers.organization_id")?,
        fields: fields(row)?,
        created_at: UnixMs(row.try_get("created_at")?),
    })
}

fn fields(row: &AnyRow) -> Result<PhoneNumberFields, StoreError> {
    let text = |name: &str| row.try_get::<Option<String>, _>(name);
    let until = text("webhook_rotation_ends_at")?.as_deref().and_then(UnixMs::parse);
    let previous = text("previous_webhook_secret")?.zip(until);
    let previous = previous.map(|(secret, until)| PreviousSecret { secret: secret.into(), until });
    Ok(PhoneNumberFields {
        number: parsed(PhoneNumber::parse(row.try_get("number")?), "phone_numbers.number")?,
        agent: text("agent_id")?.as_deref().and_then(AgentId::parse),
        trunk: text("trunk_id")?.as_deref().and_then(TrunkId::parse),
        name: text("name")?,
        webhook_url: text("webhook_url")?,
        webhook_secret: text("webhook_secret")?.map(Secret::from),
        previous_webhook_secret: previous,
    })
}

fn number(row: &AnyRow) -> Result<PhoneNumberRow, StoreError> {
    Ok(PhoneNumberRow {
        id: parsed(PhoneNumberId::parse(row.try_get("id")?), "phone_numbers.id")?,
        fields: fields(row)?,
        version: row.try_get("version")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    /// Creates a number. Fails with `Duplicate` if any organization has it, with `QuotaExceeded` if there are too many.
    pub async fn create_phone_number(
        &self, scope: OrgScope, fields: PhoneNumberFields,
    ) -> Result<PhoneNumberRow, StoreError> {
        let at = now();
        let row = PhoneNumberRow { id: PhoneNumberId::new(), fields, version: 1, created_at: at, updated_at: at };
        let mut transaction = self.write.begin().await?;
        self.reserve(&mut transaction, scope.organization(), QuotaResource::PhoneNumbers).await?;
        sqlx::query(
            "INSERT INTO phone_numbers (id, organization_id, number, agent_id, trunk_id, name, webhook_url, webhook_secret, \
             created_at, updated_at, previous_webhook_secret, webhook_rotation_ends_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(row.id.to_string())
        .bind(scope.organization().to_string())
        .bind(row.fields.number.as_str())
        .bind(row.fields.agent.map(|id| id.to_string()))
        .bind(row.fields.trunk.map(|id| id.to_string()))
        .bind(&row.fields.name)
        .bind(&row.fields.webhook_url)
        .bind(row.fields.webhook_secret.as_ref().map(Secret::expose))
        .bind(at.0)
        .bind(at.0)
        .bind(row.fields.previous_webhook_secret.as_ref().map(|previous| previous.secret.expose()))
        .bind(row.fields.previous_webhook_secret.as_ref().map(|previous| previous.until.rfc3339()))
        .execute(&mut *transaction)
        .await
        .map_err(|error| super::unique(error, "this number"))?;
        transaction.commit().await?;
        self.cache.forget_routes();
        Ok(row)
    }

    /// Returns a number by its id; `None` if the organization has no such number.
    pub async fn phone_number(&self, scope: OrgScope, id: PhoneNumberId) -> Result<Option<PhoneNumberRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM phone_numbers WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(number).transpose()
    }

    /// The number that a call goes out from: `wanted`, or without it the newest of the agent's numbers, or the newest of
    /// all. One row at most, for an organization may have thousands.
    pub async fn calling_number(
        &self, scope: OrgScope, wanted: Option<&str>, agent: Option<AgentId>,
    ) -> Result<Option<PhoneNumberRow>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM phone_numbers WHERE organization_id = $1 AND ($2 IS NULL OR number = $2) \
             ORDER BY CASE WHEN agent_id = $3 THEN 0 ELSE 1 END, created_at DESC, id DESC LIMIT 1",
        )
        .bind(scope.organization().to_string())
        .bind(wanted.map(str::to_owned))
        .bind(agent.map(|id| id.to_string()))
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(number).transpose()
    }

    /// Returns a page of numbers, newest first, and the number of all.
    pub async fn phone_numbers(
        &self, scope: OrgScope, page: PageRequest,
    ) -> Result<(Vec<PhoneNumberRow>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
        let from = "FROM phone_numbers WHERE organization_id = $1";
        self.list("*", from, "created_at DESC, id DESC", &binds, page, number).await
    }

    /// Changes everything but the number itself, if it is still in the version that `row` was read in; false when it
    /// is not.
    pub async fn update_phone_number(&self, scope: OrgScope, row: &PhoneNumberRow) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE phone_numbers SET agent_id = $1, trunk_id = $2, name = $3, webhook_url = $4, webhook_secret = $5, \
             updated_at = $6, version = version + 1, previous_webhook_secret = $10, webhook_rotation_ends_at = $11 \
             WHERE id = $7 AND organization_id = $8 AND version = $9",
        )
        .bind(row.fields.agent.map(|id| id.to_string()))
        .bind(row.fields.trunk.map(|id| id.to_string()))
        .bind(&row.fields.name)
        .bind(&row.fields.webhook_url)
        .bind(row.fields.webhook_secret.as_ref().map(Secret::expose))
        .bind(row.updated_at.0)
        .bind(row.id.to_string())
        .bind(scope.organization().to_string())
        .bind(row.version)
        .bind(row.fields.previous_webhook_secret.as_ref().map(|previous| previous.secret.expose()))
        .bind(row.fields.previous_webhook_secret.as_ref().map(|previous| previous.until.rfc3339()))
        .execute(&self.write)
        .await?;
        self.cache.forget_routes();
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a number; does nothing if the organization has no such number.
    pub async fn delete_phone_number(&self, scope: OrgScope, id: PhoneNumberId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM phone_numbers WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        self.cache.forget_routes();
        Ok(())
    }

    /// The owners of those numbers that have one. One query for all that are not cached.
    pub async fn number_owners(
        &self, numbers: impl IntoIterator<Item = PhoneNumber>,
    ) -> Result<HashMap<PhoneNumber, Arc<NumberOwner>>, StoreError> {
        let (mut found, mut unknown) = (HashMap::new(), BTreeSet::new());
        for number in numbers {
            match self.cache.number_owner(&number) {
                Some(Some(owner)) => drop(found.insert(number, owner)),
                Some(None) => {}
                None => drop(unknown.insert(number)),
            }
        }
        let unknown: Vec<PhoneNumber> = unknown.into_iter().collect();
        for some in unknown.chunks(NUMBERS_PER_QUERY) {
            let places: Vec<String> = (1..=some.len()).map(|place| format!("${place}")).collect();
            let text = format!("SELECT * FROM phone_numbers WHERE number IN ({})", places.join(", "));
            let query = sqlx::query(sqlx::AssertSqlSafe(text)); // places only
            let query = some.iter().fold(query, |query, number| query.bind(number.as_str()));
            let rows = query.fetch_all(&self.read).await?;
            let mut owners: HashMap<PhoneNumber, Arc<NumberOwner>> = HashMap::new();
            for row in &rows {
                let owner = owner(row)?;
                owners.insert(owner.fields.number.clone(), Arc::new(owner));
            }
            for number in some {
                let owner = owners.remove(number);
                self.cache.put_number_owner(number.clone(), owner.clone());
                found.extend(owner.map(|owner| (number.clone(), owner)));
            }
        }
        Ok(found)
    }

    /// The number that calls over this trunk are for if they name none: the only one of the trunk, or the only one of its
    /// organization that is of no trunk. `None` if there are several or none.
    pub async fn only_number(&self, trunk: &Trunk) -> Result<Option<Arc<NumberOwner>>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM phone_numbers WHERE organization_id = $1 AND (trunk_id = $2 OR trunk_id IS NULL) \
             ORDER BY CASE WHEN trunk_id IS NULL THEN 1 ELSE 0 END LIMIT 2",
        )
        .bind(trunk.organization.to_string())
        .bind(trunk.id.to_string())
        .fetch_all(&self.read)
        .await?;
        let owners = rows.iter().map(owner).collect::<Result<Vec<_>, _>>()?;
        let is_bound = |owner: &NumberOwner| owner.fields.trunk.is_some();
        let only = match &owners[..] {
            [only] => Some(only),
            [first, second] if is_bound(first) && !is_bound(second) => Some(first),
            _ => None,
        };
        Ok(only.cloned().map(Arc::new))
    }

    /// The agent and settings that answer a call to this number over one of the owner's trunks.
    pub async fn route(&self, owner: &NumberOwner, trunk: TrunkId) -> Result<Option<InboundRoute>, StoreError> {
        let (scope, fields) = (OrgScope::new(owner.organization), &owner.fields);
        let agent = match fields.agent {
            Some(id) => self.agent(scope, id).await?.filter(|agent| agent.fields.is_active),
            None => None,
        };
        // An agent that is switched off does not answer, whatever a webhook would say.
        let answers = agent.is_some() || fields.agent.is_none() && fields.webhook_url.is_some();
        Ok(answers.then(|| InboundRoute { scope, agent, number: fields.clone(), trunk }))
    }

    /// A number of the organization by how it was dialled.
    pub(super) async fn number_called(
        &self, scope: OrgScope, dialled: &str,
    ) -> Result<Option<PhoneNumberFields>, StoreError> {
        let row = sqlx::query("SELECT * FROM phone_numbers WHERE number = $1 AND organization_id = $2")
            .bind(format!("+{}", dialled.trim_start_matches('+')))
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(fields).transpose()
    }
}
