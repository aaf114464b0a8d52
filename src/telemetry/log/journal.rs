//! What the journal of systemd wants of a line on standard error: its priority in front (sd-daemon(3)).

use std::fmt;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// True if standard error is what `JOURNAL_STREAM` names by `DEVICE:INODE`: the variable is inherited, and may be of
/// another process whose output goes elsewhere (systemd.exec(5)).
pub(super) fn is_standard_error(journal_stream: &str) -> bool {
    let stream =
        journal_stream.split_once(':').and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    let Some(stream) = stream else { return false };
    let standard_error = std::io::stderr().as_fd().try_clone_to_owned().map(std::fs::File::from);
    let metadata = standard_error.and_then(|file| file.metadata());
    metadata.is_ok_and(|metadata| is_stream(stream, metadata.dev(), metadata.ino()))
}

fn is_stream(stream: (u64, u64), device: u64, inode: u64) -> bool {
    stream == (device, inode)
}

/// An event in another format, behind its priority.
pub(super) struct JournalFormat<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for JournalFormat<F>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// As of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_begins_with_its_priority() {
        let lines = Lines::default();
        let written = lines.clone();
        let log = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_writer(move || lines.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .map_event_format(JournalFormat)
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::error!(port = 1, "broken");
            tracing::warn!("odd");
            tracing::info!("ready");
            tracing::debug!("detail");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<String> = text.lines().map(|line| line.replace("  ", " ").replace("> ", ">")).collect();
        assert_eq!(lines, ["<3>ERROR broken port=1", "<4>WARN odd", "<6>INFO ready", "<7>DEBUG detail"]);
    }

    #[test]
    fn a_variable_of_another_process_is_no_journal() {
        assert!(!is_standard_error("") && !is_standard_error("1") && !is_standard_error("a:b"));
        assert!(!is_standard_error("0:0"));
        assert!(is_stream((8, 12), 8, 12) && !is_stream((8, 12), 8, 13));
    }
}
