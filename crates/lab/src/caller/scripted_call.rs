//! An answered call of the scripted caller: follows the script, measures the agent.

use super::phone_leg::PhoneLeg;
use super::received_audio::ReceivedAudio;
use super::report::CallReport;
use super::script::{CallScript, ScriptStep, SpeechClip};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline::call::driver::handle_dialog_media;
use trunkline::call::negotiate::Negotiation;
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::queue::SegmentId;
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::sip::user_agent::{CallId, SipEvent};

/// An agent that says nothing for this long has failed.
const AGENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The agent speaks this long before it is interrupted.
const BEFORE_INTERRUPTING: Duration = Duration::from_millis(2_600);

/// The SIP side of a call.
pub(super) struct SipCallLeg {
    pub call: CallId,
    pub sip: SipHandle,
    pub events: mpsc::Receiver<SipEvent>,
    pub negotiation: Negotiation,
}

/// An answered call, or one that came in and plays early media.
pub(super) struct ScriptedCall<'a> {
    /// None for a browser, whose call its page ends.
    line: Option<SipCallLeg>,
    leg: PhoneLeg,
    pub(super) ear: &'a mut ReceivedAudio,
    segments: u32,
    gone: bool,
    digits_sent: bool,
    /// The description of an answer that is still to be given.
    early: Option<Vec<u8>>,
}

/// What the SIP side says, where there is one.
async fn signalled(line: &mut Option<SipCallLeg>) -> Option<SipEvent> {
    match line {
        Some(line) => line.events.recv().await,
        None => std::future::pending().await,
    }
}

impl<'a> ScriptedCall<'a> {
    /// `early`: the description of an answer that the script gives.
    pub(super) fn new(
        line: Option<SipCallLeg>, leg: PhoneLeg, ear: &'a mut ReceivedAudio, early: Option<Vec<u8>>,
    ) -> Self {
        Self { line, leg, ear, segments: 0, gone: false, digits_sent: false, early }
    }

    /// Follows the script to its end, and lets the leg go.
    pub(super) async fn run(mut self, script: &CallScript, report: &mut CallReport) -> Result<(), String> {
        let result = self.follow(script, report).await;
        report.ended_by_agent = self.gone;
        let PhoneLeg { handle, events: mut leg_events, .. } = self.leg;
        handle.remove(None);
        while let Ok(Some((_, event))) = tokio::time::timeout(Duration::from_secs(2), leg_events.recv()).await {
            if let LegEvent::Closed { stats } = event {
                report.packets_received = stats.packets_received;
                report.packets_lost = stats.packets_lost;
                break;
            }
        }
        result
    }

    async fn follow(&mut self, script: &CallScript, report: &mut CallReport) -> Result<(), String> {
        let mut asked: Option<Instant> = None;
        for step in &script.0 {
            if self.gone {
                return Ok(());
            }
            match step {
                ScriptStep::Listen => {
                    let since = asked.unwrap_or(self.ear.started);
                    self.listen(since).await?;
                    if let (Some(asked), Some((first, _))) =
                        (asked.take(), self.ear.speech.filter(|(first, _)| *first > since))
                    {
                        report.responses_ms.push((first - asked).as_secs_f64() * 1_000.0);
                    }
                }
                ScriptStep::Say(speech) => asked = Some(self.say(speech).await?.1),
                ScriptStep::Interrupt(speech) => {
                    let now = Instant::now();
                    self.until(now + AGENT_TIMEOUT, "the agent to speak", |talk| {
                        let now = Instant::now();
                        talk.ear.speaking_since(now).is_some_and(|since| now - since >= BEFORE_INTERRUPTING)
                    })
                    .await?;
                    let (first, last) = self.say(speech).await?;
                    asked = Some(last);
                    if let Some((_, fell_silent)) = self.ear.speech.filter(|(since, _)| *since < first) {
                        report
                            .barge_ins_ms
                            .push((fell_silent.saturating_duration_since(first)).as_secs_f64() * 1_000.0);
                    }
                }
                ScriptStep::Digits(digits) => {
                    self.digits_sent = false;
                    self.leg.handle.send_dtmf(digits.clone()).map_err(|_| "media is overloaded".to_owned())?;
                    self.until(Instant::now() + AGENT_TIMEOUT, "digits to be sent", |talk| talk.digits_sent).await?;
                }
                ScriptStep::Pause(pause) => {
                    let _ = self.until(Instant::now() + *pause, "", |_| false).await;
                }
                ScriptStep::Answer => {
                    if let (Some(sdp), Some(line)) = (self.early.take(), &self.line) {
                        line.sip.answer(line.call, sdp).await;
                    }
                }
                ScriptStep::HangUp => return Ok(()),
            }
        }
        Ok(())
    }

