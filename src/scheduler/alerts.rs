//! Looks at alert rules every few seconds, in one process of the installation at a time, and counts calls that ended
//! before they were counted.

use crate::call::driver::TrunkService;
use crate::domain::alert::{AlertCondition, AlertMeasurement};
use crate::domain::alert_message::{AlertContext, AlertOccasion, alert_delivery};
use crate::domain::time::UnixMs;
use crate::store::{PageRequest, Store, StoreError, WatchedRule, now};
use std::time::Duration;
use tokio::sync::watch;

/// The lease of the process that looks.
const LEASE: &str = "alerts";
/// How often it is renewed, and rules are looked for.
const TICK: Duration = Duration::from_secs(3);
/// How long it holds: a process that dies is followed by another one after this time.
const LEASE_MS: i64 = 20_000;
/// A rule is looked at as often as this.
const EVERY_MS: i64 = 10_000;
/// Trunks of an organization that are looked at.
const TRUNKS_MAX: i64 = 1_000;
/// Batches of calls that are counted in one tick.
const BATCHES_MAX: u32 = 10;

/// What rules are held against, and what their messages say.
#[derive(Clone, Debug)]
pub struct AlertWatch {
    /// Rules and calls.
    pub store: Store,
    /// The trunks, as this process knows them.
    pub trunks: TrunkService,
    /// Name of this process.
    pub node: String,
    /// Address of the console, without a slash at its end.
    pub base_url: String,
    /// Currency of the price table.
    pub currency: String,
}

/// Runs until it is stopped.
pub async fn watch_alerts(watch: AlertWatch, mut stopped: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.changed() => return,
        }
        if let Err(error) = watch.run_round().await {
            tracing::error!(%error, "cannot look at alert rules");
        }
    }
}

impl AlertWatch {
    async fn run_round(&self) -> Result<(), StoreError> {
        if !self.store.hold_lease(LEASE, &self.node, LEASE_MS).await? {
            return Ok(());
        }
        for _ in 0..BATCHES_MAX {
            if self.store.count_backlog().await? == 0 {
                break;
            }
        }
        let now = now();
        for watched in self.store.due_alert_rules(UnixMs(now.0 - EVERY_MS)).await? {
            // A rule that cannot be measured does not hold up the others.
            if let Err(error) = self.look_at(&watched, now).await {
                tracing::error!(rule = %watched.rule.id, %error, "cannot look at an alert rule");
            }
        }
        Ok(())
    }

    async fn look_at(&self, watched: &WatchedRule, now: UnixMs) -> Result<(), StoreError> {
        let WatchedRule { scope, organization_name, rule } = watched;
        let fields = &rule.fields;
        let measured = match fields.condition {
            AlertCondition::TrunkDown => self.trunks_down(watched).await?,
            _ => {
                let since = UnixMs(now.0 - i64::from(fields.window_minutes) * 60_000);
                self.store.measure_calls(*scope, fields, since).await?
            }
        };
        let (after, told) = fields.evaluate(&rule.progress, measured, now);
        let about = AlertContext {
            organization: scope.organization(),
            organization_name,
            base_url: &self.base_url,
            currency: &self.currency,
            now,
        };
        let delivery = told.map(|state| (state, alert_delivery(rule, AlertOccasion::State(state), measured, about)));
        let told = delivery.as_ref().map(|(state, delivery)| (*state, delivery));
        if self.store.record_alert(*scope, rule, &after, told).await?
            && let Some((state, _)) = told
        {
            tracing::info!(rule = %rule.id, state = state.name(), "alert");
        }
        Ok(())
    }

    /// How many of the trunks that a rule watches are down, as this process knows them.
    async fn trunks_down(&self, watched: &WatchedRule) -> Result<AlertMeasurement, StoreError> {
        let ids = match watched.rule.fields.trunk_id {
            Some(id) => vec![id],
            None => {
                let (trunks, _) = self.store.trunks(watched.scope, PageRequest::first(TRUNKS_MAX)).await?;
                trunks.iter().map(|trunk| trunk.id).collect()
            }
        };
        let down = ids.iter().filter(|id| self.trunks.states.state(**id).is_down()).count();
        Ok(AlertMeasurement { value: Some(down as f64), calls: None })
    }
}
