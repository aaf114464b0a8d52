//! Circuit breaker, ordered waits and concurrency limit of a provider. One circuit per organization, account and stage,
//! shared by all calls.

use super::ProviderError;
use dashmap::DashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trunkline_domain::provider::{PipelineStage, ProviderAccount};

/// Consecutive failures that open the circuit.
const FAILURES_MAX: u32 = 5;
/// First open time; doubled at each failed probe.
const OPEN_TIME_MIN: Duration = Duration::from_secs(5);
const OPEN_TIME_MAX: Duration = Duration::from_secs(60);
/// A probe without result for this long has failed.
const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Circuits kept; when full, closed ones are removed.
const CIRCUITS_MAX: usize = 10_000;
/// How often all calls of an organization together may try whether a provider is back, beside its open circuit.
const FAILBACK_INTERVAL: Duration = Duration::from_secs(1);

/// A circuit breaker: closed while failures are rare, then open, then one try at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitBreaker {
    /// Requests go through.
    Closed {
        /// Failures in a row, from 0 to 4; the fifth opens the circuit.
        failures: u32,
    },
    /// None does until then.
    Open {
        /// When one request may find out whether the provider works again.
        until: Instant,
        /// Length of this open time, from 5 s to 60 s; doubled if the request after it fails.
        wait: Duration,
    },
    /// One is on its way to find out.
    HalfOpen {
        /// When that request began; after 15 s without result another one may go through.
        since: Instant,
        /// Length of the open time before; doubled if the request fails.
        wait: Duration,
    },
}

impl CircuitBreaker {
    /// May a request go through?
    pub fn admit(&mut self, now: Instant) -> bool {
        match *self {
            Self::Closed { .. } => true,
            Self::Open { until, .. } if now < until => false,
            Self::HalfOpen { since, .. } if now < since + HALF_OPEN_TIMEOUT => false,
            Self::Open { wait, .. } | Self::HalfOpen { wait, .. } => {
                *self = Self::HalfOpen { since: now, wait };
                true
            }
        }
    }

    /// Records a success: the circuit is closed and the count of failures is 0.
    pub fn succeeded(&mut self) {
        *self = Self::Closed { failures: 0 };
    }

    /// `for_good`: retrying soon cannot help (a rejected key).
    pub fn failed(&mut self, now: Instant, for_good: bool) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES_MAX && !for_good => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => Self::Open { until: now + OPEN_TIME_MIN, wait: OPEN_TIME_MIN },
            // A late failure of an earlier request changes nothing.
            stopped @ Self::Open { .. } => stopped,
            Self::HalfOpen { wait, .. } => {
                let wait = (wait * 2).min(OPEN_TIME_MAX);
                Self::Open { until: now + wait, wait }
            }
        };
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CircuitKey {
    tenant: Arc<str>,
    account: ProviderAccount,
    stage: PipelineStage,
    /// Address of a customer's server.
    base_url: String,
}

fn key(tenant: &Arc<str>, endpoint: &super::ProviderAccess, stage: PipelineStage) -> CircuitKey {
    let base_url = if endpoint.is_customer_server { endpoint.base_url.clone() } else { String::new() };
    CircuitKey { tenant: tenant.clone(), account: endpoint.account, stage, base_url }
}

#[derive(Debug)]
struct ProviderCircuit {
    breaker: CircuitBreaker,
    /// The provider sent Retry-After.
    not_before: Option<Instant>,
    /// When a call on a fallback has last tried whether it is back.
    last_failback: Option<Instant>,
    streams: Option<Arc<Semaphore>>,
}

impl ProviderCircuit {
    fn failed(&mut self, now: Instant, failure: &ProviderError) {
        match failure {
            // Rate limited is not broken: wait as long as the provider says.
            ProviderError::Refused { status: 429, retry_after, .. } => {
                self.not_before = retry_after.map(|wait| now + wait)
            }
            ProviderError::Refused { status: 401..=403, .. } => self.breaker.failed(now, true),
            // A bad request is not the provider's failure.
            ProviderError::Refused { status: 400..500, .. }
            | ProviderError::NotConfigured
            | ProviderError::Unavailable(_)
            | ProviderError::SessionEnded(_)
            | ProviderError::CircuitOpen(_) => {}
            _ => self.breaker.failed(now, false),
        }
    }
}

