//! Whether the clock is right: signatures, tokens and logs stand on it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};
use tokio::process::Command;
use tokio::time::timeout;
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use trunkline::domain::provider::ProviderAccount;

const CHECK: &str = "clock";
const DEADLINE: Duration = Duration::from_secs(4);
/// The header has whole seconds, and an answer takes its time.
const UNNOTICED_S: u64 = 3;
/// Signatures of webhooks and of callers' identities are valid for a minute or more.
const WRONG_S: u64 = 30;
/// What is read of the two clocks one after the other may differ a little.
const JUMP_MS_MIN: i64 = 1_000;
const ADVICE: &str = "run systemd-timesyncd or chrony (`timedatectl set-ntp true`)";
/// systemd-timesyncd makes it when it has synchronized the clock.
const TIMESYNC_MARK: &str = "/run/systemd/timesync/synchronized";
/// The error that the kernel has reached when nobody has kept the clock for long. Its status bit `STA_UNSYNC` says less: some
/// programs keep the clock and leave it set.
const ERROR_US_MAX: u64 = 16_000_000;

/// The two clocks at one moment: one that can be set, and one that only goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockReading {
    wall: SystemTime,
    steady: Instant,
}

impl ClockReading {
    pub(crate) fn now() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    /// How long it is between two readings, and by how many milliseconds the clock was set meanwhile.
    fn until(self, later: Self) -> (Duration, i64) {
        let steady = later.steady.duration_since(self.steady);
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let wall = match later.wall.duration_since(self.wall) {
            Ok(forward) => ms(forward),
            Err(backward) => ms(backward.duration()).saturating_neg(),
        };
        (steady, wall.saturating_sub(ms(steady)))
    }
}

/// Asks the machine, and a provider's web server. `before` is an earlier reading of the clock.
pub(crate) async fn look(config: &Config, before: ClockReading) -> Vec<Finding> {
    let (synchronized, offset) = tokio::join!(synchronized(), offset(config));
    let mut findings = Vec::new();
    match synchronized {
        Some(true) => findings.push(Finding::ok(CHECK, "the system keeps it synchronized")),
        Some(false) => findings.push(Finding::warning(CHECK, "the system does not keep it synchronized", ADVICE)),
        None => {}
    }
    findings.extend(offset.map(|(host, offset_s)| by_offset(&host, offset_s)));
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            "nobody here knows whether it is right: neither timedatectl, chronyc, adjtimex nor a provider was asked",
        ));
    }
    let (since, jump_ms) = before.until(ClockReading::now());
    findings.extend(by_jump(since, jump_ms));
    findings
}

/// A clock that was set while the server ran.
fn by_jump(since: Duration, jump_ms: i64) -> Option<Finding> {
    (jump_ms.saturating_abs() >= JUMP_MS_MIN).then(|| {
        let direction = if jump_ms > 0 { "forward" } else { "back" };
        let (by_s, within_min) = (jump_ms.unsigned_abs() as f64 / 1_000.0, since.as_secs().div_ceil(60));
        let found = format!(
            "it was set {direction} by {by_s:.1} s in the last {within_min} minutes, or the machine slept: times of calls, \
             tasks and signatures of that time are wrong by as much"
        );
        Finding::warning(CHECK, found, "run a service that corrects it slowly (chrony, systemd-timesyncd), and no `ntpdate` by cron")
    })
}

fn by_offset(host: &str, offset_s: u64) -> Finding {
    match offset_s {
        0..=UNNOTICED_S => Finding::ok(CHECK, format!("it is as that of {host}")),
        _ if offset_s <= WRONG_S => {
            Finding::warning(CHECK, format!("it is {offset_s} s away from that of {host}"), ADVICE)
        }
        _ => Finding::error(
            CHECK,
            format!("it is {offset_s} s away from that of {host}: signatures and certificates are refused"),
            ADVICE,
        ),
    }
}

/// What the first that knows says: systemd (which asks the kernel, as adjtimex does), chrony, adjtimex itself.
async fn synchronized() -> Option<bool> {
    let show = ["show", "--property", "NTPSynchronized", "--value"];
    if let Some(answer) = output("timedatectl", &show).await.as_deref().and_then(by_timedatectl) {
        return Some(answer);
    }
    if let Some(answer) = output("chronyc", &["-c", "tracking"]).await.as_deref().and_then(by_chronyc) {
        return Some(answer);
    }
    if let Some(answer) = output("adjtimex", &["--print"]).await.as_deref().and_then(by_adjtimex) {
        return Some(answer);
    }
    Path::new(TIMESYNC_MARK).exists().then_some(true)
}

