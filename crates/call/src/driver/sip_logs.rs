//! Which legs each call has had at the SIP user agent. Reads their messages while the call is live, and stores them when
//! it is over.

use crate::domain::ids::CallId;
use crate::domain::sip_log::SipLog;
use crate::sip_log::merge;
use crate::store::journal::Journal;
use crate::supervision;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::sip::message_log::LegMessages;
use trunkline_signaling::sip::user_agent::CallId as SipCall;

/// Legs of one call: its attempts, redirections and transfers. Further ones are not logged.
const LEGS_MAX: usize = 32;
/// Calls of one process: the largest server's, and as many that have just ended. Further ones are not logged.
const CALLS_MAX: usize = 65_536;
/// Between two looks at a call with a leg that may be over. The user agent keeps its messages for longer.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Looks after the end of a call: its last transactions are over by then (32 s, RFC 3261 section 17).
const LOOKS_MAX: usize = 25;
/// How long the messages may take to be written.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// A leg of a call.
#[derive(Debug)]
enum LoggedLeg {
    /// The user agent keeps its messages.
    Open(SipCall),
    /// It is over: these are all.
    Over(LegMessages),
    /// The user agent does not know it any more.
    Lost,
}

/// The legs of a call.
#[derive(Debug, Default)]
struct LoggedCall {
    legs: Vec<LoggedLeg>,
    is_over: bool,
    /// A task looks at the legs until everything is stored.
    is_watched: bool,
}

/// The SIP messages of the calls of this process.
#[derive(Clone, Debug)]
pub struct SipLogs {
    sip: SipHandle,
    journal: Journal,
    calls: Arc<Mutex<HashMap<CallId, LoggedCall>>>,
}

impl SipLogs {
    /// Starts with no calls.
    pub fn new(sip: SipHandle, journal: Journal) -> Self {
        Self { sip, journal, calls: Arc::default() }
    }

    /// The call has begun. Must be followed by [`SipLogs::record_ended`].
    pub fn open(&self, call: CallId) {
        let mut calls = self.lock();
        if calls.len() < CALLS_MAX {
            calls.insert(call, LoggedCall::default());
        }
    }

    /// The call has this leg now. A leg of a call that is not open, or no longer, is not logged.
    pub fn add_leg(&self, call: CallId, leg: SipCall) {
        let mut calls = self.lock();
        let Some(logged) = calls.get_mut(&call) else { return };
        if logged.legs.len() >= LEGS_MAX {
            return;
        }
        logged.legs.push(LoggedLeg::Open(leg));
        // One of several legs may be over long before the call is.
        if logged.legs.len() > 1 {
            self.watch(call, logged);
        }
    }

    /// The call is over: its messages are stored in the background, without those that are still to come at first.
    pub fn record_ended(&self, call: CallId) {
        let mut calls = self.lock();
        let Some(logged) = calls.get_mut(&call) else { return };
        logged.is_over = true;
        if logged.legs.is_empty() {
            calls.remove(&call);
        } else {
            self.watch(call, logged);
        }
    }

    /// The messages of a call of this process so far; `None` if it is not known here, or they are stored.
    pub async fn messages(&self, call: CallId) -> Option<SipLog> {
        let (legs, is_over) = self.read_legs(call).await?;
        Some(merge(&legs, is_over))
    }

    /// The messages of each leg that has some, and whether the call is over.
    async fn read_legs(&self, call: CallId) -> Option<(Vec<LegMessages>, bool)> {
        let open: Vec<SipCall> = self.lock().get(&call)?.open_legs();
        let mut read = Vec::with_capacity(open.len());
        for leg in open {
            read.push((leg, self.sip.call_messages(vec![leg]).await.pop()));
        }
        let mut calls = self.lock();
        let logged = calls.get_mut(&call)?;
        let mut live = Vec::new();
        for (leg, messages) in read {
            match messages {
                Some(messages) if messages.is_open => live.push(messages),
                Some(messages) => logged.close(leg, LoggedLeg::Over(messages)),
                None => logged.close(leg, LoggedLeg::Lost),
            }
        }
        let over = logged.legs.iter().filter_map(|leg| match leg {
            LoggedLeg::Over(messages) => Some(messages.clone()),
            LoggedLeg::Open(_) | LoggedLeg::Lost => None,
        });
        Some((over.chain(live).collect(), logged.is_over))
    }

    /// Hands the messages of calls that have ended to the journal, because the process ends.
    pub async fn store_ended(&self) {
        let ended: Vec<CallId> = self.lock().iter().filter(|(_, call)| call.is_over).map(|(id, _)| *id).collect();
        for call in ended {
            if let Some(log) = self.messages(call).await {
                self.journal.record_sip_log(call, &log).await;
            }
        }
    }

    fn watch(&self, call: CallId, logged: &mut LoggedCall) {
        if !std::mem::replace(&mut logged.is_watched, true) {
            drop(supervision::spawn("sip_log", self.clone().store_when_over(call)));
        }
    }

    async fn store_when_over(self, call: CallId) {
        let (mut stored, mut looks) = (SipLog::default(), 0_usize);
        while looks < LOOKS_MAX {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let Some((legs, is_over)) = self.read_legs(call).await else { return };
            if !is_over {
                continue;
            }
            let log = merge(&legs, is_over);
            looks = looks.saturating_add(1);
            if (looks == 1 || log.is_complete || looks == LOOKS_MAX) && log != stored && !log.messages.is_empty() {
                self.journal.record_sip_log(call, &log).await;
            }
            if log.is_complete {
                break;
            }
            stored = log;
        }
        // Until then they can be read here.
        self.journal.flush(WRITE_DEADLINE).await;
        self.lock().remove(&call);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, LoggedCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoggedCall {
    fn open_legs(&self) -> Vec<SipCall> {
        let open = |leg: &LoggedLeg| match leg {
            LoggedLeg::Open(leg) => Some(*leg),
            LoggedLeg::Over(_) | LoggedLeg::Lost => None,
        };
        self.legs.iter().filter_map(open).collect()
    }

    fn close(&mut self, call: SipCall, state: LoggedLeg) {
        let found = self.legs.iter_mut().find(|leg| matches!(leg, LoggedLeg::Open(open) if *open == call));
        if let Some(leg) = found {
            *leg = state;
        }
    }
}