/// All circuits of the process.
#[derive(Clone, Debug, Default)]
pub struct ProviderCircuits(Arc<DashMap<CircuitKey, ProviderCircuit>>);

/// Permission for one stream; released on drop.
#[derive(Debug)]
pub struct ProviderPermit {
    circuits: ProviderCircuits,
    key: CircuitKey,
    _stream: Option<OwnedSemaphorePermit>,
}

/// Why no permit is given now.
#[derive(Clone, Debug)]
pub enum PermitError {
    /// The provider failed too often; no request goes through for the open time.
    CircuitOpen,
    /// Until then, by the provider's order.
    RetryAfter(Duration),
    /// As many streams as it allows are open; one may end.
    ConcurrencyLimit(Arc<Semaphore>),
}

impl PermitError {
    /// How long to wait by the provider's order.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RetryAfter(wait) => Some(*wait),
            Self::CircuitOpen | Self::ConcurrencyLimit(_) => None,
        }
    }

    /// Returns the error that the call records for a provider that was not asked.
    pub fn failure(&self) -> ProviderError {
        ProviderError::CircuitOpen(match self {
            Self::CircuitOpen => "it failed too often",
            Self::RetryAfter(_) => "it ordered a wait",
            Self::ConcurrencyLimit(_) => "as many streams as it allows are open",
        })
    }
}

/// The current state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Requests go through; that many failed in a row.
    Available {
        /// Failures in a row, from 0 to 4.
        failures: u32,
    },
    /// None goes through for so long.
    Unavailable(Duration),
    /// One is on its way to find out.
    Probing,
    /// The provider has ordered to wait for so long.
    RetryAfter(Duration),
}

impl CircuitState {
    /// Returns the name in the API: `open` (requests go through), `closed`, `trying` or `waiting`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available { .. } => "open",
            Self::Unavailable(_) => "closed",
            Self::Probing => "trying",
            Self::RetryAfter(_) => "waiting",
        }
    }

    /// Returns the failures in a row; 0 unless requests go through.
    pub fn failures(self) -> u32 {
        if let Self::Available { failures } = self { failures } else { 0 }
    }

    /// How long it stays as it is.
    pub fn left(self) -> Option<Duration> {
        match self {
            Self::Unavailable(left) | Self::RetryAfter(left) => Some(left),
            Self::Available { .. } | Self::Probing => None,
        }
    }
}

