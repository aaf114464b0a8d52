//! Circuit breaker, ordered waits and concurrency limit of a provider. One circuit per organization, account and stage,
//! shared by all calls.

use super::Failure;
use crate::domain::provider::{Account, Stage};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Consecutive failures that open the circuit.
const FAILURES_MAX: u32 = 5;
/// First open time; doubled at each failed probe.
const COOL_DOWN: Duration = Duration::from_secs(5);
const COOL_DOWN_MAX: Duration = Duration::from_secs(60);
/// A probe without result for this long has failed.
const PROBE_MAX: Duration = Duration::from_secs(15);
/// Circuits kept; when full, closed ones are removed.
const GATES_MAX: usize = 10_000;

/// A circuit breaker: closed while failures are rare, then open, then one try at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Requests go through.
    Passing { failures: u32 },
    /// None does until then.
    Stopped { until: Instant, wait: Duration },
    /// One is on its way to find out.
    Probing { since: Instant, wait: Duration },
}

impl Breaker {
    /// May a request go through?
    pub fn admit(&mut self, now: Instant) -> bool {
        match *self {
            Self::Passing { .. } => true,
            Self::Stopped { until, .. } if now < until => false,
            Self::Probing { since, .. } if now < since + PROBE_MAX => false,
            Self::Stopped { wait, .. } | Self::Probing { wait, .. } => {
                *self = Self::Probing { since: now, wait };
                true
            }
        }
    }

    pub fn succeeded(&mut self) {
        *self = Self::Passing { failures: 0 };
    }

    /// `for_good`: retrying soon cannot help (a rejected key).
    pub fn failed(&mut self, now: Instant, for_good: bool) {
        *self = match *self {
            Self::Passing { failures } if failures + 1 < FAILURES_MAX && !for_good => {
                Self::Passing { failures: failures + 1 }
            }
            Self::Passing { .. } => Self::Stopped { until: now + COOL_DOWN, wait: COOL_DOWN },
            // A late failure of an earlier request changes nothing.
            stopped @ Self::Stopped { .. } => stopped,
            Self::Probing { wait, .. } => {
                let wait = (wait * 2).min(COOL_DOWN_MAX);
                Self::Stopped { until: now + wait, wait }
            }
        };
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: Arc<str>,
    account: Account,
    stage: Stage,
    /// Of a customer's own server.
    base_url: String,
}

fn key(tenant: &Arc<str>, endpoint: &super::Endpoint, stage: Stage) -> Key {
    let base_url = if endpoint.is_customers { endpoint.base_url.clone() } else { String::new() };
    Key { tenant: tenant.clone(), account: endpoint.account, stage, base_url }
}

#[derive(Debug)]
struct Gate {
    breaker: Breaker,
    /// The provider sent Retry-After.
    not_before: Option<Instant>,
    streams: Option<Arc<Semaphore>>,
}

impl Gate {
    fn failed(&mut self, now: Instant, failure: &Failure) {
        match failure {
            // Rate limited is not broken: wait as long as the provider says.
            Failure::Refused { status: 429, retry_after, .. } => self.not_before = retry_after.map(|wait| now + wait),
            Failure::Refused { status: 401..=403, .. } => self.breaker.failed(now, true),
            // A bad request is not the provider's failure.
            Failure::Refused { status: 400..500, .. } | Failure::NotConfigured | Failure::Closed(_) => {}
            _ => self.breaker.failed(now, false),
        }
    }
}

/// All gates of the process.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<HashMap<Key, Gate>>>);

/// Permission for one stream; released on drop.
#[derive(Debug)]
pub struct Pass {
    gates: Gates,
    key: Key,
    _stream: Option<OwnedSemaphorePermit>,
}

/// Why no permit is given now.
#[derive(Clone, Debug)]
pub enum Refusal {
    Broken,
    /// Until then, by the provider's order.
    Ordered(Duration),
    /// As many streams as it allows are open; one may end.
    Full(Arc<Semaphore>),
}

impl Refusal {
    pub fn failure(&self) -> Failure {
        Failure::Closed(match self {
            Self::Broken => "it failed too often",
            Self::Ordered(_) => "it ordered a wait",
            Self::Full(_) => "as many streams as it allows are open",
        })
    }
}

/// What a gate does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    /// Requests go through; that many failed in a row.
    Open { failures: u32 },
    /// None goes through for so long.
    Closed(Duration),
    /// One is on its way to find out.
    Trying,
    /// The provider has ordered to wait for so long.
    Waiting(Duration),
}

