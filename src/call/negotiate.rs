//! Media negotiation: turns session descriptions into streams. The only module that imports both signaling and media.

use crate::domain::trunk;
pub use crate::domain::trunk::TrunkMedia;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use trunkline_media::codec::{self, Companding};
use trunkline_media::leg::{MediaSecurity, RtcpRoute, StreamConfig, StreamDirection};
use trunkline_media::transport::webrtc::{HostCandidates, WebRtcPeer};
use trunkline_media::transport::{dtls, ice, srtp};
use trunkline_signaling::sdp::MediaDirection;
use trunkline_signaling::sdp::crypto::{CryptoSuite, KEY_BYTES_MAX};
use trunkline_signaling::sdp::negotiate::{
    self, IceLiteCredentials, KeyExchange, LocalMedia, NegotiatedSdp, OfferAnswerError, SdpCodec, SrtpMode,
};
use trunkline_signaling::sdp::print;
use trunkline_signaling::sip::user_agent::SipEvent;
use trunkline_signaling::webrtc::offer as webrtc_offer;

/// Our side of one dialog's media, kept for later offers. A copy serves another fork of the same INVITE.
#[derive(Clone, Debug)]
pub struct Negotiation {
    local: LocalMedia,
    /// Our side of the pending offer; with forks, there may be several answers.
    offered: Option<LocalMedia>,
    agreed: Option<NegotiatedMedia>,
    /// Where the peer's signalling comes from.
    signalling: Option<IpAddr>,
    /// WebRTC media: the peer makes the offers.
    is_webrtc: bool,
}

/// The last agreement. Keys are per peer: kept while the peer is the same, replaced when its address or key changes.
#[derive(Clone, Debug)]
struct NegotiatedMedia {
    /// Where the peer's media is, or was before it held the call.
    remote: SocketAddr,
    keys: Option<negotiate::SdesKeys>,
    dtls: Option<negotiate::DtlsNegotiated>,
    /// What our keys were made of.
    random: [[u8; KEY_BYTES_MAX]; 2],
    /// Number of the handshake.
    association: u64,
}

/// Why an offer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiationError {
    /// Status of the SIP response that refuses the offer, such as 488.
    pub sip_status: u16,
    /// What is wrong with the offer, in words.
    pub reason: &'static str,
}

/// What an event of a dialog changes about its media.
#[derive(Debug)]
pub enum DialogMediaChange {
    /// The event is not about media, or brings an answer that cannot be used: the media stay as they are.
    Unchanged,
    /// The peer offers other media (re-INVITE or UPDATE), or wants an offer from us.
    Reoffered {
        /// Our answer or our offer for the 200; `None` refuses with 488.
        text: Option<Vec<u8>>,
        /// The stream from now on; `None` if it stays, or changes with the answer to our offer.
        stream: Option<StreamConfig>,
    },
    /// The peer has answered an offer of ours: the stream from now on.
    Answered(StreamConfig),
}

/// An answered WebRTC offer.
#[derive(Debug)]
pub struct WebRtcAnswer {
    /// ICE-lite and DTLS state for the leg.
    pub peer: Box<WebRtcPeer>,
    /// Codec and parameters of the audio stream.
    pub stream: StreamConfig,
    /// The SDP answer.
    pub sdp: Vec<u8>,
}

/// Random characters from an alphabet of 16: 32 of them give the 128 bits required by RFC 8839 section 5.4.
fn characters<const N: usize>() -> [u8; N] {
    std::array::from_fn(|_| b"0123456789abcdef"[usize::from(rand::random::<u8>() & 15)])
}

fn ice_lite() -> IceLiteCredentials {
    IceLiteCredentials { ufrag: characters(), password: characters() }
}

fn random_keys() -> [[u8; KEY_BYTES_MAX]; 2] {
    [rand::random(), rand::random()]
}

const UNUSABLE: NegotiationError = NegotiationError { sip_status: 488, reason: "unusable ICE offer" };

impl Negotiation {
    /// `fingerprint`: of the certificate that handshakes show.
    pub fn new(
        addr: IpAddr, port: u16, media: &TrunkMedia, fingerprint: Option<dtls::DtlsFingerprint>, session_id: u64,
    ) -> Self {
        let mut codecs: Vec<SdpCodec> = media.codecs.iter().filter_map(|name| SdpCodec::parse(name)).collect();
        if codecs.is_empty() {
            codecs = vec![SdpCodec::Pcmu, SdpCodec::Pcma];
        }
        let local = LocalMedia {
            addr,
            port,
            codecs,
            ptime_ms: media.ptime_ms.unwrap_or(negotiate::PTIME_MS),
            srtp: match media.srtp {
                trunk::SrtpPolicy::Off => SrtpMode::Off,
                trunk::SrtpPolicy::Preferred => SrtpMode::Preferred,
                trunk::SrtpPolicy::Mandatory => SrtpMode::Mandatory,
            },
            keying: match media.srtp_keying {
                trunk::SrtpKeying::Sdes => KeyExchange::Sdes,
                trunk::SrtpKeying::Dtls => KeyExchange::Dtls,
            },
            fingerprint,
            ice: Some(ice_lite()),
            keys: random_keys(),
            session_id,
            session_version: 0,
            security: None,
        };
        Self { local, offered: None, agreed: None, signalling: None, is_webrtc: false }
    }

