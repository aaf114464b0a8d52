//! `tracing` to standard error, readable or as JSON lines.

use crate::config::{LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

/// The DTLS library warns of each extension of a handshake that it does not know, which peers may send as they like (RFC
/// 5246 section 7.4.1.4).
const QUIET_TARGET: &str = "rtc_dtls";

fn filter(wanted: &str) -> Result<EnvFilter, String> {
    let quiet = format!("{QUIET_TARGET}=error");
    // What the operator says of it stands.
    let is_said = wanted.contains(QUIET_TARGET) || matches!(wanted.trim(), "" | "off");
    let text = if is_said { wanted.to_owned() } else { format!("{wanted},{quiet}") };
    EnvFilter::try_new(text).map_err(|error| format!("log.filter: {error}"))
}

/// Starts logging; a second call in one process changes nothing.
pub fn start(log: &LogConfig) -> Result<(), String> {
    let filter = filter(&log.filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match log.format {
        LogFormat::Pretty => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dtls_library_is_quiet_unless_the_operator_wants_it() {
        let shown = |wanted: &str| {
            let text = filter(wanted).unwrap().to_string();
            let mut directives: Vec<String> = text.split(',').map(str::to_owned).collect();
            directives.sort();
            directives
        };
        assert_eq!(shown("info"), ["info", "rtc_dtls=error"]);
        assert_eq!(shown("warn,trunkline::call=debug"), ["rtc_dtls=error", "trunkline::call=debug", "warn"]);
        assert_eq!(shown("info,rtc_dtls=trace"), ["info", "rtc_dtls=trace"]);
        assert_eq!(shown("off"), ["off"]);
        assert!(filter("trunkline=loud").unwrap_err().starts_with("log.filter: "));
    }
}