impl GateState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Closed(_) => "closed",
            Self::Trying => "trying",
            Self::Waiting(_) => "waiting",
        }
    }

    pub fn failures(self) -> u32 {
        if let Self::Open { failures } = self { failures } else { 0 }
    }

    /// How long it stays as it is.
    pub fn left(self) -> Option<Duration> {
        match self {
            Self::Closed(left) | Self::Waiting(left) => Some(left),
            Self::Open { .. } | Self::Trying => None,
        }
    }
}

impl Gates {
    /// State of a used circuit; unknown ones count as closed.
    pub fn state(
        &self, tenant: &Arc<str>, endpoint: &super::Endpoint, stage: Stage, now: Instant,
    ) -> Option<GateState> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.get(&key(tenant, endpoint, stage))?;
        let ordered =
            gate.not_before.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero());
        if let Some(left) = ordered {
            return Some(GateState::Waiting(left));
        }
        Some(match gate.breaker {
            Breaker::Passing { failures } => GateState::Open { failures },
            Breaker::Stopped { until, .. } => GateState::Closed(until.saturating_duration_since(now)),
            Breaker::Probing { .. } => GateState::Trying,
        })
    }

    /// Acquires a permit at once. `insist`: there is no fallback, so try even with an open circuit.
    pub fn enter(
        &self, tenant: &Arc<str>, endpoint: &super::Endpoint, stage: Stage, now: Instant, insist: bool,
    ) -> Result<Pass, Refusal> {
        self.enter_with(tenant, endpoint, stage, now, insist, None)
    }

    /// `stream`: room that was waited for.
    fn enter_with(
        &self, tenant: &Arc<str>, endpoint: &super::Endpoint, stage: Stage, now: Instant, insist: bool,
        stream: Option<OwnedSemaphorePermit>,
    ) -> Result<Pass, Refusal> {
        let key = key(tenant, endpoint, stage);
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= GATES_MAX && !gates.contains_key(&key) {
            gates.retain(|_, gate| !matches!(gate.breaker, Breaker::Passing { .. }) || gate.not_before.is_some());
        }
        let limit = endpoint.concurrency_max;
        let gate = gates.entry(key.clone()).or_insert_with(|| Gate {
            breaker: Breaker::Passing { failures: 0 },
            not_before: None,
            streams: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
        });
        if let Some(at) = gate.not_before.filter(|at| *at > now) {
            return Err(Refusal::Ordered(at - now));
        }
        let stream = match (&gate.streams, stream) {
            (Some(streams), None) => match streams.clone().try_acquire_owned() {
                Ok(stream) => Some(stream),
                Err(_) => return Err(Refusal::Full(streams.clone())),
            },
            (_, stream) => stream,
        };
        if !gate.breaker.admit(now) && !insist {
            return Err(Refusal::Broken);
        }
        Ok(Pass { gates: self.clone(), key, _stream: stream })
    }

    /// Counts a provider that was so slow that another one was asked.
    pub fn failed(&self, tenant: &Arc<str>, endpoint: &super::Endpoint, stage: Stage, now: Instant, failure: &Failure) {
        if let Some(gate) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key(tenant, endpoint, stage))
        {
            gate.failed(now, failure);
        }
    }

    /// Acquires a permit for the last candidate: waits for capacity or a short Retry-After.
    pub async fn enter_in(
        &self, tenant: &Arc<str>, endpoint: &super::Endpoint, stage: Stage, limit: Duration,
    ) -> Result<Pass, Refusal> {
        let deadline = Instant::now() + limit;
        let mut room = None;
        loop {
            let now = Instant::now();
            let refusal = match self.enter_with(tenant, endpoint, stage, now, true, room.take()) {
                Ok(pass) => return Ok(pass),
                Err(refusal) => refusal,
            };
            let left = deadline.saturating_duration_since(now);
            match &refusal {
                Refusal::Ordered(wait) if *wait <= left => tokio::time::sleep(*wait).await,
                // First come, first served.
                Refusal::Full(streams) => match tokio::time::timeout(left, streams.clone().acquire_owned()).await {
                    Ok(Ok(stream)) => room = Some(stream),
                    _ => return Err(refusal),
                },
                _ => return Err(refusal),
            }
        }
    }
}

impl Pass {
    pub fn succeeded(&self) {
        self.change(|gate| {
            gate.breaker.succeeded();
            gate.not_before = None;
        });
    }

