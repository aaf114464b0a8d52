//! Tries, beside a fallback STT that listens, whether a service that the agent prefers is back: connects it from time to
//! time, and lets it hear the caller on trial. [`FailbackSchedule`] and [`SttTrial`] decide; this has the sockets.

use super::replay_buffer::ReplayBuffer;
use super::stt::{SttCandidate, SttInput, SttUpdate};
use super::stt_connection::{OpenedSocket, SttConnection, SttNews};
use super::stt_trial::{FailbackSchedule, SttTrial, TryCost, Verdict};
use super::{ProviderError, ProviderRegistry};
use futures_util::future::BoxFuture;
use std::time::{Duration, Instant};
use trunkline_domain::provider::PipelineStage;

/// How long the connection on trial may refuse what it is sent: the fallback's words do not wait for it.
const SEND_MAX: Duration = Duration::from_millis(250);

/// A connection that is still being made after this time does not hear what the caller begins to say.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// What has happened on the way back.
pub(super) enum FailbackEvent {
    /// A try is due.
    TryDue,
    /// A try has connected, or not.
    Opened(Result<OpenedSocket, ProviderError>),
    /// The service on trial says something, or has failed.
    Service(Result<SttNews, ProviderError>),
    /// The fallback's words have waited long enough.
    TimeUp,
}

enum FailbackState {
    Waiting,
    Connecting { since: Instant, opening: BoxFuture<'static, Result<OpenedSocket, ProviderError>> },
    OnTrial(Box<(SttConnection, SttTrial)>),
}

/// The way back from one fallback.
pub(super) struct Failback {
    /// Places of the services that are preferred; empty if there is no way back.
    targets: Vec<usize>,
    /// Which of them is tried next.
    next_target: usize,
    schedule: FailbackSchedule,
    /// The caller speaks: a connection that is lost is made anew for what he says.
    is_speaking: bool,
    state: FailbackState,
}

impl Failback {
    /// The candidate at `index` listens from now on.
    pub(super) fn new(index: usize, candidates: &[SttCandidate], is_disabled: &[bool]) -> Self {
        let preferred = candidates.iter().zip(is_disabled).enumerate().take(index);
        let targets = preferred.filter(|(_, (one, disabled))| !one.is_last_resort && !**disabled).map(|(at, _)| at);
        Self {
            targets: targets.collect(),
            next_target: 0,
            schedule: FailbackSchedule::new(now()),
            is_speaking: false,
            state: FailbackState::Waiting,
        }
    }

