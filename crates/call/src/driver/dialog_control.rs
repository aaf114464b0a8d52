//! Signalling during an answered call: re-INVITE, REFER, Replaces, BYE.

use super::CallMedia;
use super::call_leg::{CallLeg, SignalingEvent};
use super::conversation::Conversation;
use super::early_media::EarlyDigits;
use super::inbound::calls_other_organization;
use super::inbound_refer::{InboundRefer, InboundReferEvent, ReferringCall};
use super::outgoing_call::handle_dialog_media;
use crate::dialog_rules::{ReferSituation, ReplacesError, may_be_replaced, our_number};
use crate::domain::end_reason::EndReason;
use crate::machine::CallMachine;
use crate::negotiate::webrtc_offer_of_trunk;
use crate::sip_causes::{end_reason_of_cause, reason_facts, refer_progress};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, IncomingInvite, ReferRequest, SipEvent};

/// A worker answers within a turn of some milliseconds.
const REANSWER_DEADLINE: Duration = Duration::from_secs(2);

impl Conversation {
    pub(super) async fn handle_signaling_event(
        &mut self, now: Instant, machine: &mut CallMachine, update: SignalingEvent,
    ) {
        match update {
            SignalingEvent::Sip(event) => self.sip_event(now, machine, event).await,
            SignalingEvent::EarlyDigit(digit) => machine.handle_digit(now, digit),
            SignalingEvent::InboundRefer(update) => self.handle_inbound_refer_event(update).await,
        }
    }

    async fn sip_event(&mut self, now: Instant, machine: &mut CallMachine, event: Option<SipEvent>) {
        match event {
            Some(SipEvent::Ended { cause, .. }) => {
                self.record.add_signalling_facts(reason_facts(&cause));
                machine.handle_peer_hung_up(now, end_reason_of_cause(&cause));
            }
            None => machine.handle_peer_hung_up(now, EndReason::NetworkLost),
            Some(
                event @ (SipEvent::ReofferReceived { .. }
                | SipEvent::Acknowledged { .. }
                | SipEvent::ReofferAccepted { .. }),
            ) => self.handle_media_event(event).await,
            Some(SipEvent::ReferProgress { referral, .. }) => {
                machine.handle_refer_progress(now, refer_progress(referral))
            }
            Some(SipEvent::ReferReceived { call, referred }) => self.handle_refer(call, *referred).await,
            Some(SipEvent::ReplacesReceived { by, .. }) => self.handle_replaces(*by).await,
            Some(SipEvent::DigitReceived { digit, .. }) => {
                let _ = self.media.leg.note_signalled_digit();
                machine.handle_digit(now, digit);
            }
            Some(_) => {}
        }
    }

    /// Offers of the peer, and its answers to ours.
    async fn handle_media_event(&mut self, event: SipEvent) {
        let CallLeg::Sip(line) = &mut self.leg else { return };
        match event {
            // The library answers offers of a WebRTC peer.
            SipEvent::ReofferReceived { call, sdp: Some(offer), .. } if line.negotiation.is_webrtc() => {
                let answer = match line.negotiation.answer_off(&offer) {
                    Some((stream, text)) => {
                        let _ = self.media.leg.renegotiate(stream);
                        Some(text)
                    }
                    None => {
                        let answer = reanswer_webrtc(&self.media, &offer).await;
                        answer.map(|text| line.negotiation.describe_webrtc(&text))
                    }
                };
                self.context.sip.answer_reoffer(call, answer).await;
            }
            event => {
                let (call, leg) = (line.call, &self.media.leg);
                handle_dialog_media(&self.context.sip, call, &mut line.negotiation, leg, event).await;
            }
        }
    }

