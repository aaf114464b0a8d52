//! STT session of a call: keeps the connection alive, detects dead and mute connections, reconnects, fails over and back,
//! and replays the audio that has no final text yet.

use super::final_repeats::FinalRepeats;
use super::replay_buffer::ReplayBuffer;
use super::stt::{SttCandidate, SttInput, SttSession, SttUpdate};
use super::stt_connection::{OpenedSocket, ReplayOrigin, SttConnection, SttNews, SttProgress};
use super::stt_failback::{Failback, FailbackEvent};
use super::stt_trial::Verdict;
use super::stt_watch::ResultWatch;
use super::{EventStream, Failover, ProviderError, ProviderRegistry, SttEvent};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use trunkline_domain::provider::PipelineStage;

/// Chunks of audio that wait while a connection is made: ten seconds. What comes on top of them is lost.
const AUDIO_MAX: usize = 500;
/// Consecutive rounds through all candidates without a stable connection.
const FAILOVER_ROUNDS_MAX: u32 = 4;
/// A connection that lasted this long resets the rounds.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// Refusals in a row after which a candidate is not asked again.
const REFUSALS_MAX: u32 = 2;
/// A service brings no words; it may be slow, or mute.
const LATE: ProviderError = ProviderError::Timeout("transcript");
/// Reason of a failover that leads back to the service that the agent prefers.
const RECOVERED: &str = "recovered";

/// Opens an STT session; connects at once, and audio may be sent right away.
pub fn open_stt_session(providers: &ProviderRegistry, candidates: Vec<SttCandidate>) -> SttSession {
    let (input, queue) = mpsc::channel(AUDIO_MAX);
    let providers = providers.clone();
    let stream = EventStream::spawn("stt", |events| async move {
        let refusals = vec![0; candidates.len()];
        let replay_buffer = ReplayBuffer::default();
        let mut listening = SttWorker {
            providers,
            candidates,
            is_disabled: vec![false; refusals.len()],
            is_down: vec![false; refusals.len()],
            refusals,
            queue,
            events,
            replay_buffer,
            repeats: FinalRepeats::new(),
            watch: ResultWatch::default(),
            failed: None,
        };
        if let Err(failure) = listening.run().await {
            let _ = listening.events.send(SttEvent::Failed(failure)).await;
        }
    });
    SttSession { input, stream }
}

/// Why one connection ended.
enum SttConnectionEnd {
    /// The call is over.
    Finished,
    Broken(BrokenConnection),
}

/// A connection that ended before the call.
struct BrokenConnection {
    /// The place of its candidate.
    index: usize,
    failure: ProviderError,
    /// It has brought final words.
    has_heard: bool,
    /// It has brought nothing at all for what the caller said last.
    is_mute: bool,
}

struct SttWorker {
    providers: ProviderRegistry,
    candidates: Vec<SttCandidate>,
    /// Candidates disabled for this call by a permanent refusal.
    is_disabled: Vec<bool>,
    /// How often each candidate has refused in a row.
    refusals: Vec<u32>,
    /// Candidates that were left, and have not heard the caller since: no service that works is left for one of them.
    is_down: Vec<bool>,
    queue: mpsc::Receiver<SttInput>,
    events: mpsc::Sender<SttEvent>,
    replay_buffer: ReplayBuffer,
    repeats: FinalRepeats,
    watch: ResultWatch,
    /// The provider that failed last, how, and when.
    failed: Option<(usize, ProviderError, Instant)>,
}

