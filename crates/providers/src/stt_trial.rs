//! The way back from a fallback STT to the one that the agent prefers, within a call.
//!
//! While a fallback listens, the preferred service is connected again from time to time. A connection that comes about is
//! on trial: it hears the caller beside the fallback, from the audio on that has no final words yet. With its first final
//! words it takes over, and the fallback's words for the same speech are dropped; until then the fallback's words count. So
//! a service that connects and does not listen costs no turn. Final words of the fallback wait a moment for a service on
//! trial that has shown that it lives.
//!
//! [`FailbackSchedule`] says when to try, and [`SttTrial`] whose words count. Both are told the time.

use super::stt::SttUpdate;
use std::time::{Duration, Instant};

/// The first try after the switch, and the wait after a failure, which doubles up to the longest.
const WAIT_MIN: Duration = Duration::from_secs(2);
const WAIT_MAX: Duration = Duration::from_secs(16);
/// From the begin of a try to the next one, if the caller begins to speak.
const TRY_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// A connection on trial that has said nothing for so long when the caller begins to speak may be one of the outage.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How long final words of the fallback wait for those of a service that lives, from the end of speech on.
const GRACE: Duration = Duration::from_millis(800);
/// The same where the end of speech is not known.
const GRACE_OF_WORDS: Duration = Duration::from_millis(500);
/// Messages that are kept of either side.
const HELD_MAX: usize = 64;

/// When the preferred service is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FailbackSchedule {
    next: Instant,
    /// It is not tried before that when the caller begins to speak.
    earliest: Instant,
    wait: Duration,
}

/// What a try that failed has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TryCost {
    /// Nobody has waited for it.
    Nothing,
    /// The caller's words have waited for it.
    Delay,
}

impl FailbackSchedule {
    /// A fallback listens from now on.
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now + WAIT_MIN, earliest: now + TRY_INTERVAL_MIN, wait: WAIT_MIN }
    }

    /// When the next try is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// The caller begins to speak: a service that is back by now hears all of it.
    pub(super) fn handle_speech_started(&mut self, now: Instant) {
        self.next = self.next.min(now.max(self.earliest));
    }

    /// A try begins.
    pub(super) fn handle_try(&mut self, now: Instant) {
        self.earliest = now + TRY_INTERVAL_MIN;
    }

    /// It has failed, or may not be made for so long.
    pub(super) fn handle_failed(&mut self, now: Instant, cost: TryCost, not_before: Option<Duration>) {
        let ordered = now + not_before.unwrap_or_default();
        self.next = ordered.max(now + self.wait);
        self.earliest = match cost {
            TryCost::Nothing => self.earliest.max(ordered),
            TryCost::Delay => self.next,
        };
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }
}

/// Whose words count.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// These are to be told; often none.
    Tell(Vec<SttUpdate>),
    /// The service on trial has understood the caller: these are its words, and it listens from here on.
    Passed(Vec<SttUpdate>),
    /// The fallback's words count, and the trial is over.
    Failed(Vec<SttUpdate>, TryCost),
}

/// A trial of one connection.
#[derive(Debug)]
pub(super) struct SttTrial {
    began: Instant,
    /// It has said something.
    lives: bool,
    /// It has shown words so far.
    has_interim: bool,
    /// The end of speech, as the call heard it, if the caller is silent.
    speech_ended: Option<Instant>,
    /// What the fallback has said for speech that the service heard too.
    of_fallback: Vec<SttUpdate>,
    /// What the service has said before its first final words.
    of_service: Vec<SttUpdate>,
    /// Until when the fallback's final words wait.
    until: Option<Instant>,
}

impl SttTrial {
    /// A connection has come about, and has been sent the audio without final words.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            lives: false,
            has_interim: false,
            speech_ended: None,
            of_fallback: Vec::new(),
            of_service: Vec::new(),
            until: None,
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// The caller makes a sound. False if another connection is to hear it.
    pub(super) fn handle_speech_started(&mut self, now: Instant) -> bool {
        self.speech_ended = None;
        self.lives || now < self.began + FRESH_FOR
    }

    /// The caller is silent.
    pub(super) fn handle_speech_ended(&mut self, now: Instant) {
        self.speech_ended = Some(now);
    }

    /// The fallback says something.
    pub(super) fn handle_fallback(&mut self, now: Instant, update: SttUpdate) -> Verdict {
        let is_end = update.ends_utterance();
        if !is_end && !update.has_final_words() {
            // Words so far may change, so both may tell them; the service's are the better ones.
            return Verdict::Tell(if self.has_interim { Vec::new() } else { vec![update] });
        }
        self.of_fallback.push(update);
        if self.of_fallback.len() > HELD_MAX || (is_end && !self.lives) {
            return self.decide(TryCost::Nothing);
        }
        if is_end && self.until.is_none() {
            let since_speech = self.speech_ended.map(|ended| ended + GRACE);
            self.until = Some(since_speech.unwrap_or(now + GRACE_OF_WORDS).max(now));
        }
        Verdict::Tell(Vec::new())
    }

    /// The service on trial says something.
    pub(super) fn handle_service(&mut self, update: SttUpdate) -> Verdict {
        self.lives = true;
        if update.has_final_words() {
            self.of_service.push(update);
            return Verdict::Passed(std::mem::take(&mut self.of_service));
        }
        if update.is_interim() {
            self.has_interim = true;
            return Verdict::Tell(vec![update]);
        }
        if self.of_service.len() < HELD_MAX && !update.events.is_empty() {
            self.of_service.push(update);
        }
        Verdict::Tell(Vec::new())
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Verdict {
        match self.until {
            Some(until) if until <= now => self.decide(TryCost::Delay),
            _ => Verdict::Tell(Vec::new()),
        }
    }

    /// Its connection has ended: what was held is told.
    pub(super) fn handle_lost(&mut self) -> Verdict {
        let cost = if self.until.is_some() { TryCost::Delay } else { TryCost::Nothing };
        Verdict::Failed(std::mem::take(&mut self.of_fallback), cost)
    }

    /// The fallback's words count. If there were none, the trial goes on.
    fn decide(&mut self, cost: TryCost) -> Verdict {
        self.until = None;
        let words = std::mem::take(&mut self.of_fallback);
        if words.iter().any(SttUpdate::has_final_words) { Verdict::Failed(words, cost) } else { Verdict::Tell(words) }
    }
}

#[cfg(test)]
mod tests;
