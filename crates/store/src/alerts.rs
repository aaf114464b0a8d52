//! Alert rules, what they have found, and what they have told.

use super::deliveries::enqueue;
use super::list_permits::BindValue;
use super::quotas::lock_family;
use super::{OrgScope, PageRequest, Store, StoreError, document, now, parsed, text};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use trunkline_domain::alert::{
    AlertCondition, AlertEvent, AlertMeasurement, AlertProgress, AlertRule, AlertRuleFields, AlertState,
};
use trunkline_domain::call_count::{ResponseHistogram, percentile, rounded_response_ms};
use trunkline_domain::delivery::Delivery;
use trunkline_domain::ids::{AgentId, AlertEventId, AlertRuleId, DeliveryId, OrganizationId};
use trunkline_domain::time::UnixMs;
use trunkline_domain::webhook_secret::WebhookSecrets;

/// Rules that an organization may have: each is looked at every few seconds.
const RULES_MAX: i64 = 100;
/// Calls whose answers are read for a percentile, the newest.
const RESPONSE_CALLS_MAX: i64 = 20_000;
/// A call lasts no longer than a day: those that ended in a window began in it, or in the day before.
const CALL_MS_MAX: i64 = 2 * 86_400_000;

/// A rule that is to be looked at.
#[derive(Clone, Debug)]
pub struct WatchedRule {
    /// The organization whose rule it is.
    pub scope: OrgScope,
    /// Its name.
    pub organization_name: String,
    /// The rule.
    pub rule: AlertRule,
}

