//! Wall-clock instants as they are stored and printed: milliseconds since 1970 and RFC 3339 in UTC.

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// `2026-03-27T12:00:00.000Z`.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
            .unwrap_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned())
    }

    /// `2026-03-27`, in UTC.
    pub fn day(self) -> String {
        self.rfc3339()[..10].to_owned()
    }

    /// Reads RFC 3339 with any offset, to the millisecond; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_always_printed() {
        assert_eq!(UnixMs(1_774_612_800_000).rfc3339(), "2026-03-27T12:00:00.000Z");
        assert_eq!(UnixMs::parse("2026-03-27T14:00:00.5+02:00"), Some(UnixMs(1_774_612_800_500)));
        assert_eq!(UnixMs::parse("tomorrow"), None);
    }
}
