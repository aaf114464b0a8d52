//! An early dialog of our INVITE: one for each To tag, because a proxy may ring several phones. Each owns its own
//! sequence numbers, route set, remote target, reliable responses and offer/answer exchange; the final answer of a tag
//! completes the early dialog of that tag and no other one.

use super::established::DialogPath;
use super::offer_answer::{OfferConflict, RemoteOffer};
use crate::sip::dialog::Dialog;
use crate::sip::message::{HeaderName, Headers, Method, Response};
use std::sync::Arc;

/// How far offer and answer are between us and one fork.
#[derive(Debug)]
pub(crate) enum EarlyOfferAnswer {
    /// The offer of our INVITE has no answer of this fork.
    AwaitingAnswer,
    /// This fork has answered our offer with this description.
    Answered(Vec<u8>),
    /// It has answered, and then made an offer of its own (UPDATE), which the owner has to answer.
    RemoteOffer(RemoteOffer),
    /// We have answered its offer: the description of its first answer no longer holds.
    Renegotiated,
}

/// What to do with a provisional response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProvisionalAction {
    /// The owner is told.
    Deliver,
    /// The same, and the response with this RSeq is acknowledged.
    Acknowledge { rseq: u32 },
    /// A retransmission, or one before it is still to come.
    Ignore,
}

/// Whether a provisional response was sent reliably, so that a PRACK has to acknowledge it.
pub(crate) fn is_reliable(headers: &Headers) -> bool {
    headers.list(&HeaderName::Require).any(|tag| tag.eq_ignore_ascii_case("100rel"))
        && headers.number(&HeaderName::RSeq).is_some()
}

/// An early dialog of our INVITE.
#[derive(Debug)]
pub(crate) struct EarlyDialog {
    pub(crate) dialog: Dialog,
    pub(crate) path: DialogPath,
    /// RSeq of the last reliable response, if there was one.
    last_rseq: Option<u32>,
    offer_answer: EarlyOfferAnswer,
}

impl EarlyDialog {
    /// The dialog of the first provisional response with a new tag.
    pub(crate) fn new(dialog: Dialog, path: DialogPath) -> Self {
        Self { dialog, path, last_rseq: None, offer_answer: EarlyOfferAnswer::AwaitingAnswer }
    }

    /// Takes a provisional response of this fork.
    pub(crate) fn receive(&mut self, response: &Response) -> ProvisionalAction {
        let headers = &response.headers;
        let rseq = headers.number(&HeaderName::RSeq).filter(|_| is_reliable(headers));
        if let (Some(rseq), Some(last)) = (rseq, self.last_rseq)
            && rseq != last.wrapping_add(1)
        {
            return ProvisionalAction::Ignore;
        }
        if !response.body.is_empty()
            && matches!(self.offer_answer, EarlyOfferAnswer::AwaitingAnswer | EarlyOfferAnswer::Answered(_))
        {
            self.offer_answer = EarlyOfferAnswer::Answered(response.body.clone());
        }
        match rseq {
            None => ProvisionalAction::Deliver,
            Some(rseq) => ProvisionalAction::Acknowledge { rseq },
        }
    }

    /// The reliable response with this number was acknowledged.
    pub(crate) fn record_acknowledged(&mut self, rseq: u32) {
        self.last_rseq = Some(rseq);
    }

    /// Our offer comes first, until this fork has answered it.
    pub(crate) fn check_remote(&self, method: &Method) -> Result<(), OfferConflict> {
        match &self.offer_answer {
            EarlyOfferAnswer::RemoteOffer(_) => Err(OfferConflict::Busy),
            EarlyOfferAnswer::Answered(_) | EarlyOfferAnswer::Renegotiated if *method == Method::Update => Ok(()),
            _ => Err(OfferConflict::Glare),
        }
    }

    pub(crate) fn receive_remote(&mut self, offer: RemoteOffer) {
        self.offer_answer = EarlyOfferAnswer::RemoteOffer(offer);
    }

    /// The transaction of this fork's open offer.
    pub(crate) fn remote_key(&self) -> Option<&Arc<str>> {
        match &self.offer_answer {
            EarlyOfferAnswer::RemoteOffer(offer) => Some(&offer.key),
            _ => None,
        }
    }

