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
    transport: MediaTransport,
}

/// What carries the media.
#[derive(Clone, Debug)]
enum MediaTransport {
    Rtp,
    /// WebRTC, whose library knows offers of the peer alone.
    WebRtc(Box<WebRtcMedia>),
}

/// What stands in a WebRTC dialog.
#[derive(Clone, Debug)]
struct WebRtcMedia {
    /// Of the first answer.
    stream: StreamConfig,
    /// Our last description: what we offer when the peer wants an offer.
    description: Vec<u8>,
    /// Version in its origin line.
    version: u64,
}

impl WebRtcMedia {
    /// Our next description: its version is one higher than that of the last one (RFC 3264 section 8).
    fn describe(&mut self, description: &[u8]) -> Vec<u8> {
        self.version += 1;
        self.description = print::with_version(description, self.version);
        self.description.clone()
    }
}

/// The last agreement. Keys are per peer: kept while the peer is the same, replaced when its address or key changes.
#[derive(Clone, Debug)]
struct NegotiatedMedia {
    sdp: NegotiatedSdp,
    /// Where the peer's media is, or was before it held the call.
    remote: SocketAddr,
    /// What our keys were made of.
    random: [[u8; KEY_BYTES_MAX]; 2],
    stream: StreamConfig,
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
    /// The peer has answered an offer of ours with keys that we did not offer, or a first one with nothing that can be used.
    /// That leaves nothing to talk with.
    Unanswerable,
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

impl NegotiationError {
    /// The answer has none of the keys that we offered.
    pub const NO_KEY: Self = Self { sip_status: 488, reason: "no SRTP key" };
    /// The answer to our first offer refuses the audio.
    pub const STREAM_OFF: Self = Self { sip_status: 488, reason: "the answer refuses the audio stream" };
}

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
            association: rand::random(),
            standing: None,
        };
        Self { local, offered: None, agreed: None, signalling: None, transport: MediaTransport::Rtp }
    }

    /// The same media for another dialog, without any key material.
    pub fn fork(&self) -> Self {
        let local = LocalMedia {
            session_id: self.local.session_id.wrapping_add(1),
            session_version: 0,
            keys: random_keys(),
            ice: Some(ice_lite()),
            association: rand::random(),
            standing: None,
            ..self.local.clone()
        };
        Self { local, offered: None, agreed: None, signalling: None, transport: self.transport.clone() }
    }

    /// Where the peer's signalling comes from: behind a NAT, its media comes from there too.
    pub fn set_signalling(&mut self, addr: IpAddr) {
        self.signalling = Some(addr);
    }

    /// Leaves out what a first offer has for peers that may not understand it: keys, where the trunk does not require
    /// them. False if there are none, or something was agreed already.
    pub fn fall_back_to_plain(&mut self) -> bool {
        let is_optional = self.local.srtp == SrtpMode::Preferred && self.agreed.is_none();
        if is_optional {
            self.local.srtp = SrtpMode::Off;
        }
        is_optional
    }

    /// Where the peer's signalling comes from, if that is known.
    pub fn signalling(&self) -> Option<IpAddr> {
        self.signalling
    }

    /// Returns whether a WebRTC offer was answered.
    pub fn is_webrtc(&self) -> bool {
        matches!(self.transport, MediaTransport::WebRtc(_))
    }

    /// Answers a browser's offer if the trunk accepts encrypted media: ICE and DTLS-SRTP on the shared WebRTC port. `None`
    /// for other offers, and for those that the WebRTC library does not take: [`Negotiation::answer`] does.
    pub fn answer_webrtc(
        &mut self, now: Instant, offer: &[u8], reach: Option<&HostCandidates>,
    ) -> Option<WebRtcAnswer> {
        let reach = reach.filter(|_| self.local.srtp != SrtpMode::Off && negotiate::is_webrtc(offer))?;
        let codec = |codec: &SdpCodec| match codec {
            SdpCodec::Pcmu => Some(codec::Codec::G711(Companding::MuLaw)),
            SdpCodec::Pcma => Some(codec::Codec::G711(Companding::ALaw)),
            SdpCodec::Opus => Some(codec::Codec::Opus),
            SdpCodec::G722 => None,
        };
        let codecs: Vec<codec::Codec> = self.local.codecs.iter().filter_map(codec).collect();
        let validated = webrtc_offer_of_trunk(offer)?;
        let answered = if negotiate::is_ice_lite(offer) {
            WebRtcPeer::answer_lite_peer(now, &validated, reach, &codecs)
        } else {
            WebRtcPeer::answer(now, &validated, reach, &codecs)
        };
        let answered = answered.ok()?;
        let (stream, description) = (answered.stream, print::with_version(answered.sdp.as_bytes(), 1));
        self.transport =
            MediaTransport::WebRtc(Box::new(WebRtcMedia { stream, description: description.clone(), version: 1 }));
        Some(WebRtcAnswer { peer: Box::new(answered.peer), stream, sdp: description })
    }

    /// The library has answered another offer in a WebRTC dialog: the description to be sent.
    pub fn describe_webrtc(&mut self, answer: &[u8]) -> Vec<u8> {
        match &mut self.transport {
            MediaTransport::WebRtc(media) => media.describe(answer),
            MediaTransport::Rtp => answer.to_vec(),
        }
    }

    /// Makes an offer with new keys, since it is unknown who will answer. Within a dialog it describes the present
    /// session.
    pub fn offer(&mut self) -> Vec<u8> {
        if let MediaTransport::WebRtc(media) = &mut self.transport {
            // On hold too: an offer is what we want (RFC 3264 section 5.1).
            let offer = print::with_direction(&print::as_offer(&media.description), MediaDirection::SendRecv);
            return media.describe(&offer);
        }
        self.local.session_version += 1;
        self.local.keys = random_keys();
        self.offered = Some(self.local.clone());
        print::offer(&self.local, MediaDirection::SendRecv)
    }

    /// Answers an offer: the stream and the text.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(StreamConfig, Vec<u8>), NegotiationError> {
        if let Some(off) = self.answer_off(offer) {
            return Ok(off);
        }
        self.local.session_version += 1;
        // Keys that were offered but not accepted are compromised.
        self.local.keys = self.agreed.as_ref().map_or_else(random_keys, |agreed| agreed.random);
        let (mut negotiated, mut text) = negotiate::answer(offer, &self.local).map_err(refusal)?;
        if self.renew_for(&negotiated) {
            (negotiated, text) = negotiate::answer(offer, &self.local).map_err(refusal)?;
        }
        // An older offer of ours describes the session no more.
        self.offered = None;
        Ok((self.record_agreed_media(negotiated), text))
    }

    /// Answers an offer inside a dialog that takes the audio away; `None` for others. What was agreed stays for the next
    /// offer, with which the audio comes back.
    pub fn answer_off(&mut self, offer: &[u8]) -> Option<(StreamConfig, Vec<u8>)> {
        let stream = self.stream_off()?;
        let local = LocalMedia { session_version: self.local.session_version + 1, ..self.local.clone() };
        let text = negotiate::answer_off(offer, &local)?;
        self.local.session_version = local.session_version;
        Some((stream, text))
    }

    /// Accepts the answer to our offer. One that takes the audio away from a session leaves it without.
    pub fn accept(&mut self, answer: &[u8]) -> Result<StreamConfig, NegotiationError> {
        if let MediaTransport::WebRtc(media) = &self.transport {
            // We have offered what stands, so that nothing but the direction can be answered.
            let direction = negotiate::answered_direction(answer).map_err(refusal)?;
            return Ok(StreamConfig { direction: stream_direction(direction), ..media.stream });
        }
        let offered = self.offered.as_ref().unwrap_or(&self.local);
        let negotiated = match (negotiate::accept_answer(answer, offered), self.stream_off()) {
            (Err(OfferAnswerError::StreamOff), Some(off)) => return Ok(off),
            (negotiated, _) => negotiated.map_err(refusal)?,
        };
        if self.starts_association(&negotiated) {
            self.local.association = rand::random();
        }
        Ok(self.record_agreed_media(negotiated))
    }

    /// The stream of the session without audio.
    fn stream_off(&self) -> Option<StreamConfig> {
        let stream = match (&self.transport, &self.agreed) {
            (MediaTransport::WebRtc(media), _) => media.stream,
            (MediaTransport::Rtp, agreed) => agreed.as_ref()?.stream,
        };
        Some(StreamConfig { direction: StreamDirection::Inactive, ..stream })
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
                match self.accept(answer) {
                    Ok(stream) => DialogMediaChange::Answered(stream),
                    // Nothing else can be said to an ACK.
                    Err(NegotiationError::NO_KEY) => DialogMediaChange::Unanswerable,
                    Err(_) if !self.has_media() => DialogMediaChange::Unanswerable,
                    Err(_) => DialogMediaChange::Unchanged,
                }
            }
            _ => DialogMediaChange::Unchanged,
        }
    }

    /// Something was agreed in this dialog.
    fn has_media(&self) -> bool {
        matches!(self.transport, MediaTransport::WebRtc(_)) || self.agreed.is_some()
    }

    /// Renews what must not outlive a change of the peer: true if the answer has to be written anew.
    fn renew_for(&mut self, negotiated: &NegotiatedSdp) -> bool {
        let has_other_keys = self.agreed.as_ref().is_some_and(|agreed| agreed.is_for_another(negotiated));
        if has_other_keys {
            self.local.keys = random_keys();
        }
        let restarts_ice = self.agreed.as_ref().is_some_and(|agreed| agreed.is_restarted_by(negotiated));
        if restarts_ice {
            self.local.ice = Some(ice_lite());
        }
        let starts = self.starts_association(negotiated);
        if starts {
            self.local.association = rand::random();
        }
        has_other_keys || restarts_ice || starts && negotiated.tls_id.is_some()
    }

    /// The handshake is another one than that of the session so far.
    fn starts_association(&self, negotiated: &NegotiatedSdp) -> bool {
        self.agreed.as_ref().is_none_or(|agreed| !agreed.keeps_association(negotiated))
    }

    fn record_agreed_media(&mut self, negotiated: NegotiatedSdp) -> StreamConfig {
        let remote = match &self.agreed {
            Some(before) if is_held(&negotiated) => before.remote,
            _ => negotiated.remote,
        };
        let stream = StreamConfig { signalling: self.signalling, ..stream(&negotiated, self.local.association) };
        self.local.standing = Some(Box::new(negotiated.clone()));
        self.agreed = Some(NegotiatedMedia { sdp: negotiated, remote, random: self.local.keys, stream });
        stream
    }
}