    /// The same media for another dialog, without any key material.
    pub fn fork(&self) -> Self {
        let local = LocalMedia {
            session_id: self.local.session_id.wrapping_add(1),
            session_version: 0,
            keys: random_keys(),
            ice: Some(ice_lite()),
            security: None,
            ..self.local.clone()
        };
        Self { local, offered: None, agreed: None, signalling: None, is_webrtc: self.is_webrtc }
    }

    /// Where the peer's signalling comes from: behind a NAT, its media comes from there too.
    pub fn set_signalling(&mut self, addr: IpAddr) {
        self.signalling = Some(addr);
    }

    /// Returns whether a WebRTC offer was answered.
    pub fn is_webrtc(&self) -> bool {
        self.is_webrtc
    }

    /// Answers a WebRTC offer if the trunk accepts encrypted media: ICE-lite and DTLS-SRTP on the shared WebRTC port.
    /// `None` for other offers.
    pub fn answer_webrtc(
        &mut self, now: Instant, offer: &[u8], reach: Option<&HostCandidates>,
    ) -> Option<Result<WebRtcAnswer, NegotiationError>> {
        let reach = reach.filter(|_| self.local.srtp != SrtpMode::Off && negotiate::is_webrtc(offer))?;
        let answered = webrtc_offer::validate(offer).map_err(|_| UNUSABLE).and_then(|offer| {
            let codec = |codec: &SdpCodec| match codec {
                SdpCodec::Pcmu => Some(codec::Codec::G711(Companding::MuLaw)),
                SdpCodec::Pcma => Some(codec::Codec::G711(Companding::ALaw)),
                SdpCodec::Opus => Some(codec::Codec::Opus),
                SdpCodec::G722 => None,
            };
            let codecs: Vec<codec::Codec> = self.local.codecs.iter().filter_map(codec).collect();
            WebRtcPeer::answer(now, &offer, reach, &codecs).map_err(|_| UNUSABLE)
        });
        self.is_webrtc = answered.is_ok();
        Some(answered.map(|answered| WebRtcAnswer {
            peer: Box::new(answered.peer),
            stream: answered.stream,
            sdp: answered.sdp.into_bytes(),
        }))
    }

    /// Makes an offer with new keys, since it is unknown who will answer. Within a dialog it describes the present
    /// session.
    pub fn offer(&mut self) -> Vec<u8> {
        self.local.session_version += 1;
        self.local.keys = random_keys();
        self.offered = Some(self.local.clone());
        print::offer(&self.local, MediaDirection::SendRecv)
    }

    /// Answers an offer: the stream and the text.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(StreamConfig, Vec<u8>), NegotiationError> {
        self.local.session_version += 1;
        // Keys that were offered but not accepted are compromised.
        self.local.keys = self.agreed.as_ref().map_or_else(random_keys, |agreed| agreed.random);
        let (mut negotiated, mut text) = negotiate::answer(offer, &self.local).map_err(refusal)?;
        if self.agreed.as_ref().is_some_and(|agreed| agreed.is_for_another(&negotiated)) {
            self.local.keys = random_keys();
            (negotiated, text) = negotiate::answer(offer, &self.local).map_err(refusal)?;
        }
        Ok((self.record_agreed_media(&negotiated), text))
    }

    /// Accepts the answer to our offer.
    pub fn accept(&mut self, answer: &[u8]) -> Result<StreamConfig, NegotiationError> {
        let offered = self.offered.as_ref().unwrap_or(&self.local);
        let negotiated = negotiate::accept_answer(answer, offered).map_err(refusal)?;
        Ok(self.record_agreed_media(&negotiated))
    }

    /// Handles an event of the dialog that may be about its media: the peer's offers and its answers to ours.
    pub fn handle_dialog_event(&mut self, event: &SipEvent) -> DialogMediaChange {
        match event {
            SipEvent::ReofferReceived { sdp: Some(offer), .. } => match self.answer(offer) {
                Ok((stream, text)) => DialogMediaChange::Reoffered { text: Some(text), stream: Some(stream) },
                Err(_) => DialogMediaChange::Reoffered { text: None, stream: None },
            },
            SipEvent::ReofferReceived { sdp: None, .. } => {
                DialogMediaChange::Reoffered { text: Some(self.offer()), stream: None }
            }
            // The answer to the offer in our 200, or to our re-INVITE.
            SipEvent::Acknowledged { sdp: Some(answer), .. } | SipEvent::ReofferAccepted { sdp: Some(answer), .. } => {
                self.accept(answer).map_or(DialogMediaChange::Unchanged, DialogMediaChange::Answered)
            }
            _ => DialogMediaChange::Unchanged,
        }
    }

    fn record_agreed_media(&mut self, negotiated: &NegotiatedSdp) -> StreamConfig {
        let before = self.agreed.take();
        let held = negotiated.remote.ip().is_unspecified();
        let remote = before.as_ref().filter(|_| held).map_or(negotiated.remote, |before| before.remote);
        let goes_on = |before: &NegotiatedMedia| before.dtls == negotiated.dtls && before.remote == remote;
        let association = match &before {
            Some(before) if goes_on(before) => before.association,
            Some(before) => before.association.wrapping_add(1),
            None => rand::random(),
        };
        self.local.security = Some(negotiated.session_security());
        let (keys, dtls, random) = (negotiated.keys, negotiated.dtls, self.local.keys);
        self.agreed = Some(NegotiatedMedia { remote, keys, dtls, random, association });
        StreamConfig { signalling: self.signalling, ..stream(negotiated, association) }
    }
}

