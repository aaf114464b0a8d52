//! The consultation call to a transfer target: rings, speaks the briefing, and bridges both legs. A task of its own
//! that ends with its handle, so that no phone keeps ringing after the caller left.

use super::figures::not_answered;
use super::ringing::decline;
use super::trunks::{self, Errand};
use super::voice::{Voice, VoiceEvent};
use super::{AdmissionError, Context, LEG_EVENTS_MAX, Permit, Shared, ntp_clock};
use crate::call::admission::Denied;
use crate::call::machine::{Brief, Consult};
use crate::call::negotiate::Negotiation;
use crate::dialogue::reply::{Reply, Then};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::TrunkId;
use crate::domain::phone_number::Destination;
use crate::domain::transfer::Target;
use crate::domain::trunk::Trunk;
use crate::store::{OrgScope, StoreError};
use crate::supervision;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::codec::Law;
use trunkline_media::frame::SAMPLES;
use trunkline_media::io::worker::{LegHandle, Relay, Wire};
use trunkline_media::leg::{self, LegEvent, Stream};
use trunkline_media::playout::queue::PieceId;
use trunkline_media::turn::barge_in;
use trunkline_media::vad;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event};
use trunkline_signaling::sip::failure::Cause;
use trunkline_signaling::sip::message::Headers;

/// Commands and events between the two calls: never more than a handful.
const QUEUE_MAX: usize = 8;
/// How long the trunk's settings may take to be read.
const TRUNK_DEADLINE: Duration = Duration::from_secs(2);

/// Commands to the consultation call.
enum Ask {
    Brief(String),
    Connect(Relay),
}

/// Whom to call, and with which caller id.
pub(super) struct Party {
    pub scope: OrgScope,
    pub trunk: Option<TrunkId>,
    pub from_number: String,
    pub target: Target,
    pub brief: Brief,
}

/// The caller's handle to the consultation call.
pub(super) struct Consultation {
    asks: mpsc::Sender<Ask>,
    pub news: mpsc::Receiver<(Consult, Option<Relay>)>,
    /// Where the caller's audio goes once both are bridged.
    pub relay: Option<Relay>,
}

impl Consultation {
    pub(super) fn start(context: Shared, party: Party) -> Self {
        let (asks, asked) = mpsc::channel(QUEUE_MAX);
        let (tell, news) = mpsc::channel(QUEUE_MAX);
        let run = async move {
            let why = call(&context, party, asked, &tell).await;
            let _ = tell.send((Consult::Ended(why), None)).await;
        };
        supervision::spawn("consult", run.instrument(tracing::info_span!("consult")));
        Self { asks, news, relay: None }
    }

    pub(super) fn brief(&self, text: String) {
        let _ = self.asks.try_send(Ask::Brief(text));
    }

    pub(super) fn connect(&self, caller: Relay) {
        let _ = self.asks.try_send(Ask::Connect(caller));
    }
}

/// The trunk of a call for a second leg; none when the daily limit is used up.
pub(super) async fn trunk_of(context: &Context, scope: OrgScope, trunk: Option<TrunkId>) -> Option<Trunk> {
    let trunk = trunk?;
    let read = async {
        if !context.has_day_left(scope).await? {
            tracing::warn!("the organization has reached its daily limit");
            return Ok::<_, StoreError>(None);
        }
        context.store.trunk(scope, trunk).await
    };
    tokio::time::timeout(TRUNK_DEADLINE, read).await.ok()?.ok()?
}

/// The same, and admits the second leg.
pub(super) async fn second_line(
    context: &Context, scope: OrgScope, trunk: Option<TrunkId>,
) -> Result<(Trunk, Permit), SecondLineError> {
    let trunk = trunk.ok_or(SecondLineError::NoTrunk)?;
    let read = async {
        let trunk = context.store.trunk(scope, trunk).await.ok().flatten().ok_or(SecondLineError::NoTrunk)?;
        match context.admit(scope, Some(&trunk)).await {
            Ok(permit) => Ok((trunk, permit)),
            Err(AdmissionError::Denied(denied)) => {
                tracing::warn!(limit = denied.limit(), "second leg refused");
                Err(SecondLineError::Denied(denied))
            }
            Err(AdmissionError::Store(error)) => {
                tracing::error!(%error, "cannot read limits");
                Err(SecondLineError::NoTrunk)
            }
        }
    };
    tokio::time::timeout(TRUNK_DEADLINE, read).await.unwrap_or(Err(SecondLineError::NoTrunk))
}