    /// What happens next; for ever pending if there is no way back. Cancel safe.
    pub(super) async fn next(&mut self) -> FailbackEvent {
        if self.targets.is_empty() {
            return std::future::pending().await;
        }
        match &mut self.state {
            FailbackState::Waiting => {
                tokio::time::sleep_until(self.schedule.next().into()).await;
                FailbackEvent::TryDue
            }
            FailbackState::Connecting { opening, .. } => FailbackEvent::Opened(opening.await),
            FailbackState::OnTrial(on_trial) => {
                let (connection, trial) = on_trial.as_mut();
                let time_up = async {
                    match trial.next_timeout() {
                        Some(at) => tokio::time::sleep_until(at.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    news = connection.next() => FailbackEvent::Service(news),
                    () = time_up => FailbackEvent::TimeUp,
                }
            }
        }
    }

    /// The place of the service that is tried.
    fn target(&self) -> Option<usize> {
        self.targets.get(self.next_target % self.targets.len().max(1)).copied()
    }

    /// Connects, if the provider may be asked now.
    pub(super) fn start(&mut self, now: Instant, providers: &ProviderRegistry, candidates: &[SttCandidate]) {
        let Some(candidate) = self.target().and_then(|index| candidates.get(index)) else { return };
        self.schedule.handle_try(now);
        let (tenant, endpoint) = (providers.tenant(), &candidate.endpoint);
        match providers.circuits.acquire_failback(tenant, endpoint, PipelineStage::Stt, now) {
            Ok(pass) => {
                let (providers, candidate) = (providers.clone(), candidate.clone());
                let opening = async move { OpenedSocket::open(&providers, &candidate, pass).await };
                self.state = FailbackState::Connecting { since: now, opening: Box::pin(opening) };
            }
            Err(refusal) => self.handle_failed(now, TryCost::Nothing, refusal.retry_after()),
        }
    }

    /// A connection has come about: it gets the audio that has no final words yet.
    pub(super) async fn begin(
        &mut self, opened: OpenedSocket, providers: &ProviderRegistry, candidates: &[SttCandidate],
        replay: &ReplayBuffer,
    ) {
        self.state = FailbackState::Waiting;
        let Some((index, candidate)) = self.target().and_then(|index| Some((index, candidates.get(index)?))) else {
            return;
        };
        let limit = SEND_MAX.min(providers.timeouts.stt.between_bytes);
        match SttConnection::begin(opened, index, candidate, limit, replay).await {
            (connection, Ok(())) => {
                let trial = SttTrial::new(now());
                self.state = FailbackState::OnTrial(Box::new((connection, trial)));
            }
            (connection, Err(failure)) => {
                connection.record_failure(&failure);
                self.handle_failed(now(), TryCost::Nothing, None);
            }
        }
    }

    /// A try has not connected. Returns the place of the service.
    pub(super) fn handle_not_opened(&mut self, now: Instant) -> Option<usize> {
        let tried = self.target();
        self.handle_failed(now, TryCost::Nothing, None);
        tried
    }

    /// A service is not tried again.
    pub(super) fn leave_out(&mut self, index: usize) {
        self.targets.retain(|target| *target != index);
    }

    /// What the call sends to the fallback.
    pub(super) async fn handle_input(&mut self, now: Instant, input: &SttInput) -> Verdict {
        match input {
            SttInput::SpeechStarted => self.is_speaking = true,
            SttInput::SpeechEnded => self.is_speaking = false,
            SttInput::Audio(_) | SttInput::Finalize | SttInput::Restart => {}
        }
        if matches!(input, SttInput::SpeechStarted) {
            self.schedule.handle_speech_started(now);
            // One that hangs is one of the outage.
            if matches!(self.state, FailbackState::Connecting { since, .. } if now >= since + CONNECT_MAX) {
                self.handle_failed(now, TryCost::Nothing, None);
                self.schedule.handle_speech_started(now);
            }
        }
        let FailbackState::OnTrial(on_trial) = &mut self.state else { return Verdict::Tell(Vec::new()) };
        let (connection, trial) = on_trial.as_mut();
        match input {
            SttInput::SpeechStarted if !trial.handle_speech_started(now) => {
                let Verdict::Failed(held, _) = trial.handle_lost() else { return Verdict::Tell(Vec::new()) };
                self.state = FailbackState::Waiting;
                return Verdict::Tell(held);
            }
            SttInput::SpeechEnded => trial.handle_speech_ended(now),
            SttInput::SpeechStarted | SttInput::Audio(_) | SttInput::Finalize | SttInput::Restart => {}
        }
        match connection.input(input).await {
            Ok(()) => Verdict::Tell(Vec::new()),
            Err(failure) => self.handle_service(now, Err(failure)),
        }
    }

    /// The fallback says something.
    pub(super) fn handle_fallback(&mut self, now: Instant, update: SttUpdate) -> Verdict {
        let FailbackState::OnTrial(on_trial) = &mut self.state else { return Verdict::Tell(vec![update]) };
        let verdict = on_trial.1.handle_fallback(now, update);
        self.follow(now, verdict)
    }

    /// The service on trial says something, or has failed.
    pub(super) fn handle_service(&mut self, now: Instant, news: Result<SttNews, ProviderError>) -> Verdict {
        let FailbackState::OnTrial(on_trial) = &mut self.state else { return Verdict::Tell(Vec::new()) };
        let (connection, trial) = on_trial.as_mut();
        let verdict = match news {
            Ok(SttNews::Update(update)) => trial.handle_service(update),
            Ok(SttNews::Upkeep) => Verdict::Tell(Vec::new()),
            Err(failure) => {
                connection.record_failure(&failure);
                trial.handle_lost()
            }
        };
        let is_lost = matches!(verdict, Verdict::Failed(_, TryCost::Nothing));
        let verdict = self.follow(now, verdict);
        if is_lost && self.is_speaking {
            self.schedule.handle_speech_started(now);
        }
        verdict
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Verdict {
        let FailbackState::OnTrial(on_trial) = &mut self.state else { return Verdict::Tell(Vec::new()) };
        let verdict = on_trial.1.handle_timeout(now);
        self.follow(now, verdict)
    }

    /// The fallback has failed: what it said and was not told yet.
    pub(super) fn give_up(&mut self) -> Vec<SttUpdate> {
        match std::mem::replace(&mut self.state, FailbackState::Waiting) {
            FailbackState::OnTrial(mut on_trial) => match on_trial.1.handle_lost() {
                Verdict::Failed(held, _) => held,
                Verdict::Tell(_) | Verdict::Passed(_) => Vec::new(),
            },
            FailbackState::Waiting | FailbackState::Connecting { .. } => Vec::new(),
        }
    }

    /// The connection that has passed; from here on it has the deadlines of one that listens.
    pub(super) fn take_connection(&mut self, limit: Duration) -> Option<SttConnection> {
        match std::mem::replace(&mut self.state, FailbackState::Waiting) {
            FailbackState::OnTrial(on_trial) => {
                let mut connection = on_trial.0;
                connection.set_limit(limit);
                Some(connection)
            }
            FailbackState::Waiting | FailbackState::Connecting { .. } => None,
        }
    }

    fn follow(&mut self, now: Instant, verdict: Verdict) -> Verdict {
        if let Verdict::Failed(_, cost) = &verdict {
            if let (FailbackState::OnTrial(on_trial), TryCost::Delay) = (&self.state, cost) {
                on_trial.0.record_failure(&ProviderError::Timeout("transcript"));
            }
            self.handle_failed(now, *cost, None);
        }
        verdict
    }

    /// The next try is for the next of the preferred services.
    fn handle_failed(&mut self, now: Instant, cost: TryCost, not_before: Option<Duration>) {
        self.state = FailbackState::Waiting;
        self.schedule.handle_failed(now, cost, not_before);
        self.next_target = (self.next_target + 1) % self.targets.len().max(1);
    }
}

/// Tests may stop this clock.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
