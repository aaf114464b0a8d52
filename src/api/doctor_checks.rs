//! What the doctor looks at for an organization: its provider keys, agents, trunks and webhooks. Requests to others are within
//! the limits of the tests that people start by hand.

use super::error::ApiError;
use super::organization_rates::RateKind;
use super::state::ApiState;
use crate::call::driver::probe_trunk;
use crate::checkup::providers::KeyHolder;
use crate::checkup::webhooks::{FailedDeliveries, Receiver, Sender};
use crate::checkup::{providers, trunks, webhooks};
use crate::domain::agent::Agent;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::finding::Finding;
use crate::domain::provider::ProviderAccount;
use crate::domain::trunk::Trunk;
use crate::store::{DeliveryFilter, OrgScope, PageRequest, PhoneNumberRow, now};
use futures_util::{Stream, StreamExt as _};
use std::pin::pin;
use std::time::Duration;
use tokio::time::sleep;

/// How long each kind of check may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// Rows of each kind that are looked at; organizations have fewer, but for resellers.
const ROWS_MAX: i64 = 200;
/// Trunks and receivers that are asked; the others are counted.
const ASKED_MAX: usize = 20;
/// Receivers that are asked at the same time.
const RECEIVERS_AT_ONCE: usize = 10;
/// Trunks that are asked at the same time: fewer than `probes_at_once`, so that people can test one meanwhile.
const TRUNKS_AT_ONCE: usize = 3;
/// Deliveries that were given up are looked at, as far back as a day.
const DAY_MS: i64 = 86_400_000;

/// What there is to look at.
struct Belongings {
    agents: Vec<Agent>,
    trunks: Vec<Trunk>,
    receivers: Vec<(String, Receiver)>,
    failed: FailedDeliveries,
}

/// All findings about what the organization has set up.
pub(super) async fn examine(api: &ApiState, scope: OrgScope) -> Result<Vec<Finding>, ApiError> {
    let has = gather(api, scope).await?;
    let agents = of_agents(api, &has.agents);
    let (of_providers, of_trunks, of_webhooks) = tokio::join!(
        of_providers(api, scope),
        of_trunks(api, scope, has.trunks),
        of_webhooks(api, has.receivers, &has.failed)
    );
    Ok([of_providers, agents, of_trunks, of_webhooks].concat())
}

/// What is found until the deadline.
#[expect(clippy::disallowed_methods, reason = "those who are asked are other machines, and may not answer")]
async fn in_time(check: &'static str, looks: impl Stream<Item = Vec<Finding>>) -> Vec<Finding> {
    let (mut looks, mut deadline) = (pin!(looks), pin!(sleep(DEADLINE)));
    let mut findings = Vec::new();
    loop {
        tokio::select! {
            found = looks.next() => match found {
                Some(found) => findings.extend(found),
                None => return findings,
            },
            () = &mut deadline => {
                let found = format!("not all were asked in {} s: some do not answer", DEADLINE.as_secs());
                findings.push(Finding::warning(check, found, "test them one by one"));
                return findings;
            }
        }
    }
}

/// One list after the other: an organization reads one at a time.
async fn gather(api: &ApiState, scope: OrgScope) -> Result<Belongings, ApiError> {
    let page = PageRequest::first(ROWS_MAX);
    let (agents, _) = api.store.agents(scope, Some(true), page).await?;
    let (numbers, _) = api.store.phone_numbers(scope, page).await?;
    let (trunks, _) = api.store.trunks(scope, page).await?;
    let given_up = DeliveryFilter { status: Some(DeliveryStatus::Failed), ..DeliveryFilter::default() };
    let (failed, _) = api.store.deliveries(scope, given_up, PageRequest::first(ASKED_MAX as i64)).await?;
    let since = now().0.saturating_sub(DAY_MS);
    let mut recent = failed.iter().filter(|(delivery, _)| delivery.created_at.0 >= since).peekable();
    let last = recent.peek().map_or(String::new(), |(_, progress)| match (&progress.error, progress.response_status) {
        (Some(error), _) => error.clone(),
        (None, Some(status)) => format!("status {status}"),
        (None, None) => "no answer".to_owned(),
    });
    let failed = FailedDeliveries { last, count: recent.count() };
    let receivers = receivers(&agents, &numbers);
    Ok(Belongings { agents, trunks, receivers, failed })
}

fn receivers(agents: &[Agent], numbers: &[PhoneNumberRow]) -> Vec<(String, Receiver)> {
    let of_agents = agents.iter().filter_map(|agent| {
        Some(Sender {
            name: format!("agent {}", agent.fields.name),
            url: agent.fields.webhook_url.as_deref()?,
            is_signed: agent.fields.webhook_secret.is_some(),
        })
    });
    let of_numbers = numbers.iter().filter_map(|row| {
        Some(Sender {
            name: format!("number {}", row.fields.number),
            url: row.fields.webhook_url.as_deref()?,
            is_signed: row.fields.webhook_secret.is_some(),
        })
    });
    webhooks::receivers(of_agents.chain(of_numbers))
}

