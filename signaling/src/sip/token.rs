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
    /// Creates a source from a secret seed. The same seed gives the same tokens.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// Sixteen hexadecimal digits, never the same twice.
    pub fn token(&mut self) -> String {
        hex(&self.next())
    }

    /// A number that cannot be guessed.
    pub fn number(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.next();
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
        hex(&self.digest(input))
    }

    fn next(&mut self) -> [u8; 8] {
        self.counter = self.counter.wrapping_add(1); // 2^64 tokens later
        self.digest(&self.counter.to_be_bytes())
    }

    /// The first 64 bits of the hash.
    fn digest(&self, input: &[u8]) -> [u8; 8] {
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(input);
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hasher.finalize());
        [a, b, c, d, e, f, g, h]
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