impl ProviderCircuits {
    /// State of a used circuit; unknown ones count as closed.
    pub fn state(
        &self, tenant: &Arc<str>, endpoint: &super::ProviderAccess, stage: PipelineStage, now: Instant,
    ) -> Option<CircuitState> {
        let circuit = self.0.get(&key(tenant, endpoint, stage))?;
        let ordered =
            circuit.not_before.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero());
        if let Some(left) = ordered {
            return Some(CircuitState::RetryAfter(left));
        }
        Some(match circuit.breaker {
            CircuitBreaker::Closed { failures } => CircuitState::Available { failures },
            CircuitBreaker::Open { until, .. } => CircuitState::Unavailable(until.saturating_duration_since(now)),
            CircuitBreaker::HalfOpen { .. } => CircuitState::Probing,
        })
    }

    /// Acquires a permit at once. `insist`: there is no fallback, so try even with an open circuit.
    pub fn acquire(
        &self, tenant: &Arc<str>, endpoint: &super::ProviderAccess, stage: PipelineStage, now: Instant, insist: bool,
    ) -> Result<ProviderPermit, PermitError> {
        self.acquire_with(tenant, endpoint, stage, now, insist, None)
    }

    /// `stream`: room that was waited for.
    fn acquire_with(
        &self, tenant: &Arc<str>, endpoint: &super::ProviderAccess, stage: PipelineStage, now: Instant, insist: bool,
        stream: Option<OwnedSemaphorePermit>,
    ) -> Result<ProviderPermit, PermitError> {
        let key = key(tenant, endpoint, stage);
        if self.0.len() >= CIRCUITS_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, circuit| {
                !matches!(circuit.breaker, CircuitBreaker::Closed { .. }) || circuit.not_before.is_some()
            });
        }
        let limit = endpoint.concurrency_max;
        let mut circuit = self.0.entry(key.clone()).or_insert_with(|| ProviderCircuit {
            breaker: CircuitBreaker::Closed { failures: 0 },
            not_before: None,
            last_failback: None,
            streams: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
        });
        if let Some(at) = circuit.not_before.filter(|at| *at > now) {
            return Err(PermitError::RetryAfter(at - now));
        }
        let stream = match (&circuit.streams, stream) {
            (Some(streams), None) => match streams.clone().try_acquire_owned() {
                Ok(stream) => Some(stream),
                Err(_) => return Err(PermitError::ConcurrencyLimit(streams.clone())),
            },
            (_, stream) => stream,
        };
        if !circuit.breaker.admit(now) && !insist {
            return Err(PermitError::CircuitOpen);
        }
        Ok(ProviderPermit { circuits: self.clone(), key, _stream: stream })
    }

    /// Acquires a permit for a call that is on a fallback and tries whether the provider is back: nobody waits for it, so an
    /// open circuit is passed once in a second.
    pub fn acquire_failback(
        &self, tenant: &Arc<str>, endpoint: &super::ProviderAccess, stage: PipelineStage, now: Instant,
    ) -> Result<ProviderPermit, PermitError> {
        let refusal = match self.acquire(tenant, endpoint, stage, now, false) {
            Err(refusal @ PermitError::CircuitOpen) => refusal,
            other => return other,
        };
        let Some(mut circuit) = self.0.get_mut(&key(tenant, endpoint, stage)) else { return Err(refusal) };
        if circuit.last_failback.is_some_and(|at| now < at + FAILBACK_INTERVAL) {
            return Err(refusal);
        }
        circuit.last_failback = Some(now);
        drop(circuit);
        self.acquire(tenant, endpoint, stage, now, true)
    }

    /// Records a failure; a refused request (4xx) that is not the provider's fault does not count.
    pub fn failed(
        &self, tenant: &Arc<str>, endpoint: &super::ProviderAccess, stage: PipelineStage, now: Instant,
        failure: &ProviderError,
    ) {
        if let Some(mut circuit) = self.0.get_mut(&key(tenant, endpoint, stage)) {
            circuit.failed(now, failure);
        }
    }

    /// Acquires a permit for the last candidate: waits for capacity or a short Retry-After.
    pub async fn acquire_waiting(
        &self, tenant: &Arc<str>, endpoint: &super::ProviderAccess, stage: PipelineStage, limit: Duration,
    ) -> Result<ProviderPermit, PermitError> {
        let deadline = Instant::now() + limit;
        let mut room = None;
        loop {
            let now = Instant::now();
            let refusal = match self.acquire_with(tenant, endpoint, stage, now, true, room.take()) {
                Ok(pass) => return Ok(pass),
                Err(refusal) => refusal,
            };
            let left = deadline.saturating_duration_since(now);
            match &refusal {
                PermitError::RetryAfter(wait) if *wait <= left => tokio::time::sleep(*wait).await,
                // First come, first served.
                PermitError::ConcurrencyLimit(streams) => {
                    match tokio::time::timeout(left, streams.clone().acquire_owned()).await {
                        Ok(Ok(stream)) => room = Some(stream),
                        _ => return Err(refusal),
                    }
                }
                _ => return Err(refusal),
            }
        }
    }
}

impl ProviderPermit {
    /// Records that the request succeeded: closes the circuit and ends an ordered wait.
    pub fn succeeded(&self) {
        self.change(|circuit| {
            circuit.breaker.succeeded();
            circuit.not_before = None;
        });
    }

    /// A request that was let through has failed.
    pub fn failed(&self, now: Instant, failure: &ProviderError) {
        self.change(|circuit| circuit.failed(now, failure));
    }

