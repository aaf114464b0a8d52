//! Signalling during an answered call: re-INVITE, REFER, Replaces, BYE.

use super::Media;
use super::converse::Conversation;
use super::figures::{ended_by, info_digit, reason_facts, referral_news};
use super::handover::{Handover, HandoverNews};
use super::inbound::calls_somebody_else;
use super::line::{Line, News};
use crate::call::machine::Machine;
use crate::domain::call::Direction;
use crate::domain::end_reason::EndReason;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event, Incoming, Referred};
use trunkline_signaling::webrtc::offer as webrtc_offer;

/// A worker answers within a turn of some milliseconds.
const REANSWER_DEADLINE: Duration = Duration::from_secs(2);

impl Conversation {
    pub(super) async fn signalled(&mut self, now: Instant, machine: &mut Machine, news: News) {
        match news {
            News::Sip(event) => self.sip_event(now, machine, event).await,
            News::Handover(news) => self.handed_over(news).await,
        }
    }

    async fn sip_event(&mut self, now: Instant, machine: &mut Machine, event: Option<Event>) {
        match event {
            Some(Event::Ended { cause, .. }) => {
                self.record.signalled(reason_facts(&cause));
                machine.handle_peer_gone(now, ended_by(&cause));
            }
            None => machine.handle_peer_gone(now, EndReason::NetworkLost),
            Some(Event::Reoffer { call, sdp }) => self.reoffered(call, sdp).await,
            Some(Event::Confirmed { sdp: Some(answer), .. } | Event::Reanswered { sdp: Some(answer), .. }) => {
                let Line::Sip(line) = &mut self.line else { return };
                if let Ok(stream) = line.negotiation.accept(&answer) {
                    let _ = self.media.leg.renegotiate(stream);
                }
            }
            Some(Event::Referral { referral, .. }) => machine.handle_referral(now, referral_news(referral)),
            Some(Event::Referred { call, referred }) => self.referred(call, *referred).await,
            Some(Event::Replaced { by, .. }) => self.replaced(*by).await,
            Some(Event::Info { content_type, body, .. }) => {
                if let Some(digit) = info_digit(&content_type, &body) {
                    machine.handle_digit(now, digit);
                }
            }
            Some(_) => {}
        }
    }

    async fn reoffered(&mut self, call: SipCall, sdp: Option<Vec<u8>>) {
        let Line::Sip(line) = &mut self.line else { return };
        let answer = match sdp {
            Some(offer) if line.negotiation.is_webrtc() => reanswered(&self.media, &offer).await,
            // A WebRTC peer makes the offers itself.
            None if line.negotiation.is_webrtc() => None,
            Some(offer) => match line.negotiation.answer(&offer) {
                Ok((stream, text)) => {
                    let _ = self.media.leg.renegotiate(stream);
                    Some(text)
                }
                Err(_) => None,
            },
            None => Some(line.negotiation.offer()),
        };
        self.context.sip.answer_reoffer(call, answer).await;
    }

    /// REFER: the peer asks us to talk to somebody else; its trunk has allowed that already.
    async fn referred(&mut self, call: SipCall, referred: Referred) {
        let Line::Sip(line) = &mut self.line else { return };
        // A new dialog could not take over ICE and keys.
        let accept = line.handover.is_none() && line.call == call && !line.negotiation.is_webrtc();
        self.context.sip.answer_refer(call, accept).await;
        if !accept {
            return;
        }
        let us = match self.record.call.direction {
            Direction::Inbound => self.record.call.to_number.clone(),
            Direction::Outbound | Direction::Web => self.record.call.from_number.clone(),
        };
        let (context, scope, trunk) = (self.context.clone(), self.record.scope, self.record.call.trunk);
        line.handover = Some(Handover::start(context, scope, trunk, us, referred, line.negotiation.fork()));
    }

    async fn handed_over(&mut self, news: HandoverNews) {
        let Line::Sip(line) = &mut self.line else { return };
        let (sip, before) = (&self.context.sip, line.call);
        match news {
            HandoverNews::Progress(status) => sip.notify_refer(before, status).await,
            HandoverNews::Failed(status) => {
                line.handover = None;
                sip.notify_refer(before, status).await;
            }
            HandoverNews::Answered { call, events, negotiation, stream, permit } => {
                // Report success before the dialog closes, so that the phone shows the transfer as done.
                sip.notify_refer(before, 200).await;
                line.replace(call, events, negotiation);
                let _ = self.media.leg.renegotiate(stream);
                sip.hang_up(before).await;
                drop(permit); // one line again
                tracing::info!("the peer handed its side of the call on");
            }
        }
    }

    /// Replaces (RFC 3891): the conversation continues with the new dialog.
    async fn replaced(&mut self, by: Incoming) {
        let Line::Sip(line) = &mut self.line else { return };
        let sip = &self.context.sip;
        if line.negotiation.is_webrtc() {
            return sip.reject(by.call, 488, None).await;
        }
        // Not where trunks require an attestation: verifying an Identity header may take seconds, which the
        // conversation does not have.
        let trunk = self.record.call.trunk.and_then(|id| self.context.trunks.get(id));
        if trunk.is_none_or(|trunk| trunk.fields.require_attestation.is_some()) {
            return sip.reject(by.call, 403, None).await;
        }
        if calls_somebody_else(&self.context, &by, self.record.scope.organization()).await {
            return sip.reject(by.call, 481, None).await;
        }
        let Some(events) = sip.take(by.call).await else { return };
        let mut negotiation = line.negotiation.fork();
        negotiation.set_signalling(by.source.ip());
        let answer = match &by.sdp {
            Some(offer) => match negotiation.answer(offer) {
                Ok((stream, text)) => {
                    let _ = self.media.leg.renegotiate(stream);
                    text
                }
                Err(refusal) => return sip.reject(by.call, refusal.sip_status, None).await,
            },
            None => negotiation.offer(), // its answer comes with the ACK
        };
        sip.answer(by.call, answer).await;
        let before = line.call;
        line.replace(by.call, events, negotiation);
        sip.hang_up(before).await;
        tracing::info!("another dialog took the place of this call's");
    }
}

/// The answer of a WebRTC leg to another offer; `None` when it cannot take it.
async fn reanswered(media: &Media, offer: &[u8]) -> Option<Vec<u8>> {
    let offer = webrtc_offer::check(offer).ok()?;
    let (reply, answer) = oneshot::channel();
    media.leg.reoffer(offer, Box::new(move |answer| drop(reply.send(answer)))).ok()?;
    let answer = tokio::time::timeout(REANSWER_DEADLINE, answer).await.ok()?.ok()?;
    answer.ok().map(String::into_bytes)
}