/// A WebRTC offer of a trunk, as the transport takes it. The candidates of a peer that only answers checks are kept: we
/// check them.
pub fn webrtc_offer_of_trunk(offer: &[u8]) -> Option<String> {
    let is_lite = negotiate::is_ice_lite(offer);
    let valid = if is_lite { webrtc_offer::validate_of_lite_peer(offer) } else { webrtc_offer::validate(offer) };
    valid.ok().map(|offer| webrtc_offer::complete(&offer))
}

/// Address 0.0.0.0 means hold (RFC 2543), not that the peer has moved.
fn is_held(negotiated: &NegotiatedSdp) -> bool {
    negotiated.remote.ip().is_unspecified()
}

impl NegotiatedMedia {
    /// Whether our keys were made for another peer, or for none.
    fn is_for_another(&self, offered: &NegotiatedSdp) -> bool {
        let Some(new) = offered.keys else { return false };
        let same = |old: negotiate::SdesKeys| old.suite == new.suite && old.theirs == new.theirs;
        !self.sdp.keys.is_some_and(same) || !self.is_same_place(offered)
    }

    /// The peer is where it was. ICE moves the described address to the chosen one: then it says nothing.
    fn is_same_place(&self, offered: &NegotiatedSdp) -> bool {
        let both_ice = self.sdp.ice.is_some() && offered.ice.is_some();
        both_ice || is_held(offered) || offered.remote == self.remote
    }

