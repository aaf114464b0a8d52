//! The faults a carrier may have.

/// What the callee does with audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalleeAudio {
    /// Sends what it receives back.
    Echo,
    /// Sends a tone.
    Tone,
    /// Sends nothing.
    Nothing,
}

/// When the callee answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalleeAnswer {
    /// After a moment of ringing.
    Soon,
    /// After a moment of early media: a tone.
    AfterEarlyMedia,
    /// It rings until it is canceled.
    Never,
}

/// How the carrier behaves. The default one is pleasant.
#[derive(Clone, Debug)]
pub struct CarrierBehavior {
    /// Codecs it takes; the first of the offer that is listed here.
    pub codecs: Vec<&'static str>,
    /// What the callee does with audio.
    pub audio: CalleeAudio,
    /// When the callee answers.
    pub answer: CalleeAnswer,
    /// Re-INVITEs are refused with 488.
    pub refuses_hold: bool,
    /// Session intervals below are refused with 422; 0 takes all.
    pub min_se_s: u32,
    /// How much its clock is fast, in parts per million.
    pub drift_ppm: f64,
    /// Packet time of its answers and of its packets.
    pub ptime_ms: u16,
    /// Payload type of telephone-event in its answers; 0 for none.
    pub event_payload_type: u8,
    /// Payload type of a digit that the callee presses after two seconds; 0 for none.
    pub pressed_payload_type: u8,
    /// Its Allow header.
    pub allow: &'static str,
    /// Offers of SRTP are refused with 488.
    pub refuses_srtp: bool,
    /// BYE is not answered.
    pub ignores_bye: bool,
    /// Digest account that it asks for.
    pub account: Option<(&'static str, &'static str)>,
}

impl Default for CarrierBehavior {
    fn default() -> Self {
        Self {
            codecs: vec!["PCMU", "PCMA"],
            audio: CalleeAudio::Echo,
            answer: CalleeAnswer::Soon,
            refuses_hold: false,
            min_se_s: 0,
            drift_ppm: 0.0,
            ptime_ms: 20,
            event_payload_type: 101,
            pressed_payload_type: 0,
            allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY",
            refuses_srtp: false,
            ignores_bye: false,
            account: None,
        }
    }
}
