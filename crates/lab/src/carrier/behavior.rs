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

/// What becomes of SRTP that is offered with keys in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierSrtp {
    /// The answer is plain RTP.
    Ignored,
    /// The offer is refused with 488.
    Refused,
    /// It is taken. The callee's key is the caller's, so that an echo needs no key at all.
    Taken,
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
    /// What becomes of offered SRTP.
    pub srtp: CarrierSrtp,
    /// Responses before the answer are reliable (100rel), and the callee answers only after PRACK.
    pub is_reliable: bool,
    /// Status lines that NOTIFY reports after a REFER.
    pub transfer: &'static [&'static str],
    /// Registrations for a shorter time are refused with 423; 0 takes all.
    pub min_expires_s: u32,
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
            srtp: CarrierSrtp::Ignored,
            is_reliable: false,
            transfer: &["SIP/2.0 100 Trying", "SIP/2.0 200 OK"],
            min_expires_s: 0,
            ignores_bye: false,
            account: None,
        }
    }
}