impl NegotiatedMedia {
    /// Whether our keys were made for another peer, or for none.
    fn is_for_another(&self, offered: &NegotiatedSdp) -> bool {
        let Some(new) = offered.keys else { return false };
        let held = offered.remote.ip().is_unspecified();
        let same = |old: negotiate::SdesKeys| old.suite == new.suite && old.theirs == new.theirs;
        !self.keys.is_some_and(same) || !held && offered.remote != self.remote
    }
}

fn refusal(refused: OfferAnswerError) -> NegotiationError {
    match refused {
        OfferAnswerError::Malformed(fault) => NegotiationError { sip_status: 400, reason: fault.0 },
        OfferAnswerError::NotAcceptable(why) => NegotiationError { sip_status: 488, reason: why },
    }
}

fn stream(negotiated: &NegotiatedSdp, association: u64) -> StreamConfig {
    let security = match (&negotiated.dtls, &negotiated.keys) {
        (Some(dtls), _) => MediaSecurity::Dtls(dtls::DtlsParams {
            peer_fingerprint: dtls.theirs,
            is_dtls_client: dtls.active,
            association,
        }),
        (None, Some(sdes)) => MediaSecurity::Sdes(keys(sdes)),
        (None, None) => MediaSecurity::Plain,
    };
    StreamConfig {
        codec: match negotiated.codec {
            SdpCodec::Pcmu => codec::Codec::G711(Companding::MuLaw),
            SdpCodec::Pcma => codec::Codec::G711(Companding::ALaw),
            SdpCodec::G722 => codec::Codec::G722,
            SdpCodec::Opus => codec::Codec::Opus,
        },
        payload_type: negotiated.payload_type,
        payload_type_in: negotiated.payload_type_in,
        telephone_event: negotiated.telephone_event,
        telephone_event_clock_hz: negotiated.telephone_event_clock_hz,
        telephone_event_in: negotiated.telephone_event_in,
        comfort_noise: negotiated.comfort_noise,
        ptime_ms: negotiated.ptime_ms,
        remote: negotiated.remote,
        rtcp: if negotiated.rtcp_mux { RtcpRoute::Muxed } else { RtcpRoute::Separate(negotiated.remote_rtcp) },
        signalling: None,
        security,
        ice: negotiated.ice.map(|ice| ice::IceLiteAgent { ufrag: ice.ufrag, password: ice.password }),
        direction: match negotiated.direction {
            MediaDirection::SendRecv => StreamDirection::SendReceive,
            MediaDirection::SendOnly => StreamDirection::SendOnly,
            // A peer on hold may send music or nothing: its silence is not a network loss.
            MediaDirection::RecvOnly | MediaDirection::Inactive => StreamDirection::Inactive,
        },
    }
}

fn keys(keys: &negotiate::SdesKeys) -> srtp::SrtpKeys {
    let whole = |key: &trunkline_signaling::sdp::crypto::SdesKey| {
        let mut bytes = [0; srtp::KEY_BYTES_MAX];
        bytes.iter_mut().zip(key.as_bytes()).for_each(|(to, from)| *to = *from);
        bytes
    };
    srtp::SrtpKeys {
        suite: match keys.suite {
            CryptoSuite::AesCm128HmacSha1_80 => srtp::SrtpProfile::AesCm128HmacSha1_80,
            CryptoSuite::AesCm128HmacSha1_32 => srtp::SrtpProfile::AesCm128HmacSha1_32,
            CryptoSuite::AeadAes128Gcm => srtp::SrtpProfile::AeadAes128Gcm,
            CryptoSuite::AeadAes256Gcm => srtp::SrtpProfile::AeadAes256Gcm,
        },
        send: whole(&keys.ours),
        receive: whole(&keys.theirs),
    }
}

#[cfg(test)]
mod tests;
