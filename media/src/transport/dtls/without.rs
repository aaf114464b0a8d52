//! A program without DTLS-SRTP for phones: it has no identity, and nothing that needs one can begin.

use super::{DtlsFingerprint, DtlsParams, HandshakeProgress};
use std::time::Instant;

/// There is none.
#[derive(Debug)]
pub enum DtlsIdentity {}

impl DtlsIdentity {
    /// `None`: the program was built without it.
    pub fn new() -> Option<Self> {
        None
    }

    /// SHA-256 of our certificate, for `a=fingerprint` in SDP.
    pub fn fingerprint(&self) -> DtlsFingerprint {
        match *self {}
    }
}

/// One side of a handshake; never begun.
#[derive(Debug)]
pub struct DtlsHandshake {
    /// The negotiated parameters it was started with.
    pub terms: DtlsParams,
    identity: DtlsIdentity,
}

impl DtlsHandshake {
    /// Nobody has the identity that it takes.
    pub fn new(_: Instant, identity: &DtlsIdentity, _: DtlsParams) -> Option<Self> {
        match *identity {}
    }

    /// How it stands.
    pub fn progress(&self) -> HandshakeProgress {
        match self.identity {}
    }

    /// When it wants to be called, if at all.
    pub fn due(&self) -> Option<Instant> {
        match self.identity {}
    }

    /// Takes a datagram of the peer.
    pub fn handle(&mut self, _: Instant, _: &[u8], _: &mut dyn FnMut(&[u8])) {
        match self.identity {}
    }

    /// Sends the last flight again.
    pub fn handle_timeout(&mut self, _: Instant, _: &mut dyn FnMut(&[u8])) {
        match self.identity {}
    }

    /// Says goodbye.
    pub fn close(&mut self, _: Instant, _: &mut dyn FnMut(&[u8])) {
        match self.identity {}
    }
}