/// Why a second leg is refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum SecondLineError {
    NoTrunk,
    Denied(Denied),
}

async fn call(
    context: &Shared, party: Party, mut asked: mpsc::Receiver<Ask>, tell: &mpsc::Sender<(Consult, Option<Relay>)>,
) -> EndReason {
    // Held until the consultation call ends.
    let (trunk, _permit) = match second_line(context, party.scope, party.trunk).await {
        Ok(line) => line,
        Err(SecondLineError::NoTrunk | SecondLineError::Denied(Denied::Spent)) => return EndReason::TrunkError,
        Err(SecondLineError::Denied(_)) => return EndReason::Overload,
    };
    let Some(destination) = party.target.destination() else { return EndReason::InvalidNumber };
    // A URI names its own host: the trunk must allow SIP URIs, as for tasks.
    if matches!(destination, Destination::SipUri(_)) && !trunk.fields.allow_sip_uri {
        tracing::warn!("the trunk does not allow SIP URIs");
        return EndReason::TrunkError;
    }
    let Ok(ports) = context.ports.take() else { return EndReason::Overload };
    let from_number = Some(party.from_number.as_str()).filter(|number| !number.is_empty());
    let mut negotiation = context.negotiation(ports.port(), &trunk);
    let (sdp, headers) = (negotiation.offer(), Headers::default());
    let errand = Errand { from_number, destination: &destination, sdp, headers };
    let Some(invite) = trunks::invite(context, &trunk, errand) else {
        return EndReason::TrunkError;
    };
    let delayed = invite.sdp.is_none();
    let Ok((sip_call, mut events)) = context.sip.invite(invite).await else { return EndReason::Overload };
    let answer = loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Progress { .. }) => drop(tell.try_send((Consult::Ringing, None))),
                Some(Event::Answered { sdp: Some(sdp), peer, .. }) => {
                    negotiation.set_signalling(peer.ip());
                    break sdp;
                }
                Some(Event::Ended { cause: cause @ Cause::Refused { .. }, .. }) => return not_answered(&cause),
                Some(Event::Answered { .. } | Event::Ended { .. }) | None => break Vec::new(),
                Some(event) => decline(&context.sip, event).await,
            },
            // The caller hung up, or the wait timed out.
            None = asked.recv() => {
                context.sip.hang_up(sip_call).await;
                return EndReason::Canceled;
            }
        }
    };
    let (sender, leg_events) = mpsc::channel(LEG_EVENTS_MAX);
    let stream = agreed(context, sip_call, &mut negotiation, &answer, delayed).await;
    let leg = stream.and_then(|stream| {
        let config = leg_config(context, stream, sip_call);
        let sink = Box::new(move |event| sender.try_send(event).is_ok());
        Some((context.workers.add(config, Wire::Plain(ports), None, sink).ok()?, stream.codec.law()))
    });
    let Some((leg, law)) = leg else {
        context.sip.hang_up(sip_call).await;
        return EndReason::TrunkError;
    };
    let relay = leg.relay();
    let party = Talk {
        context: context.clone(),
        brief: party.brief,
        sip_call,
        events,
        negotiation,
        leg,
        leg_events,
        law,
        voice: None,
        unheard: VecDeque::new(),
        caller: None,
    };
    let _ = tell.send((Consult::Answered, Some(relay))).await;
    party.run(asked, tell).await
}

/// The stream of an answer; for a delayed offer after our answer was sent.
async fn agreed(
    context: &Context, call: SipCall, negotiation: &mut Negotiation, sdp: &[u8], delayed: bool,
) -> Option<Stream> {
    if !delayed {
        return negotiation.accept(sdp).ok();
    }
    let answer = negotiation.answer(sdp).ok();
    context.sip.acknowledge(call, answer.as_ref().map(|(_, text)| text.clone())).await;
    answer.map(|(stream, _)| stream)
}

/// A leg without barge-in and without recording.
fn leg_config(context: &Context, stream: Stream, call: SipCall) -> leg::Config {
    leg::Config {
        latching: context.limits.latching,
        ssrc: rand::random(),
        first_sequence: rand::random(),
        first_timestamp: rand::random(),
        clock: ntp_clock(),
        cname: call.0.to_string(),
        barge_in: barge_in::Config { enabled: false, ..barge_in::Config::default() },
        vad: vad::Config::default(),
        network_timeout: context.limits.network_timeout,
        record: false,
        detect_voice: false,
        ..leg::Config::plain(std::time::Instant::now(), stream)
    }
}