impl SttWorker {
    async fn run(&mut self) -> Result<(), ProviderError> {
        let (mut current, mut tries) = (0, 0);
        loop {
            let (failure, is_down) = match self.connect(current).await {
                Ok(opened) => {
                    self.connected(current).await;
                    let since = Instant::now();
                    let broken = match self.serve(current, opened).await {
                        SttConnectionEnd::Finished => return Ok(()),
                        SttConnectionEnd::Broken(broken) => broken,
                    };
                    // One that ends after each utterance still understands the caller.
                    if broken.has_heard || since.elapsed() > STABLE_AFTER {
                        tries = 0;
                        self.refusals[broken.index] = 0;
                    }
                    current = broken.index;
                    self.is_down[current] = !broken.has_heard || broken.failure == LATE;
                    (broken.failure, broken.is_mute)
                }
                Err(failure) => {
                    self.is_down[current] = true;
                    (failure, true)
                }
            };
            if self.leave_out_extra(current, &failure) {
                continue;
            }
            tries += 1;
            self.record_refusal(current, &failure);
            let round = tries / self.candidates.len() as u32;
            let next = self.next(current, &failure, is_down || tries > 1).filter(|_| round < FAILOVER_ROUNDS_MAX);
            self.failed.get_or_insert((current, failure.clone(), Instant::now()));
            let Some(next) = next else { return Err(failure) };
            if self.events.send(SttEvent::Reconnecting(failure)).await.is_err() {
                return Ok(());
            }
            // The next provider is tried at once, the same one a little later.
            if next == current || round > 0 {
                tokio::time::sleep(Duration::from_millis(100) * (1 << round.min(5))).await;
            }
            current = next;
        }
    }

    /// The next candidate in order, which may be the same one. A slow one is not left for one that is down.
    fn next(&self, current: usize, failure: &ProviderError, are_others_down: bool) -> Option<usize> {
        if *failure == LATE && !self.is_disabled[current] && !self.has_working_others(current) {
            return Some(current);
        }
        let order = (1..=self.candidates.len()).map(|step| (current + step) % self.candidates.len());
        let mut usable = order.filter(|index| !self.is_disabled[*index]);
        let mut last_resort = None;
        usable
            .find(|index| {
                let is_last_resort = self.candidates[*index].is_last_resort && *index != current;
                if is_last_resort && !are_others_down {
                    last_resort.get_or_insert(*index);
                }
                !is_last_resort || are_others_down
            })
            .or(last_resort)
    }

    /// Another candidate than this one may be asked.
    fn has_others(&self, index: usize) -> bool {
        self.is_disabled.iter().enumerate().any(|(other, dead)| other != index && !dead)
    }

    /// A candidate that refuses its key is not asked again in this call; neither is one that refuses anything else (a gateway's
    /// 400, an unknown model) twice in a row. Returns whether it is out.
    fn record_refusal(&mut self, index: usize, failure: &ProviderError) -> bool {
        let refusals = &mut self.refusals[index];
        *refusals = if failure.is_retryable() { 0 } else { *refusals + 1 };
        self.is_disabled[index] |= failure.is_final() || *refusals >= REFUSALS_MAX;
        self.is_disabled[index]
    }

    /// Another candidate than this one may be asked, and is not known to be down.
    fn has_working_others(&self, index: usize) -> bool {
        let all = self.is_disabled.iter().zip(&self.is_down).enumerate();
        all.into_iter().any(|(other, (disabled, down))| other != index && !disabled && !down)
    }

    /// What the service owes is waited for: no other one is left, and a new connection would hear no sooner.
    fn keeps_waiting(&self, index: usize) -> bool {
        self.candidates[index].is_last_resort && !self.has_working_others(index)
    }

    /// A service has refused the session: an extra that it may not know is left out of the next attempt. False if there
    /// is none, or if something else was wrong.
    fn leave_out_extra(&mut self, index: usize, failure: &ProviderError) -> bool {
        let (ProviderError::Refused { status: 400 | 422, message, .. }, Some(candidate)) =
            (failure, self.candidates.get_mut(index))
        else {
            return false;
        };
        let extra = if !candidate.setup.keyterms.is_empty() {
            candidate.setup.keyterms.clear();
            "keyterms"
        } else if std::mem::take(&mut candidate.setup.eager) {
            "eager"
        } else {
            return false;
        };
        tracing::warn!(stt = candidate.name, extra, message, "STT refused the session; an extra is left out");
        true
    }

