//! `tracing` to standard error: readable or as JSON lines, and as the journal of systemd wants it.

mod journal;

use crate::config::{LogConfig, LogFormat};
use journal::JournalFormat;
use std::io::IsTerminal as _;
use tracing_subscriber::fmt::{FormatEvent, FormatFields, SubscriberBuilder};
use tracing_subscriber::{EnvFilter, Registry};

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

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A person: colours, unless `NO_COLOR` is set (<https://no-color.org>).
    Terminal,
    /// The journal, which has a time and a priority of its own for each line.
    Journal,
    /// A file, a pipe, or a person who wants no colours.
    Plain,
}

impl Reader {
    fn of_standard_error() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        Self::choose(
            journal::is_standard_error(&variable("JOURNAL_STREAM")),
            std::io::stderr().is_terminal(),
            &variable("NO_COLOR"),
        )
    }

    fn choose(journal: bool, terminal: bool, no_color: &str) -> Self {
        match (journal, terminal && no_color.is_empty()) {
            (true, _) => Self::Journal,
            (false, true) => Self::Terminal,
            (false, false) => Self::Plain,
        }
    }
}

/// Changes the filter of a log that has been started.
pub struct LogControl(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl std::fmt::Debug for LogControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogControl")
    }
}

impl LogControl {
    /// Replaces the filter; `wanted` is a `log.filter`. Fails if it cannot be parsed: the old one stays.
    pub fn set_filter(&self, wanted: &str) -> Result<(), String> {
        (self.0)(filter(wanted)?)
    }
}

/// Starts logging; a second call in one process changes nothing. Fails if the filter cannot be parsed.
pub fn start(log: &LogConfig) -> Result<LogControl, String> {
    let reader = Reader::of_standard_error();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&log.filter)?)
        .with_writer(std::io::stderr as fn() -> std::io::Stderr)
        .with_ansi(reader == Reader::Terminal);
    Ok(match (log.format, reader) {
        (LogFormat::Pretty, Reader::Journal) => {
            install(builder.with_target(false).without_time().map_event_format(JournalFormat))
        }
        (LogFormat::Pretty, _) => install(builder.with_target(false)),
        (LogFormat::Json, Reader::Journal) => {
            install(builder.json().flatten_event(true).map_event_format(JournalFormat))
        }
        (LogFormat::Json, _) => install(builder.json().flatten_event(true)),
    })
}

fn install<N, E>(builder: SubscriberBuilder<N, E, EnvFilter, fn() -> std::io::Stderr>) -> LogControl
where
    N: for<'writer> FormatFields<'writer> + Send + Sync + 'static,
    E: FormatEvent<Registry, N> + Send + Sync + 'static,
{
    let builder = builder.with_filter_reloading();
    let handle = builder.reload_handle();
    let _ = builder.try_init();
    LogControl(Box::new(move |filter| handle.reload(filter).map_err(|error| format!("log.filter: {error}"))))
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

    #[test]
    fn only_a_terminal_gets_colours_and_the_journal_no_times() {
        let terminal = |terminal: bool, no_color: &str| Reader::choose(false, terminal, no_color);
        assert_eq!(terminal(true, ""), Reader::Terminal);
        assert_eq!([terminal(true, "1"), terminal(false, "")], [Reader::Plain; 2]);
        assert_eq!(Reader::choose(true, false, ""), Reader::Journal);
    }
}
