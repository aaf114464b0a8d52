//! Where signalling and media meet: session descriptions become streams. Nothing else imports both.

use trunkline_media::codec::{self, Law};
use trunkline_media::leg::Stream;
use trunkline_signaling::sdp::Direction;
use trunkline_signaling::sdp::negotiate::{self, Codec, LocalMedia, Negotiated, Refused};
use trunkline_signaling::sdp::print;

/// Our side of one call's media, kept for later offers.
#[derive(Debug)]
pub struct Negotiation {
    local: LocalMedia,
}

/// How an offer that cannot be taken is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub sip_status: u16,
    pub why: &'static str,
}

impl Negotiation {
    pub fn new(addr: std::net::IpAddr, port: u16, codecs: &[String], session_id: u64) -> Self {
        let mut known: Vec<Codec> = codecs.iter().filter_map(|name| Codec::parse(name)).collect();
        if known.is_empty() {
            known = vec![Codec::Pcmu, Codec::Pcma];
        }
        Self { local: LocalMedia { addr, port, codecs: known, session_id, session_version: 0 } }
    }

    pub fn offer(&mut self) -> Vec<u8> {
        self.local.session_version += 1;
        print::offer(&self.local, Direction::SendRecv)
    }

    /// Answers an offer: the stream and the text.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(Stream, Vec<u8>), Refusal> {
        self.local.session_version += 1;
        let (negotiated, text) = negotiate::answer(offer, &self.local).map_err(refusal)?;
        Ok((stream(&negotiated), text))
    }

    pub fn accept(&mut self, answer: &[u8]) -> Result<Stream, Refusal> {
        negotiate::accept_answer(answer, &self.local).map(|negotiated| stream(&negotiated)).map_err(refusal)
    }
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Malformed(fault) => Refusal { sip_status: 400, why: fault.0 },
        Refused::NotAcceptable(why) => Refusal { sip_status: 488, why },
    }
}

fn stream(negotiated: &Negotiated) -> Stream {
    let receiving = matches!(negotiated.direction, Direction::SendRecv | Direction::RecvOnly);
    Stream {
        codec: codec::Codec::G711(match negotiated.codec {
            Codec::Pcmu => Law::Mu,
            Codec::Pcma => Law::A,
        }),
        payload_type: negotiated.payload_type,
        telephone_event: negotiated.telephone_event,
        remote: negotiated.remote,
        remote_rtcp: negotiated.remote_rtcp,
        sending: negotiated.direction.sends(),
        // A peer that holds us (we only receive) may play music or nothing: its silence is no loss.
        receiving: receiving && negotiated.direction.sends(),
    }
}
