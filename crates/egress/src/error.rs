//! Why an address is not connected to.

/// Why an address is not connected to. The words follow the name of a field: `webhook_url must be an HTTPS URL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The text cannot be parsed as a URL.
    #[error("is not a URL")]
    NotAUrl,
    /// The scheme is not https, and http is not allowed there.
    #[error("must be an HTTPS URL")]
    NotHttps,
    /// The scheme is neither http nor https; only where everything may be reached.
    #[error("must be an HTTP or HTTPS URL")]
    NotHttp,
    /// The address is private, loopback, link-local or otherwise not of the public internet.
    #[error("must not lead to a private, loopback or link-local address")]
    NotPublic,
    /// The address and port are those of a listener of this server.
    #[error("must not lead to this server itself")]
    OwnListener,
    /// A provider's address has a query, a fragment, a user name or a password.
    #[error("must not hold a query, a fragment, or a user name")]
    NotABase,
    /// None of the addresses of a name may be connected to.
    #[error("the name has no public address")]
    NoPublicAddress,
    /// DNS failed, had no answer or took too long.
    #[error("the name cannot be resolved")]
    NotResolved,
}
