//! How sure the first provider of a call is of its customer's number (RFC 8588 section 5.2).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far the first provider vouches for the caller's number (RFC 8588 section 5.2); ordered from `C` to `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Attestation {
    /// It only brought the call into the network.
    C,
    /// It knows the customer.
    B,
    /// It knows the customer, who may use the number.
    A,
}

impl Attestation {
    /// Returns the letter as it stands in a PASSporT: `A`, `B` or `C`.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}
