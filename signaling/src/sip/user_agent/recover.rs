//! Repairs the state after a contained panic: incomplete changes are undone or their calls ended, so that other calls
//! continue. The panic is still a bug; this limits it to one call.

use super::agent::UserAgent;
use super::event::CallId;
use super::session::{LastRequest, PendingRequest, SessionMode};
use crate::sip::end_cause::EndCause;
use std::time::Instant;

impl UserAgent {
    /// Repairs what an interrupted `handle_*` or command may have left: inconsistent tables, missing timers, calls
    /// without their transaction. Scans all state.
    pub fn repair_after_panic(&mut self, now: Instant) {
        self.sessions.repair();
        self.servers.repair();
        let sessions = &self.sessions;
        self.lookups.remove_calls(|call| !sessions.contains(call));
        let lost: Vec<CallId> =
            sessions.iter().filter(|(_, session)| self.is_orphaned(session.mode())).map(|(call, _)| call).collect();
        for call in lost {
            self.end_call(now, call, EndCause::InternalError);
        }
        self.rebuild_timers();
    }

    /// The transaction its mode waits for is gone.
    fn is_orphaned(&self, mode: &SessionMode) -> bool {
        match mode {
            SessionMode::Ringing(ringing) => !self.servers.contains(&ringing.tx),
            SessionMode::AwaitingAck(waiting) => !self.servers.contains(&waiting.tx),
            SessionMode::Inviting(inviting) => match &inviting.request {
                PendingRequest::Sent { key } => !self.clients.contains(key),
                PendingRequest::Resolving => self.lookups.is_empty(),
            },
            SessionMode::Registering { id, .. } => !self.registrations.contains(id),
            SessionMode::Terminating(over) => match &over.last {
                LastRequest::Cancel(canceling) => !self.clients.contains(&canceling.invite),
                LastRequest::AwaitingAck(waiting) => !self.servers.contains(&waiting.tx),
                LastRequest::Bye { .. } | LastRequest::Unregister { .. } => false,
            },
            SessionMode::AnswerDue(_) | SessionMode::Confirmed(_) | SessionMode::Probing { .. } => false,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::super::session::Terminating;
    use super::super::{ChallengeAlgorithms, DestinationPolicy, InboundTrunk, SipEvent, UserAgentConfig};
    use super::*;
    use std::time::Duration;

    const INVITE: &str = "INVITE sip:us@10.9.9.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKBRANCH\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a@10.0.0.1>;tag=a\r\nTo: <sip:us@10.9.9.9>\r\nCall-ID: CALL\r\n\
        CSeq: 1 INVITE\r\nContact: <sip:a@10.0.0.1:5060>\r\nContent-Length: 0\r\n\r\n";

    fn user_agent(now: Instant) -> UserAgent {
        let config = UserAgentConfig {
            advertised: [10, 9, 9, 9].into(),
            advertised_other: None,
            udp_port: 5_060,
            tcp_port: 5_060,
            tls_port: None,
            ws_port: None,
            user_agent: "test".into(),
            realm: "r".into(),
            calls_max: 100,
            retry_after_s: 1,
            session_expires_s: 90,
            destinations: DestinationPolicy::allow_all(),
            trunks: vec![InboundTrunk {
                id: "t".into(),
                allow: "10.0.0.0/8".parse().into_iter().collect(),
                credentials: None,
                algorithms: ChallengeAlgorithms::Automatic,
                accept_refer: false,
            }],
        };
        UserAgent::new(now, config, [1; 32])
    }

    fn incoming(user_agent: &mut UserAgent, now: Instant, name: &str) -> CallId {
        let invite = INVITE.replace("BRANCH", name).replace("CALL", name);
        user_agent.handle_datagram(now, "10.0.0.1:5060".parse().unwrap(), invite.as_bytes());
        match user_agent.poll_event() {
            Some(SipEvent::Incoming(incoming)) => incoming.call,
            other => panic!("{other:?}"),
        }
    }

    /// Runs all timers of the next ten minutes: calls that ended.
    fn rest(user_agent: &mut UserAgent, now: Instant) -> Vec<CallId> {
        let mut ended = vec![];
        while let Some(at) = user_agent.poll_timeout().filter(|at| *at < now + Duration::from_secs(600)) {
            user_agent.handle_timeout(at);
            while user_agent.poll_transmit().is_some() {}
            while let Some(event) = user_agent.poll_event() {
                if let SipEvent::Ended { call, .. } = event {
                    ended.push(call);
                }
            }
        }
        ended
    }

    /// Removes each part of the state in turn, as a panic in the middle of a change would.
    #[test]
    fn inconsistent_state_is_repaired() {
        type Break = fn(&mut UserAgent, CallId);
        let breaks: [(&str, Break); 6] = [
            ("timers", |user_agent, _| user_agent.timers.clear()),
            ("transactions", |user_agent, _| user_agent.servers.clear()),
            ("session", |user_agent, call| user_agent.sessions.forget_session(call)),
            ("dialogs", |user_agent, _| user_agent.sessions.dialogs().clear()),
            ("a foreign dialog", |user_agent, call| {
                user_agent.sessions.dialogs().insert("x".into(), call);
            }),
            ("closing without a request", |user_agent, call| {
                let last = LastRequest::Unregister { authenticator: None };
                let over = Terminating::new(Instant::now(), last);
                user_agent.sessions.transition(call, |_| (SessionMode::Terminating(Box::new(over)), ()));
            }),
        ];
        for (what, take) in breaks {
            for answered in [false, true] {
                let now = Instant::now();
                let mut user_agent = user_agent(now);
                let call = incoming(&mut user_agent, now, "one");
                if answered {
                    user_agent.answer(now, call, b"v=0\r\n".to_vec()).unwrap();
                }
                take(&mut user_agent, call);
                user_agent.repair_after_panic(now);
                // The next caller is served as if nothing had been.
                while user_agent.poll_event().is_some() {}
                let other = incoming(&mut user_agent, now, "two");
                user_agent.answer(now, other, b"v=0\r\n".to_vec()).unwrap();
                let ended = rest(&mut user_agent, now);
                assert!(ended.contains(&other), "{what}: not acknowledged, and so ended");
                assert_eq!(user_agent.held_counts(), (0, 0, 0), "{what}, answered: {answered}");
                let left = (user_agent.sessions.dialogs().len(), user_agent.servers.leftovers());
                assert_eq!(left, (0, (0, 0)), "{what}, answered: {answered}");
            }
        }
    }

    #[test]
    fn transactions_of_a_call_are_counted_again() {
        let now = Instant::now();
        let mut user_agent = user_agent(now);
        let call = incoming(&mut user_agent, now, "one");
        user_agent.answer(now, call, b"v=0\r\n".to_vec()).unwrap();
        let tag = user_agent.sessions.get(call).unwrap().ids.local_tag.clone();
        for cseq in 2..5 {
            let info = INVITE.replace("INVITE", "INFO").replace("BRANCH", &format!("{cseq}")).replace("CALL", "one");
            let info = info
                .replace("1 INFO", &format!("{cseq} INFO"))
                .replace("us@10.9.9.9>\r\n", &format!("us@10.9.9.9>;tag={tag}\r\n"));
            user_agent.handle_datagram(now, "10.0.0.1:5060".parse().unwrap(), info.as_bytes());
        }
        let count = |user_agent: &UserAgent| user_agent.servers.held_by_call(call);
        assert_eq!(count(&user_agent), Some(3));
        for (broken, wanted) in [(0, 3), (1_000, 3)] {
            user_agent.servers.set_held_by_call(call, broken);
            user_agent.repair_after_panic(now);
            assert_eq!(count(&user_agent), Some(wanted));
        }
        rest(&mut user_agent, now);
        assert_eq!(user_agent.held_counts(), (0, 0, 0));
    }

    #[test]
    fn transaction_keys_count_as_memory() {
        let now = Instant::now();
        let mut user_agent = user_agent(now);
        let call = incoming(&mut user_agent, now, &"x".repeat(10_000));
        // Via and Call-ID, and the keys that are made of them.
        assert!(user_agent.servers.leftovers().1 > 40_000, "{}", user_agent.servers.leftovers().1);
        user_agent.reject(now, call, 480, None).unwrap();
        assert!(
            user_agent.servers.leftovers().1 > 40_000,
            "its answer holds them as well: {}",
            user_agent.servers.leftovers().1
        );
        rest(&mut user_agent, now);
        assert_eq!(user_agent.servers.leftovers().1, 0);
    }

    #[test]
    fn transaction_memory_is_accounted() {
        let now = Instant::now();
        let mut user_agent = user_agent(now);
        let calls: Vec<CallId> = (0..20).map(|n| incoming(&mut user_agent, now, &format!("n{n}"))).collect();
        assert!(user_agent.servers.leftovers().1 > 20 * 400, "{}", user_agent.servers.leftovers().1);
        let before = user_agent.servers.leftovers().1;
        user_agent.answer(now, calls[0], vec![b'x'; 10_000]).unwrap();
        assert!(user_agent.servers.leftovers().1 > before + 10_000);
        rest(&mut user_agent, now);
        assert_eq!((user_agent.servers.leftovers().1, user_agent.held_counts()), (0, (0, 0, 0)));
    }
}