    /// REFER: the peer asks us to call a third party; its trunk has allowed that already.
    async fn handle_refer(&mut self, call: SipCall, referred: ReferRequest) {
        let CallLeg::Sip(line) = &mut self.leg else { return };
        let is_calling = line.inbound_refer.is_some();
        let situation = ReferSituation::of(is_calling, line.call == call, line.negotiation.is_webrtc());
        let accept = situation == ReferSituation::Possible;
        self.context.sip.answer_refer(call, accept).await;
        if !accept {
            return;
        }
        let us = our_number(&self.record.call).to_owned();
        let (context, call) = (self.context.clone(), &self.record.call);
        let referring = ReferringCall { scope: self.record.scope, id: call.id, trunk: call.trunk };
        line.inbound_refer = Some(InboundRefer::start(context, referring, us, referred, line.negotiation.fork()));
    }

    async fn handle_inbound_refer_event(&mut self, update: InboundReferEvent) {
        let CallLeg::Sip(line) = &mut self.leg else { return };
        let (sip, before) = (&self.context.sip, line.call);
        match update {
            InboundReferEvent::Progress(status) => sip.send_refer_notify(before, status).await,
            InboundReferEvent::Failed(status) => {
                line.inbound_refer = None;
                sip.send_refer_notify(before, status).await;
            }
            InboundReferEvent::Answered { dialog, permit } => {
                // Report success before the dialog closes, so that the phone shows the transfer as done.
                sip.send_refer_notify(before, 200).await;
                let digits = EarlyDigits::of_call(&dialog.early_digits);
                line.replace(dialog.call, dialog.events, dialog.negotiation, digits);
                let _ = self.media.leg.renegotiate(dialog.stream);
                sip.hang_up(before).await;
                drop(permit); // one line again
                tracing::info!("the peer transferred its side of the call");
            }
        }
    }

    /// Replaces (RFC 3891): the conversation continues with the new dialog.
    async fn handle_replaces(&mut self, by: IncomingInvite) {
        let CallLeg::Sip(line) = &mut self.leg else { return };
        let sip = &self.context.sip;
        let trunk = self.record.call.trunk.and_then(|id| self.context.trunks.states.get(id));
        let required = trunk.map(|trunk| trunk.fields.require_attestation);
        if let Err(error) = may_be_replaced(line.negotiation.is_webrtc(), required) {
            return sip.reject(by.call, error.sip_status(), None).await;
        }
        if calls_other_organization(&self.context, &by, self.record.scope.organization()).await {
            return sip.reject(by.call, ReplacesError::OtherOrganization.sip_status(), None).await;
        }
        let Some(events) = sip.take_events(by.call).await else { return };
        let mut negotiation = line.negotiation.fork();
        negotiation.set_signalling(by.source.ip());
        let offer = match by.sdp {
            Some(offer) => Some(sip.resolve_description(offer, Some(by.source.ip())).await),
            None => None,
        };
        let answer = match &offer {
            Some(offer) => match negotiation.answer(offer) {
                Ok((stream, text)) => {
                    let _ = self.media.leg.renegotiate(stream);
                    text
                }
                Err(refusal) => return sip.reject(by.call, refusal.sip_status, None).await,
            },
            None => negotiation.offer(), // its answer comes with the ACK
        };
        self.context.sip_logs.add_leg(self.record.call.id, by.call);
        sip.answer(by.call, answer).await;
        let before = line.call;
        line.replace(by.call, events, negotiation, EarlyDigits::default());
        sip.hang_up(before).await;
        tracing::info!("another dialog replaced this call's dialog");
    }
}

/// The answer of a WebRTC leg to another offer; `None` when it cannot take it.
async fn reanswer_webrtc(media: &CallMedia, offer: &[u8]) -> Option<Vec<u8>> {
    let offer = webrtc_offer_of_trunk(offer)?;
    let (reply, answer) = oneshot::channel();
    media.leg.reoffer(offer, Box::new(move |answer| drop(reply.send(answer)))).ok()?;
    let answer = tokio::time::timeout(REANSWER_DEADLINE, answer).await.ok()?.ok()?;
    answer.ok().map(String::into_bytes)
}