    fn change(&self, change: impl FnOnce(&mut ProviderCircuit)) {
        if let Some(mut circuit) = self.circuits.0.get_mut(&self.key) {
            change(&mut circuit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProviderAccess;

    const SECOND: Duration = Duration::from_secs(1);

    fn endpoint(concurrency_max: usize) -> ProviderAccess {
        ProviderAccess {
            account: ProviderAccount::Groq,
            base_url: String::new(),
            api_key: None,
            api_version: String::new(),
            concurrency_max,
            is_customer_server: false,
            blocked: None,
        }
    }

    #[test]
    fn circuit_opens_after_failures_and_one_request_probes() {
        let t = Instant::now();
        let mut breaker = CircuitBreaker::Closed { failures: 0 };
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
        let mut breaker = CircuitBreaker::Closed { failures: 0 };
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
    fn circuits_are_shared_within_one_organization_only() {
        let (circuits, t) = (ProviderCircuits::default(), Instant::now());
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let refused = ProviderError::refused(401, "bad key");
        circuits.acquire(&one, &endpoint(0), PipelineStage::Llm, t, false).unwrap().failed(t, &refused);
        assert!(matches!(
            circuits.acquire(&one, &endpoint(0), PipelineStage::Llm, t, false),
            Err(PermitError::CircuitOpen)
        ));
        assert!(circuits.acquire(&one, &endpoint(0), PipelineStage::Tts, t, false).is_ok());
        assert!(circuits.acquire(&other, &endpoint(0), PipelineStage::Llm, t, false).is_ok());
    }

    #[test]
    fn an_ordered_wait_is_kept() {
        let (circuits, t, tenant) = (ProviderCircuits::default(), Instant::now(), Arc::<str>::from("t"));
        let busy = ProviderError::Refused { status: 429, message: String::new(), retry_after: Some(2 * SECOND) };
        circuits.acquire(&tenant, &endpoint(0), PipelineStage::Llm, t, false).unwrap().failed(t, &busy);
        assert!(
            matches!(circuits.acquire(&tenant, &endpoint(0), PipelineStage::Llm, t + SECOND, false), Err(PermitError::RetryAfter(left)) if left == SECOND)
        );
        assert!(circuits.acquire(&tenant, &endpoint(0), PipelineStage::Llm, t + 2 * SECOND, false).is_ok());
    }

    #[test]
    fn calls_on_a_fallback_try_an_open_circuit_once_in_a_second() {
        let (circuits, t, tenant) = (ProviderCircuits::default(), Instant::now(), Arc::<str>::from("t"));
        let gone = ProviderError::Unreachable("refused".to_owned());
        let probe = |now| circuits.acquire_failback(&tenant, &endpoint(0), PipelineStage::Stt, now);
        for _ in 0..FAILURES_MAX {
            probe(t).unwrap().failed(t, &gone);
        }
        let tries: Vec<u64> = (0..100).filter(|step| probe(t + SECOND / 20 * *step as u32).is_ok()).collect();
        assert_eq!(tries, [0, 20, 40, 60, 80], "of two calls in a second one is let through");
        let back = probe(t + 5 * SECOND).unwrap();
        back.succeeded();
        assert!(circuits.acquire(&tenant, &endpoint(0), PipelineStage::Stt, t + 5 * SECOND, false).is_ok());
        assert!(probe(t + 5 * SECOND).is_ok() && probe(t + 5 * SECOND).is_ok(), "it is back for every call");
    }

    #[tokio::test]
    async fn a_full_provider_is_waited_for() {
        let (circuits, tenant) = (ProviderCircuits::default(), Arc::<str>::from("t"));
        let first = circuits.acquire(&tenant, &endpoint(1), PipelineStage::Tts, Instant::now(), false).unwrap();
        assert!(matches!(
            circuits.acquire(&tenant, &endpoint(1), PipelineStage::Tts, Instant::now(), false),
            Err(PermitError::ConcurrencyLimit(_))
        ));
        assert!(
            circuits
                .acquire_waiting(&tenant, &endpoint(1), PipelineStage::Tts, Duration::from_millis(20))
                .await
                .is_err()
        );
        let limited = endpoint(1);
        let second = circuits.acquire_waiting(&tenant, &limited, PipelineStage::Tts, 10 * SECOND);
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