    /// Takes the open offer to answer it.
    pub(crate) fn answer_remote(&mut self) -> Option<RemoteOffer> {
        match std::mem::replace(&mut self.offer_answer, EarlyOfferAnswer::Renegotiated) {
            EarlyOfferAnswer::RemoteOffer(offer) => Some(offer),
            same => {
                self.offer_answer = same;
                None
            }
        }
    }

    /// The description with which this fork has answered our offer, if that stands.
    pub(crate) fn into_answer(self) -> Option<Vec<u8>> {
        match self.offer_answer {
            EarlyOfferAnswer::Answered(answer) => Some(answer),
            EarlyOfferAnswer::AwaitingAnswer | EarlyOfferAnswer::RemoteOffer(_) | EarlyOfferAnswer::Renegotiated => {
                None
            }
        }
    }

    /// What the dialog of the final answer takes over: the offer/answer exchange as it stands.
    pub(crate) fn into_offer_answer(self) -> EarlyOfferAnswer {
        self.offer_answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::established::PeerAddress;
    use super::*;
    use crate::sip::message::parse::{ParsedMessage, datagram};
    use crate::sip::message::{Request, SipMessage};
    use crate::sip::transport::{Transport, TransportAddress};

    fn request(method: &str) -> Request {
        let text = format!(
            "{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@h>;tag=l\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContact: <sip:a@h>\r\n\r\n"
        );
        match datagram(text.as_bytes()) {
            ParsedMessage::Message(SipMessage::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn response(rseq: Option<u32>, sdp: &str) -> Response {
        let mut response = Response::to_request(&request("INVITE").headers, 183, Some("fork"));
        if let Some(rseq) = rseq {
            response.headers.push(HeaderName::Require, "100rel");
            response.headers.push(HeaderName::RSeq, rseq.to_string());
        }
        response.body = sdp.into();
        response
    }

    fn early() -> EarlyDialog {
        let addr = "192.0.2.1:5060".parse().unwrap();
        let went_to = TransportAddress { transport: Transport::Udp, addr };
        let dialog = Dialog::from_response(&request("INVITE"), &response(None, "")).unwrap();
        let path = DialogPath { transport: Transport::Udp, peer: PeerAddress::InviteWentTo(went_to), is_sips: false };
        EarlyDialog::new(dialog, path)
    }

    #[test]
    fn reliable_responses_are_taken_in_their_order() {
        let mut early = early();
        assert_eq!(early.receive(&response(None, "")), ProvisionalAction::Deliver);
        assert_eq!(early.receive(&response(Some(5), "")), ProvisionalAction::Acknowledge { rseq: 5 });
        early.record_acknowledged(5);
        assert_eq!(early.receive(&response(Some(5), "v=0")), ProvisionalAction::Ignore, "a retransmission");
        assert_eq!(early.receive(&response(Some(7), "v=0")), ProvisionalAction::Ignore, "6 is still to come");
        assert!(matches!(early.into_offer_answer(), EarlyOfferAnswer::AwaitingAnswer));
    }

    #[test]
    fn each_fork_answers_our_offer_before_it_makes_one() {
        let mut early = early();
        let offer = || RemoteOffer::of("update".into(), &request("UPDATE"));
        assert_eq!(early.check_remote(&Method::Update), Err(OfferConflict::Glare));
        early.receive(&response(None, "v=0"));
        assert_eq!(early.check_remote(&Method::Invite), Err(OfferConflict::Glare));
        assert_eq!(early.check_remote(&Method::Update), Ok(()));
        early.receive_remote(offer());
        assert_eq!(early.check_remote(&Method::Update), Err(OfferConflict::Busy));
        assert!(early.answer_remote().is_some() && early.answer_remote().is_none());
        assert_eq!(early.check_remote(&Method::Update), Ok(()));
        early.receive(&response(None, "v=0"));
        assert!(matches!(early.into_offer_answer(), EarlyOfferAnswer::Renegotiated), "its first answer is out of date");
    }
}