    async fn connect(&self, index: usize) -> Result<OpenedSocket, ProviderError> {
        let candidate = &self.candidates[index];
        let deadlines = self.providers.timeouts.stt;
        let (circuits, tenant, endpoint) = (&self.providers.circuits, self.providers.tenant(), &candidate.endpoint);
        let entered = if self.has_others(index) {
            // The last one that is not known to be down is asked however often it has failed.
            let insists = !self.has_working_others(index);
            circuits.acquire(tenant, endpoint, PipelineStage::Stt, now(), insists)
        } else {
            circuits.acquire_waiting(tenant, endpoint, PipelineStage::Stt, deadlines.first_byte).await
        };
        let pass = entered.map_err(|refusal| refusal.failure())?;
        OpenedSocket::open(&self.providers, candidate, pass).await
    }

    async fn connected(&mut self, index: usize) {
        if let Some((from, failure, at)) = self.failed.take()
            && from != index
        {
            self.tell_failover(from, index, failure.kind(), at.elapsed()).await;
        }
        let _ = self.events.send(SttEvent::Ready).await;
    }

    async fn tell_failover(&self, from: usize, to: usize, reason: &'static str, after: Duration) {
        let switch = Failover {
            stage: PipelineStage::Stt,
            from: self.candidates[from].name.clone(),
            to: self.candidates[to].name.clone(),
            reason,
            after,
        };
        let _ = self.events.send(SttEvent::FailedOver(switch)).await;
    }

    async fn serve(&mut self, index: usize, opened: OpenedSocket) -> SttConnectionEnd {
        self.repeats.handle_connected();
        if self.replay_buffer.speaking {
            metrics::counter!("trunkline_stt_replays_total").increment(1);
        }
        let limit = self.providers.timeouts.stt.between_bytes;
        let begun = SttConnection::begin(opened, index, &self.candidates[index], limit, &self.replay_buffer).await;
        let mut connection = match begun {
            (connection, Ok(())) => connection,
            (connection, Err(failure)) => {
                connection.record_failure(&failure);
                let broken = BrokenConnection { index, failure, has_heard: false, is_mute: false };
                return SttConnectionEnd::Broken(broken);
            }
        };
        self.watch.handle_connected(now());
        let failure = self.converse(&mut connection).await;
        let end = match failure {
            None => SttConnectionEnd::Finished,
            Some(failure) => {
                connection.record_failure(&failure);
                SttConnectionEnd::Broken(BrokenConnection {
                    index: connection.index,
                    failure,
                    has_heard: connection.progress() == SttProgress::Words,
                    is_mute: self.watch.is_unanswered(),
                })
            }
        };
        connection.close().await;
        end
    }

    /// Listens until the connection fails; `None` when the call is over.
    async fn converse(&mut self, connection: &mut SttConnection) -> Option<ProviderError> {
        let mut failback = Failback::new(connection.index, &self.candidates, &self.is_disabled);
        loop {
            let mute_at = self.watch.deadline().filter(|_| self.has_working_others(connection.index));
            let result = tokio::select! {
                input = self.queue.recv() => match input {
                    Some(SttInput::Restart) if self.keeps_waiting(connection.index) => Ok(true),
                    Some(SttInput::Restart) => Err(LATE),
                    Some(input) => self.input(connection, &mut failback, input).await,
                    None => {
                        connection.say_goodbye().await;
                        return None;
                    }
                },
                news = connection.next() => match news {
                    Ok(SttNews::Update(update)) => self.heard(connection, &mut failback, update).await,
                    Ok(SttNews::Upkeep) => {
                        self.keep_warm(connection.index);
                        Ok(true)
                    }
                    Err(failure) => Err(failure),
                },
                event = failback.next() => Ok(self.handle_failback(connection, &mut failback, event).await),
                () = sleep_until(mute_at) => Err(LATE),
            };
            match result {
                Ok(true) => {}
                Ok(false) => return None,
                Err(failure) => {
                    // What the service on trial left unsaid counts.
                    let held = failback.give_up();
                    self.tell_all(connection.replay_origin(), held).await;
                    return Some(failure);
                }
            }
        }
    }

    /// The connection is alive: the fallbacks' are kept ready.
    fn keep_warm(&self, index: usize) {
        if index == 0 {
            let endpoints = self.candidates.iter().map(|one| &one.endpoint);
            self.providers.keep_warm_connections(endpoints, PipelineStage::Stt);
        }
    }

