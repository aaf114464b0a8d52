//! Our provisional responses that the caller acknowledges (RFC 3262, the answering side), one at a time.

use crate::limits;
use crate::sip::message::headers::RAck;
use crate::sip::transaction::MessageBytes;
use crate::sip::transaction::timers::{RetransmitTimer, TIMEOUT};
use crate::sip::transport::ResponsePath;
use std::collections::VecDeque;
use std::time::Instant;

/// Status and description of a provisional response.
type Provisional = (u16, Option<Vec<u8>>);

/// The reliable provisional responses of one INVITE.
#[derive(Debug)]
pub(crate) enum ReliableProvisionals {
    /// None was sent.
    Unused,
    /// The last one is retransmitted until its PRACK.
    AwaitingPrack(Box<AwaitingPrack>),
    /// All were acknowledged. `is_answered`: our answer was in one of them.
    Acknowledged { rseq: u32, is_answered: bool },
}

/// A response that waits for its PRACK, and what is queued behind it.
#[derive(Debug)]
pub(crate) struct AwaitingPrack {
    rseq: u32,
    /// CSeq number of the INVITE.
    cseq: u32,
    has_sdp: bool,
    wire: MessageBytes,
    to: ResponsePath,
    retransmit: RetransmitTimer,
    give_up: Instant,
    /// Our answer was in one before and was acknowledged.
    is_answered: bool,
    waiting: VecDeque<Provisional>,
    /// The answer of a 200 that must not be sent before the PRACK (section 3).
    deferred: Option<Vec<u8>>,
}

impl AwaitingPrack {
    /// A response that is sent now. `cseq` is the number of the INVITE, `to` where the response goes.
    pub(crate) fn new(now: Instant, rseq: u32, cseq: u32, has_sdp: bool, wire: MessageBytes, to: ResponsePath) -> Self {
        Self {
            rseq,
            cseq,
            has_sdp,
            wire,
            to,
            retransmit: RetransmitTimer::start(now, TIMEOUT),
            give_up: now + TIMEOUT,
            is_answered: false,
            waiting: VecDeque::new(),
            deferred: None,
        }
    }
}

/// What a PRACK sets free, in the order to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AcknowledgedProvisional {
    pub(crate) waiting: VecDeque<Provisional>,
    /// The answer of the deferred 200.
    pub(crate) answer: Option<Vec<u8>>,
}

/// What a timer wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReliableTimeout {
    /// The response is sent again.
    Retransmit(MessageBytes, ResponsePath),
    /// It was never acknowledged: the call is rejected.
    GiveUp,
}