    /// Until the agent has spoken after `since` and fallen silent.
    async fn listen(&mut self, since: Instant) -> Result<(), String> {
        let deadline = Instant::now() + AGENT_TIMEOUT;
        self.until(deadline, "the agent to speak", |talk| talk.ear.speech.is_some_and(|(_, last)| last > since))
            .await?;
        self.until(deadline + AGENT_TIMEOUT, "the agent to finish", |talk| {
            talk.ear.speaking_since(Instant::now()).is_none()
        })
        .await
    }

    /// Speaks; returns when its first and last sound left.
    async fn say(&mut self, speech: &SpeechClip) -> Result<(Instant, Instant), String> {
        self.segments += 1;
        let segment = SegmentId { response_id: self.segments, index: 0 };
        self.leg.handle.play(segment, speech.samples.to_vec(), true).map_err(|_| "media is overloaded".to_owned())?;
        let mut started = None;
        let length = Duration::from_millis(speech.samples.len() as u64 / 8);
        let deadline = Instant::now() + length + AGENT_TIMEOUT;
        let mut finished = false;
        while !finished && !self.gone {
            match self.next(deadline).await {
                Some((_, LegEvent::SegmentStarted { segment: id, at })) if id == segment => started = Some(at),
                Some((_, LegEvent::SegmentFinished { heard, .. })) if heard.segment == segment => finished = true,
                Some(_) => {}
                None => return Err("speech was not sent".to_owned()),
            }
        }
        let started = started.unwrap_or(deadline);
        let frame = Duration::from_millis(20);
        Ok((started + frame * speech.first_frame, started + frame * speech.last_frame))
    }

    /// Takes events until the condition holds or the call is gone.
    async fn until(&mut self, deadline: Instant, what: &str, condition: impl Fn(&Self) -> bool) -> Result<(), String> {
        loop {
            if self.gone || condition(self) {
                return Ok(());
            }
            // Silence is the absence of events: look again every 20 ms.
            let look = Instant::now() + Duration::from_millis(20);
            self.next(look.min(deadline)).await;
            if Instant::now() >= deadline {
                return Err(format!("waited in vain for {what}"));
            }
        }
    }

    /// The next media event before the deadline.
    pub(super) async fn next(&mut self, deadline: Instant) -> Option<(Instant, LegEvent)> {
        loop {
            tokio::select! {
                event = self.leg.events.recv() => {
                    let (at, event) = event?;
                    if let LegEvent::Audio { frame, at } = &event {
                        self.ear.hear(*at, frame);
                    }
                    if let LegEvent::TalkSpurtStarted { at } = event {
                        self.ear.spurt = Some(at);
                    }
                    self.digits_sent |= event == LegEvent::DtmfSent;
                    self.gone |= matches!(event, LegEvent::NetworkLost | LegEvent::InternalError | LegEvent::PeerClosed);
                    return Some((at, event));
                }
                event = signalled(&mut self.line), if !self.gone => match event {
                    Some(SipEvent::Ended { .. }) | None => {
                        self.gone = true;
                        return None;
                    }
                    Some(event) => {
                        let Some(line) = &mut self.line else { continue };
                        let (call, leg) = (line.call, &self.leg.handle);
                        handle_dialog_media(&line.sip, call, &mut line.negotiation, leg, event).await;
                    }
                },
                () = tokio::time::sleep_until(deadline.into()) => return None,
            }
        }
    }
}