async fn output(program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let asked = command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(DEADLINE, asked).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn by_timedatectl(text: &str) -> Option<bool> {
    match text.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// `chronyc -c tracking`: the last column is the leap status.
fn by_chronyc(text: &str) -> Option<bool> {
    let columns: Vec<&str> = text.trim().split(',').collect();
    (columns.len() >= 14).then(|| columns.last().is_some_and(|leap| *leap != "Not synchronised"))
}

/// `adjtimex --print`: the line `maxerror: 12000` has microseconds.
fn by_adjtimex(text: &str) -> Option<bool> {
    let error = text.lines().find_map(|line| line.trim().strip_prefix("maxerror:"))?;
    let error_us: u64 = error.split_whitespace().next()?.parse().ok()?;
    Some(error_us < ERROR_US_MAX)
}

/// Seconds between this clock and that of the first provider with a key, from the header `Date`.
async fn offset(config: &Config) -> Option<(String, u64)> {
    let mut with_keys = ProviderAccount::ALL.iter().map(|account| config.providers.account(*account));
    let provider = with_keys.find(|provider| provider.api_key.is_some())?;
    let client =
        reqwest::Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none()).build().ok()?;
    let response = client.head(&provider.base_url).send().await.ok()?;
    let theirs = httpdate::parse_http_date(response.headers().get("date")?.to_str().ok()?).ok()?;
    let ours = SystemTime::now();
    let apart = ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours)).ok()?;
    Some((response.url().host_str()?.to_owned(), apart.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline::domain::finding::Level;

    #[test]
    fn a_clock_may_be_a_little_wrong() {
        let level = |offset_s: u64| by_offset("example.com", offset_s).level;
        assert_eq!((level(2), level(10), level(3_600)), (Level::Ok, Level::Warning, Level::Error));
    }

    #[test]
    fn a_clock_that_was_set_is_told_with_its_direction() {
        let before = ClockReading::now();
        let later = |wall_ms: i64, steady_s: u64| {
            let wall = Duration::from_millis(wall_ms.unsigned_abs());
            let wall = if wall_ms < 0 { before.wall - wall } else { before.wall + wall };
            before.until(ClockReading { wall, steady: before.steady + Duration::from_secs(steady_s) })
        };
        assert_eq!(later(60_000, 60), (Duration::from_secs(60), 0));
        assert_eq!(later(3_660_000, 60).1, 3_600_000);
        assert_eq!(later(-60_000, 60).1, -120_000);
        assert_eq!(by_jump(Duration::from_secs(60), 999), None);
        let forward = by_jump(Duration::from_secs(60), 3_600_000).unwrap();
        assert!(forward.found.contains("set forward by 3600.0 s in the last 1 minutes"), "{}", forward.found);
        assert!(
            by_jump(Duration::from_secs(61), -1_500).unwrap().found.contains("set back by 1.5 s in the last 2 minutes")
        );
        assert!(by_jump(Duration::ZERO, i64::MIN).is_some());
    }

    #[test]
    fn each_program_says_in_its_words_whether_the_clock_is_kept() {
        let of = |text: &str| (by_timedatectl(text), by_chronyc(text), by_adjtimex(text));
        assert_eq!(of("yes\n"), (Some(true), None, None));
        assert_eq!(of("no\n"), (Some(false), None, None));
        let chrony = "C0A80101,192.168.1.1,3,1790000000.1,0.00001,0.00002,0.00003,-1.2,0.001,0.02,0.03,0.001,64.2,";
        assert_eq!(of(&format!("{chrony}Normal\n")), (None, Some(true), None));
        assert_eq!(of(&format!("{chrony}Not synchronised\n")), (None, Some(false), None));
        assert_eq!(of("506 Cannot talk to daemon\n"), (None, None, None));
        let adjtimex = |error_us| format!("         mode: 0\n     maxerror: {error_us}\n       status: 64\n");
        assert_eq!(of(&adjtimex(9_776)), (None, None, Some(true)), "kept, though its status bit is set");
        assert_eq!(of(&adjtimex(16_000_000)), (None, None, Some(false)));
        assert_eq!(of("     maxerror: much\n"), (None, None, None));
    }
}