/// The transfer target has answered.
struct Talk {
    context: Shared,
    brief: Brief,
    sip_call: SipCall,
    events: mpsc::Receiver<Event>,
    negotiation: Negotiation,
    leg: LegHandle,
    leg_events: mpsc::Receiver<LegEvent>,
    law: Law,
    voice: Option<Voice>,
    /// Briefing segments that have not been played to the end.
    unheard: VecDeque<PieceId>,
    /// Where their sound goes.
    caller: Option<Relay>,
}

impl Talk {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>, tell: &mpsc::Sender<(Consult, Option<Relay>)>) -> EndReason {
        loop {
            let voice = async {
                match &mut self.voice {
                    Some(voice) => voice.next().await,
                    None => std::future::pending().await,
                }
            };
            let over = tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => {
                        self.asked(ask);
                        None
                    }
                    None => Some(EndReason::AgentHungUp),
                },
                event = self.events.recv() => self.sip_event(event).await,
                event = self.leg_events.recv() => match event {
                    Some(event) => self.leg_event(event, tell),
                    None => Some(EndReason::NetworkLost),
                },
                event = voice => {
                    self.spoken(event, tell);
                    None
                }
            };
            if let Some(why) = over {
                self.context.sip.hang_up(self.sip_call).await;
                self.leg.remove(None);
                return why;
            }
        }
    }

    fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Brief(text) => {
                let (_, pieces) = Reply::canned(1, &text, Then::Listen, self.brief.style());
                let mut voice = Voice::new(self.context.providers.clone(), self.brief.clone(), true);
                for (index, text) in pieces {
                    let piece = PieceId { generation: 1, index };
                    self.unheard.push_back(piece);
                    voice.speak(piece, text);
                }
                self.voice = Some(voice);
            }
            Ask::Connect(caller) => {
                self.caller = Some(caller);
                self.voice = None;
            }
        }
    }

    fn spoken(&mut self, event: VoiceEvent, tell: &mpsc::Sender<(Consult, Option<Relay>)>) {
        match event {
            VoiceEvent::Audio { piece, samples } => drop(self.leg.play(piece, samples, false)),
            VoiceEvent::Done { piece, samples, .. } => drop(self.leg.play(piece, samples, true)),
            VoiceEvent::Failed { piece, .. } => self.heard(piece, tell),
            VoiceEvent::Marks { .. } | VoiceEvent::Switched { .. } | VoiceEvent::Asked { .. } => {}
        }
    }

    fn heard(&mut self, piece: PieceId, tell: &mpsc::Sender<(Consult, Option<Relay>)>) {
        self.unheard.retain(|one| *one != piece);
        if let Some(voice) = &mut self.voice {
            voice.heard(piece);
        }
        if self.unheard.is_empty() && self.caller.is_none() {
            let _ = tell.try_send((Consult::Briefed, None));
        }
    }

    fn leg_event(&mut self, event: LegEvent, tell: &mpsc::Sender<(Consult, Option<Relay>)>) -> Option<EndReason> {
        match event {
            LegEvent::Audio { codes, .. } => {
                if let Some(caller) = &self.caller {
                    let mut frame = [0; SAMPLES];
                    self.law.decode_into(&codes, &mut frame);
                    caller.send(frame);
                }
            }
            LegEvent::PieceFinished { heard, .. } => self.heard(heard.piece, tell),
            LegEvent::NetworkLost | LegEvent::InternalError => return Some(EndReason::NetworkLost),
            _ => {}
        }
        None
    }

    async fn sip_event(&mut self, event: Option<Event>) -> Option<EndReason> {
        match event {
            Some(Event::Reoffer { call, sdp }) => {
                let answer = match sdp {
                    Some(offer) => self.negotiation.answer(&offer).ok().map(|(stream, text)| {
                        let _ = self.leg.renegotiate(stream);
                        text
                    }),
                    None => Some(self.negotiation.offer()),
                };
                self.context.sip.answer_reoffer(call, answer).await;
                None
            }
            Some(Event::Confirmed { sdp: Some(answer), .. }) => {
                if let Ok(stream) = self.negotiation.accept(&answer) {
                    let _ = self.leg.renegotiate(stream);
                }
                None
            }
            // Redirects are decided by the caller's side.
            Some(Event::Replaced { by, .. }) => {
                self.context.sip.reject(by.call, 603, None).await;
                None
            }
            Some(Event::Referred { call, .. }) => {
                self.context.sip.answer_refer(call, false).await;
                None
            }
            Some(Event::Ended { .. }) | None => Some(EndReason::CustomerHungUp),
            Some(_) => None,
        }
    }
}