impl ReliableProvisionals {
    /// The caller has acknowledged our answer and may send an offer (RFC 3311 section 5.1, RFC 6337 section 2.2).
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Self::Unused => false,
            Self::AwaitingPrack(sent) => sent.is_answered,
            Self::Acknowledged { is_answered, .. } => *is_answered,
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::AwaitingPrack(sent) => Some(sent.retransmit.at.min(sent.give_up)),
            Self::Unused | Self::Acknowledged { .. } => None,
        }
    }

    /// Number of the next response; `None` when it has to wait for a PRACK, and is queued then. `first` is the number to
    /// begin with.
    pub(crate) fn next_rseq(&mut self, first: u32, status: u16, sdp: Option<&Vec<u8>>) -> Option<u32> {
        match self {
            Self::Unused => Some(first),
            Self::Acknowledged { rseq, .. } => Some(rseq.saturating_add(1)),
            Self::AwaitingPrack(sent) => {
                if sent.waiting.len() < limits::PROVISIONAL_WAITING_MAX {
                    sent.waiting.push_back((status, sdp.cloned()));
                }
                None
            }
        }
    }

    /// A response was sent.
    pub(crate) fn record_sent(&mut self, sent: AwaitingPrack) {
        let is_answered = self.is_answered();
        *self = Self::AwaitingPrack(Box::new(AwaitingPrack { is_answered, ..sent }));
    }

    /// The 200 waits for a PRACK: the answer comes back when it need not.
    pub(crate) fn defer_answer(&mut self, sdp: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::AwaitingPrack(sent) if sent.has_sdp => {
                sent.deferred = Some(sdp);
                None
            }
            _ => Some(sdp),
        }
    }

    /// Takes a PRACK; `None` if it is for no response that waits.
    pub(crate) fn acknowledge(&mut self, rack: &RAck<'_>) -> Option<AcknowledgedProvisional> {
        let Self::AwaitingPrack(sent) = self else { return None };
        if rack.cseq.method != "INVITE" || (rack.rseq, rack.cseq.number) != (sent.rseq, sent.cseq) {
            return None;
        }
        let freed =
            AcknowledgedProvisional { waiting: std::mem::take(&mut sent.waiting), answer: sent.deferred.take() };
        *self = Self::Acknowledged { rseq: sent.rseq, is_answered: sent.is_answered || sent.has_sdp };
        Some(freed)
    }

    /// Runs the timer of the response that waits.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<ReliableTimeout> {
        let Self::AwaitingPrack(sent) = self else { return None };
        if now >= sent.give_up {
            return Some(ReliableTimeout::GiveUp);
        }
        if now < sent.retransmit.at {
            return None;
        }
        sent.retransmit.advance(now);
        Some(ReliableTimeout::Retransmit(sent.wire.clone(), sent.to.clone()))
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transport::Transport;

    fn sent(now: Instant, rseq: u32, has_sdp: bool) -> AwaitingPrack {
        let to = ResponsePath::open_only((Transport::Udp, "192.0.2.1:5060".parse().unwrap()));
        AwaitingPrack::new(now, rseq, 1, has_sdp, MessageBytes::from(&b"183"[..]), to)
    }

    #[test]
    fn responses_wait_for_the_prack_before_them_and_the_200_for_its_answers() {
        let now = Instant::now();
        let mut all = ReliableProvisionals::Unused;
        assert_eq!(all.next_rseq(7, 183, None), Some(7));
        assert_eq!(all.defer_answer(vec![1]), Some(vec![1]), "nothing waits");
        all.record_sent(sent(now, 7, true));
        assert_eq!(all.next_rseq(9, 180, None), None);
        assert_eq!(all.defer_answer(vec![1]), None);
        assert!(all.acknowledge(&RAck::parse("8 1 INVITE").unwrap()).is_none(), "another response");
        assert!(all.acknowledge(&RAck::parse("7 1 UPDATE").unwrap()).is_none(), "another request");
        let freed = all.acknowledge(&RAck::parse("7 1 INVITE").unwrap()).unwrap();
        assert_eq!(freed, AcknowledgedProvisional { waiting: [(180, None)].into(), answer: Some(vec![1]) });
        assert!(all.is_answered() && all.next_timeout().is_none());
        assert_eq!(all.next_rseq(9, 180, None), Some(8), "numbers rise by one");
        all.record_sent(sent(now, 8, false));
        assert!(all.is_answered(), "still");
        assert!(all.acknowledge(&RAck::parse("7 1 INVITE").unwrap()).is_none(), "already acknowledged");
    }

    #[test]
    fn a_response_is_repeated_for_32_seconds() {
        let start = Instant::now();
        let mut all = ReliableProvisionals::Unused;
        all.record_sent(sent(start, 1, false));
        let mut repeated = 0;
        while let Some(at) = all.next_timeout() {
            match all.handle_timeout(at) {
                Some(ReliableTimeout::Retransmit(..)) => repeated += 1,
                Some(ReliableTimeout::GiveUp) => {
                    assert_eq!(at, start + TIMEOUT);
                    break;
                }
                None => panic!("woken for nothing"),
            }
        }
        assert_eq!(repeated, 6);
    }
}