    /// The association stands (RFC 5763 section 6.6, RFC 8842 section 4): its names decide, where both sides give one.
    fn keeps_association(&self, offered: &NegotiatedSdp) -> bool {
        let is_same_name = match (&self.sdp.tls_id, &offered.tls_id) {
            (Some(before), Some(now)) => before == now,
            _ => self.is_same_place(offered),
        };
        self.sdp.dtls == offered.dtls && is_same_name
    }

    /// Other credentials of the peer restart ICE (RFC 8445 section 9).
    fn is_restarted_by(&self, offered: &NegotiatedSdp) -> bool {
        self.sdp.remote_ice.zip(offered.remote_ice).is_some_and(|(before, now)| before != now)
    }
}

fn refusal(refused: OfferAnswerError) -> NegotiationError {
    match refused {
        OfferAnswerError::Malformed(fault) => NegotiationError { sip_status: 400, reason: fault.0 },
        OfferAnswerError::NO_KEY => NegotiationError::NO_KEY,
        OfferAnswerError::NotAcceptable(why) => NegotiationError { sip_status: 488, reason: why },
        OfferAnswerError::StreamOff => NegotiationError::STREAM_OFF,
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
        direction: stream_direction(negotiated.direction),
    }
}

fn stream_direction(direction: MediaDirection) -> StreamDirection {
    match direction {
        MediaDirection::SendRecv => StreamDirection::SendReceive,
        MediaDirection::SendOnly => StreamDirection::SendOnly,
        // A peer on hold may send music or nothing: its silence is not a network loss.
        MediaDirection::RecvOnly | MediaDirection::Inactive => StreamDirection::Inactive,
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