    async fn input(
        &mut self, connection: &mut SttConnection, failback: &mut Failback, input: SttInput,
    ) -> Result<bool, ProviderError> {
        let at = now();
        match &input {
            SttInput::Audio(codes) => self.replay_buffer.push(codes.clone()),
            SttInput::SpeechStarted => {
                self.replay_buffer.speaking = true;
                self.repeats.handle_speech_started();
                self.watch.handle_speech_started(at);
            }
            SttInput::SpeechEnded => {
                self.repeats.handle_speech_ended();
                self.watch.handle_speech_ended(at);
            }
            SttInput::Finalize | SttInput::Restart => {}
        }
        let verdict = failback.handle_input(at, &input).await;
        let goes_on = self.carry_out(connection, failback, verdict).await;
        connection.input(&input).await?;
        Ok(goes_on)
    }

    /// False when the call no longer listens.
    async fn heard(
        &mut self, connection: &mut SttConnection, failback: &mut Failback, update: SttUpdate,
    ) -> Result<bool, ProviderError> {
        self.watch.handle_message();
        let verdict = failback.handle_fallback(now(), update);
        Ok(self.carry_out(connection, failback, verdict).await)
    }

    async fn handle_failback(
        &mut self, connection: &mut SttConnection, failback: &mut Failback, event: FailbackEvent,
    ) -> bool {
        let verdict = match event {
            FailbackEvent::TryDue => {
                failback.start(now(), &self.providers, &self.candidates);
                return true;
            }
            FailbackEvent::Opened(Ok(opened)) => {
                failback.begin(opened, &self.providers, &self.candidates, &self.replay_buffer).await;
                return true;
            }
            FailbackEvent::Opened(Err(failure)) => {
                if let Some(tried) = failback.handle_not_opened(now())
                    && self.record_refusal(tried, &failure)
                {
                    failback.leave_out(tried);
                }
                return true;
            }
            FailbackEvent::Service(news) => {
                if matches!(news, Ok(SttNews::Update(_))) {
                    self.watch.handle_message();
                }
                failback.handle_service(now(), news)
            }
            FailbackEvent::TimeUp => failback.handle_timeout(now()),
        };
        self.carry_out(connection, failback, verdict).await
    }

    /// Does what follows from whose words count. False when the call no longer listens.
    async fn carry_out(&mut self, connection: &mut SttConnection, failback: &mut Failback, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Tell(updates) => self.tell_all(connection.replay_origin(), updates).await,
            Verdict::Failed(updates, _) => {
                metrics::counter!("trunkline_stt_failbacks_total", "result" => "failed").increment(1);
                self.tell_all(connection.replay_origin(), updates).await
            }
            Verdict::Passed(updates) => {
                let limit = self.providers.timeouts.stt.between_bytes;
                let Some(service) = failback.take_connection(limit) else { return true };
                metrics::counter!("trunkline_stt_failbacks_total", "result" => "passed").increment(1);
                let (from, to) = (connection.index, service.index);
                self.is_down[to] = false;
                std::mem::replace(connection, service).close().await;
                self.tell_failover(from, to, RECOVERED, Duration::ZERO).await;
                self.repeats.handle_connected();
                *failback = Failback::new(to, &self.candidates, &self.is_disabled);
                self.tell_all(connection.replay_origin(), updates).await
            }
        }
    }

    async fn tell_all(&mut self, origin: ReplayOrigin, updates: Vec<SttUpdate>) -> bool {
        for update in updates {
            if !self.tell(origin, update).await {
                return false;
            }
        }
        true
    }

    /// Hands words on. False when the call no longer listens.
    async fn tell(&mut self, origin: ReplayOrigin, update: SttUpdate) -> bool {
        if let Some(ms) = update.settled_ms {
            self.replay_buffer.settle(origin.position(ms), update.ends_utterance());
        }
        for event in update.events {
            let Some(event) = self.repeats.filter(Instant::now(), event, update.span) else { continue };
            if self.events.send(event).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Tests may stop this clock.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
