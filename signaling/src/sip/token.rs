//! Unguessable tokens (tags, branches, Call-IDs, nonces) from a seed, so that the machine needs no
//! random device and a test with the same seed makes the same call.

use sha2::{Digest, Sha256};

/// A counter hashed with a secret seed. RFC 3261 section 19.3 asks for 32 random bits in a tag; these have 64.
pub struct TokenSource {
    seed: [u8; 32],
    counter: u64,
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl TokenSource {
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// Sixteen hexadecimal digits, never the same twice.
    pub fn token(&mut self) -> String {
        self.counter += 1;
        hex(&self.digest(&self.counter.to_be_bytes())[..8])
    }

    /// A number nobody can guess.
    pub fn number(&mut self) -> u32 {
        self.counter += 1;
        let [a, b, c, d, ..] = self.digest(&self.counter.to_be_bytes());
        u32::from_be_bytes([a, b, c, d])
    }

    /// A branch with the magic cookie of RFC 3261 section 8.1.1.7.
    pub fn branch(&mut self) -> String {
        let mut branch = String::with_capacity(24);
        branch.push_str("z9hG4bK");
        branch.push_str(&self.token());
        branch
    }

    /// A token that depends only on the seed and the input: the To tag of a stateless answer must be
    /// the same for every retransmission (RFC 3261 section 8.2.7).
    pub fn keyed(&self, input: &[u8]) -> String {
        hex(&self.digest(input)[..8])
    }

    fn digest(&self, input: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(input);
        hasher.finalize().into()
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}