fn rule(row: &AnyRow) -> Result<AlertRule, StoreError> {
    let at = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(UnixMs));
    Ok(AlertRule {
        id: parsed(AlertRuleId::parse(row.try_get("id")?), "alert_rules.id")?,
        fields: document(row.try_get("fields")?)?,
        progress: AlertProgress {
            state: parsed(AlertState::parse(row.try_get("state")?), "alert_rules.state")?,
            state_since: UnixMs(row.try_get("state_since")?),
            breach_since: at("breach_since")?,
            fired_at: at("fired_at")?,
            evaluated_at: at("evaluated_at")?,
            measured: AlertMeasurement { value: row.try_get("last_value")?, calls: row.try_get("last_calls")? },
        },
        version: row.try_get("version")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

fn event(row: &AnyRow) -> Result<AlertEvent, StoreError> {
    Ok(AlertEvent {
        id: parsed(AlertEventId::parse(row.try_get("id")?), "alert_events.id")?,
        state: parsed(AlertState::parse(row.try_get("state")?), "alert_events.state")?,
        measured: AlertMeasurement { value: row.try_get("value")?, calls: row.try_get("calls")? },
        delivery: parsed(DeliveryId::parse(row.try_get("delivery_id")?), "alert_events.delivery_id")?,
        at: UnixMs(row.try_get("created_at")?),
    })
}

impl Store {
    /// Creates a rule. Fails with `QuotaExceeded` if the organization has too many.
    pub async fn create_alert_rule(&self, scope: OrgScope, fields: AlertRuleFields) -> Result<AlertRule, StoreError> {
        let at = now();
        let made = AlertRule {
            id: AlertRuleId::new(),
            fields,
            progress: AlertProgress::new(at),
            version: 1,
            created_at: at,
            updated_at: at,
        };
        let organization = scope.organization().to_string();
        let mut transaction = self.write.begin().await?;
        lock_family(&mut transaction, scope.organization()).await?;
        let held: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alert_rules WHERE organization_id = $1")
            .bind(&organization)
            .fetch_one(&mut *transaction)
            .await?;
        if held >= RULES_MAX {
            return Err(StoreError::QuotaExceeded { limit: "alert_rules", max: RULES_MAX });
        }
        sqlx::query(
            "INSERT INTO alert_rules (id, organization_id, fields, state, state_since, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $7)",
        )
        .bind(made.id.to_string())
        .bind(&organization)
        .bind(text(&made.fields)?)
        .bind(made.progress.state.name())
        .bind(at.0)
        .bind(at.0)
        .bind(at.0)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// Returns a rule; `None` if the organization has no such rule.
    pub async fn alert_rule(&self, scope: OrgScope, id: AlertRuleId) -> Result<Option<AlertRule>, StoreError> {
        let row = sqlx::query("SELECT * FROM alert_rules WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(rule).transpose()
    }

    /// Returns a page of rules, newest first, and the number of all.
    pub async fn alert_rules(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<AlertRule>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
        let from = "FROM alert_rules WHERE organization_id = $1";
        self.list("*", from, "created_at DESC, id DESC", &binds, page, rule).await
    }

    /// Changes the fields of a rule, if it is still in the version that `row` was read in; false when it is not. It
    /// begins anew, so that a threshold that was lifted does not go on firing.
    pub async fn update_alert_rule(&self, scope: OrgScope, row: &AlertRule) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE alert_rules SET fields = $1, state = $2, state_since = $3, breach_since = NULL, fired_at = NULL, \
             evaluated_at = NULL, last_value = NULL, last_calls = NULL, updated_at = $3, version = version + 1 \
             WHERE id = $4 AND organization_id = $5 AND version = $6",
        )
        .bind(text(&row.fields)?)
        .bind(AlertState::Resolved.name())
        .bind(row.updated_at.0)
        .bind(row.id.to_string())
        .bind(scope.organization().to_string())
        .bind(row.version)
        .execute(&self.write)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a rule with what it has told; false when there is none.
    pub async fn delete_alert_rule(&self, scope: OrgScope, id: AlertRuleId) -> Result<bool, StoreError> {
        let (id, organization) = (id.to_string(), scope.organization().to_string());
        let mut transaction = self.write.begin().await?;
        let mut done = 0;
        for sql in [
            "DELETE FROM alert_events WHERE rule_id = $1 AND organization_id = $2",
            "DELETE FROM alert_rules WHERE id = $1 AND organization_id = $2",
        ] {
            done = sqlx::query(sql).bind(&id).bind(&organization).execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(done == 1)
    }

    /// Returns a page of what a rule has told, newest first, and the number of all.
    pub async fn alert_events(
        &self, scope: OrgScope, id: AlertRuleId, page: PageRequest,
    ) -> Result<(Vec<AlertEvent>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string()), BindValue::Text(id.to_string())];
        let from = "FROM alert_events WHERE organization_id = $1 AND rule_id = $2";
        self.list("*", from, "created_at DESC, id DESC", &binds, page, event).await
    }

    /// The rules of everybody that are active and were not looked at since.
    pub async fn due_alert_rules(&self, since: UnixMs) -> Result<Vec<WatchedRule>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.*, o.name AS organization_name FROM alert_rules r JOIN organizations o ON o.id = r.organization_id \
             WHERE r.evaluated_at IS NULL OR r.evaluated_at <= $1 ORDER BY r.id",
        )
        .bind(since.0)
        .fetch_all(&self.lists)
        .await?;
        let mut due = Vec::new();
        for row in &rows {
            let organization: String = row.try_get("organization_id")?;
            let organization = parsed(OrganizationId::parse(&organization), "alert_rules.organization_id")?;
            let found = rule(row)?;
            if found.fields.is_active {
                let organization_name = row.try_get("organization_name")?;
                due.push(WatchedRule { scope: OrgScope::new(organization), organization_name, rule: found });
            }
        }
        Ok(due)
    }

    /// Writes down what was found, with what is to be told, together and once: false when the rule has changed
    /// meanwhile, and nothing is told.
    pub async fn record_alert(
        &self, scope: OrgScope, before: &AlertRule, after: &AlertProgress, told: Option<(AlertState, &Delivery)>,
    ) -> Result<bool, StoreError> {
        let organization = scope.organization().to_string();
        let mut transaction = self.write.begin().await?;
        let done = sqlx::query(
            "UPDATE alert_rules SET state = $1, state_since = $2, breach_since = $3, fired_at = $4, evaluated_at = $5, \
             last_value = $6, last_calls = $7 WHERE id = $8 AND organization_id = $9 AND version = $10 AND state = $11",
        )
        .bind(after.state.name())
        .bind(after.state_since.0)
        .bind(after.breach_since.map(|at| at.0))
        .bind(after.fired_at.map(|at| at.0))
        .bind(after.evaluated_at.map(|at| at.0))
        .bind(after.measured.value)
        .bind(after.measured.calls)
        .bind(before.id.to_string())
        .bind(&organization)
        .bind(before.version)
        .bind(before.progress.state.name())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some((state, delivery)) = told {
            sqlx::query(
                "INSERT INTO alert_events (id, organization_id, rule_id, state, value, calls, delivery_id, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(AlertEventId::new().to_string())
            .bind(&organization)
            .bind(before.id.to_string())
            .bind(state.name())
            .bind(after.measured.value)
            .bind(after.measured.calls)
            .bind(delivery.id.to_string())
            .bind(delivery.created_at.0)
            .execute(&mut *transaction)
            .await?;
            enqueue(&mut transaction, delivery, self.full_outboxes.refuse(delivery).as_ref()).await?;
        }
        transaction.commit().await?;
        self.notifiers.outbox.notify_one();
        Ok(true)
    }

    /// Sends something that belongs to no call.
    pub async fn send_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await?;
        enqueue(&mut transaction, delivery, self.full_outboxes.refuse(delivery).as_ref()).await?;
        transaction.commit().await?;
        self.notifiers.outbox.notify_one();
        Ok(())
    }

    /// What signs the webhooks of a rule, which the order key of its deliveries names.
    pub(super) async fn alert_secrets(&self, scope: OrgScope, rule: &str) -> Result<WebhookSecrets, StoreError> {
        let Some(id) = AlertRuleId::parse(rule) else { return Ok(WebhookSecrets::default()) };
        Ok(self.alert_rule(scope, id).await?.map(|rule| rule.fields.webhook_secrets()).unwrap_or_default())
    }

    /// Measures what a rule watches in the calls that ended since a time; nothing for trunks, which are not in the
    /// database.
    pub async fn measure_calls(
        &self, scope: OrgScope, fields: &AlertRuleFields, since: UnixMs,
    ) -> Result<AlertMeasurement, StoreError> {
        match fields.condition {
            AlertCondition::ResponseP95 => self.measure_responses(scope, fields.agent_id, since).await,
            AlertCondition::TrunkDown => Ok(AlertMeasurement::default()),
            AlertCondition::FailureRate | AlertCondition::Spend => {
                let row = sqlx::query(
                    "SELECT COUNT(*) AS calls, CAST(SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed, \
                     CAST(SUM(COALESCE(billed_micros, 0)) AS BIGINT) AS micros FROM calls WHERE organization_id = $1 \
                     AND ended_at >= $2 AND ($3 = '' OR agent_id = $3)",
                )
                .bind(scope.organization().to_string())
                .bind(since.0)
                .bind(fields.agent_id.map(|id| id.to_string()).unwrap_or_default())
                .fetch_one(&self.lists)
                .await?;
                let sum = |name: &str| row.try_get::<Option<i64>, _>(name).map(Option::unwrap_or_default);
                let (calls, failed, micros) = (sum("calls")?, sum("failed")?, sum("micros")?);
                let value = match fields.condition {
                    AlertCondition::Spend => Some(micros as f64 / 1e6),
                    _ => (calls > 0).then(|| failed as f64 * 100.0 / calls as f64),
                };
                Ok(AlertMeasurement { value, calls: Some(calls) })
            }
        }
    }

    async fn measure_responses(
        &self, scope: OrgScope, agent: Option<AgentId>, since: UnixMs,
    ) -> Result<AlertMeasurement, StoreError> {
        let times: Vec<String> = sqlx::query_scalar(
            "SELECT response_times FROM calls WHERE organization_id = $1 AND ended_at >= $2 AND started_at >= $3 \
             AND ($4 = '' OR agent_id = $4) AND response_times <> '' ORDER BY ended_at DESC LIMIT $5",
        )
        .bind(scope.organization().to_string())
        .bind(since.0)
        .bind(since.0 - CALL_MS_MAX)
        .bind(agent.map(|id| id.to_string()).unwrap_or_default())
        .bind(RESPONSE_CALLS_MAX)
        .fetch_all(&self.lists)
        .await?;
        let mut histogram = ResponseHistogram::new();
        for ms in times.iter().flat_map(|times| times.split(',')).filter_map(|ms| ms.parse().ok()) {
            *histogram.entry(rounded_response_ms(ms)).or_default() += 1;
        }
        let value = percentile(&histogram, 0.95).map(|ms| ms as f64);
        Ok(AlertMeasurement { value, calls: Some(times.len() as i64) })
    }
}