    /// A request that was let through has failed.
    pub fn failed(&self, now: Instant, failure: &Failure) {
        self.change(|gate| gate.failed(now, failure));
    }

    fn change(&self, change: impl FnOnce(&mut Gate)) {
        let mut gates = self.gates.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get_mut(&self.key) {
            change(gate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::Endpoint;

    const SECOND: Duration = Duration::from_secs(1);

    fn endpoint(concurrency_max: usize) -> Endpoint {
        Endpoint {
            account: Account::Groq,
            base_url: String::new(),
            api_key: None,
            api_version: String::new(),
            concurrency_max,
            is_customers: false,
            blocked: None,
        }
    }

    #[test]
    fn a_provider_that_fails_often_is_left_alone_and_then_tried_by_one() {
        let t = Instant::now();
        let mut breaker = Breaker::Passing { failures: 0 };
        for _ in 0..4 {
            breaker.failed(t, false);
            assert!(breaker.admit(t));
        }
        breaker.failed(t, false);
        assert!(!breaker.admit(t + 4 * SECOND));
        assert!(breaker.admit(t + 5 * SECOND), "the first one tries");
        assert!(!breaker.admit(t + 5 * SECOND), "the second one does not");
        breaker.failed(t + 6 * SECOND, false);
        assert!(!breaker.admit(t + 15 * SECOND), "the wait has doubled");
        assert!(breaker.admit(t + 16 * SECOND));
        assert!(breaker.admit(t + 31 * SECOND), "a try that never ends is given up");
        breaker.succeeded();
        assert!(breaker.admit(t + 31 * SECOND));
    }

    #[test]
    fn failures_must_come_in_a_row() {
        let t = Instant::now();
        let mut breaker = Breaker::Passing { failures: 0 };
        for _ in 0..20 {
            breaker.failed(t, false);
            breaker.failed(t, false);
            breaker.succeeded();
        }
        assert!(breaker.admit(t));
        breaker.failed(t, true);
        assert!(!breaker.admit(t), "a refused key is not asked about again and again");
    }

    #[test]
    fn organizations_do_not_share_a_gate_and_calls_of_one_do() {
        let (gates, t) = (Gates::default(), Instant::now());
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let refused = Failure::refused(401, "bad key");
        gates.enter(&one, &endpoint(0), Stage::Llm, t, false).unwrap().failed(t, &refused);
        assert!(matches!(gates.enter(&one, &endpoint(0), Stage::Llm, t, false), Err(Refusal::Broken)));
        assert!(gates.enter(&one, &endpoint(0), Stage::Tts, t, false).is_ok());
        assert!(gates.enter(&other, &endpoint(0), Stage::Llm, t, false).is_ok());
    }

    #[test]
    fn an_ordered_wait_is_kept() {
        let (gates, t, tenant) = (Gates::default(), Instant::now(), Arc::<str>::from("t"));
        let busy = Failure::Refused { status: 429, message: String::new(), retry_after: Some(2 * SECOND) };
        gates.enter(&tenant, &endpoint(0), Stage::Llm, t, false).unwrap().failed(t, &busy);
        assert!(
            matches!(gates.enter(&tenant, &endpoint(0), Stage::Llm, t + SECOND, false), Err(Refusal::Ordered(left)) if left == SECOND)
        );
        assert!(gates.enter(&tenant, &endpoint(0), Stage::Llm, t + 2 * SECOND, false).is_ok());
    }

    #[tokio::test]
    async fn a_full_provider_is_waited_for() {
        let (gates, tenant) = (Gates::default(), Arc::<str>::from("t"));
        let first = gates.enter(&tenant, &endpoint(1), Stage::Tts, Instant::now(), false).unwrap();
        assert!(matches!(gates.enter(&tenant, &endpoint(1), Stage::Tts, Instant::now(), false), Err(Refusal::Full(_))));
        assert!(gates.enter_in(&tenant, &endpoint(1), Stage::Tts, Duration::from_millis(20)).await.is_err());
        let limited = endpoint(1);
        let second = gates.enter_in(&tenant, &limited, Stage::Tts, 10 * SECOND);
        tokio::pin!(second);
        tokio::select! {
            biased;
            _ = &mut second => panic!("two streams where one is allowed"),
            () = tokio::task::yield_now() => {}
        }
        drop(first);
        assert!(second.await.is_ok());
    }
}