/// The keys that the organization has stored: what the server's own are like is for its operator.
async fn of_providers(api: &ApiState, scope: OrgScope) -> Vec<Finding> {
    let clients = api.accounts.of_organization(scope).await;
    let needs_key = || ProviderAccount::ALL.iter().copied().filter(|account| account.needs_key());
    let own = futures_util::stream::iter(needs_key().filter(|account| clients.has_own_key(*account)));
    let tried = own.then(|account| tried(api, scope, account)).map(|found| vec![found]);
    let mut findings = in_time(providers::CHECK, tried).await;
    if !needs_key().any(|account| clients.endpoint(account, None).is_usable()) {
        findings.push(providers::none("store a key (POST /secrets, or the page Providers)"));
    }
    findings
}

async fn tried(api: &ApiState, scope: OrgScope, account: ProviderAccount) -> Finding {
    match slot_for_provider(api, scope).await {
        Ok(_slot) => {
            let check = api.accounts.of_organization(scope).await.check_provider(account).await;
            let outcome = check.failure.map_or(Ok(check.latency), |error| Err(error.to_string()));
            providers::finding(account, KeyHolder::Organization, outcome)
        }
        Err(full) => {
            let found = format!("{} was not asked: {}", account.name(), full.message);
            Finding::warning(providers::CHECK, found, "look again in a minute")
        }
    }
}

async fn slot_for_provider(api: &ApiState, scope: OrgScope) -> Result<impl Sized + use<>, ApiError> {
    api.limits.count(scope, RateKind::ProviderTests).await?;
    Ok(api.accounts.tests.take(&api.store.lineage(scope).await?)?)
}

/// What agents ask of this server that it does not have.
fn of_agents(api: &ApiState, agents: &[Agent]) -> Vec<Finding> {
    let lacks = agents.iter().flat_map(|agent| {
        let name = &agent.fields.name;
        api.accounts.warnings(&agent.fields).into_iter().map(move |warning| format!("{name}: {warning}"))
    });
    let advice = "choose another model or voice for it, or have the server's operator install this one";
    lacks.map(|found| Finding::warning("agents", found, advice)).collect()
}

async fn of_trunks(api: &ApiState, scope: OrgScope, all: Vec<Trunk>) -> Vec<Finding> {
    let registers = all.iter().filter(|trunk| trunk.fields.register && api.trunks.registers);
    let unregistered = registers.filter_map(|trunk| {
        let state = api.trunks.states.state(trunk.id);
        state.registration_problem().map(|why| trunks::unregistered(&name_of(trunk), why))
    });
    let mut findings: Vec<Finding> = unregistered.collect();
    let mut out: Vec<Trunk> = all.into_iter().filter(|trunk| trunk.fields.calls_out()).collect();
    let left_out = out.len().saturating_sub(ASKED_MAX);
    out.truncate(ASKED_MAX);
    let asked = futures_util::stream::iter(out).map(|trunk| asked(api, scope, trunk));
    findings.extend(in_time(trunks::CHECK, asked.buffered(TRUNKS_AT_ONCE).map(|found| vec![found])).await);
    findings.extend((left_out > 0).then(|| trunks::left_out(left_out)));
    findings
}

fn name_of(trunk: &Trunk) -> String {
    format!("{} ({})", trunk.fields.name, trunk.id)
}

async fn asked(api: &ApiState, scope: OrgScope, trunk: Trunk) -> Finding {
    let name = name_of(&trunk);
    if let Err(full) = api.limits.count(scope, RateKind::TrunkTests).await {
        return trunks::not_asked(&name, &full.message);
    }
    match probe_trunk(&api.trunks, &trunk).await {
        Ok((result, _)) => trunks::finding(&name, &result, trunk.fields.username.is_some()),
        Err(why) => trunks::not_asked(&name, &why.to_string()),
    }
}

async fn of_webhooks(
    api: &ApiState, mut receivers: Vec<(String, Receiver)>, failed: &FailedDeliveries,
) -> Vec<Finding> {
    let left_out = receivers.len().saturating_sub(ASKED_MAX);
    receivers.truncate(ASKED_MAX);
    let sender = &api.addresses.webhooks;
    let asked = futures_util::stream::iter(receivers).map(|(url, receiver)| async move {
        let answer = sender.ask_receiver(&url).await;
        webhooks::findings(&receiver, &answer, u64::try_from(now().0 / 1_000).unwrap_or_default())
    });
    let mut findings = in_time(webhooks::CHECK, asked.buffered(RECEIVERS_AT_ONCE)).await;
    findings.extend((left_out > 0).then(|| webhooks::left_out(left_out)));
    findings.extend(webhooks::deliveries(failed));
    findings
}
