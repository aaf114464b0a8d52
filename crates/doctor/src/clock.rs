//! Whether the clock is right: signatures, tokens and logs stand on it.

use crate::finding::Finding;
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tokio::process::Command;
use tokio::time::timeout;
use trunkline::config::Config;
use trunkline::domain::provider::ProviderAccount;

const CHECK: &str = "clock";
const DEADLINE: Duration = Duration::from_secs(4);
/// The header has whole seconds, and an answer takes its time.
const UNNOTICED_S: u64 = 3;
/// Signatures of webhooks and of callers' identities are valid for a minute or more.
const WRONG_S: u64 = 30;
const ADVICE: &str = "run systemd-timesyncd or chrony (`timedatectl set-ntp true`)";

/// Asks the machine, and a provider's web server.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
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
            "nobody here knows whether it is right: neither timedatectl nor a provider was asked",
        ));
    }
    findings
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

/// What systemd says; none without it.
async fn synchronized() -> Option<bool> {
    let mut command = Command::new("timedatectl");
    command.args(["show", "--property", "NTPSynchronized", "--value"]);
    let asked = command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(DEADLINE, asked).await.ok()?.ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
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
    use crate::finding::Level;

    #[test]
    fn a_clock_may_be_a_little_wrong() {
        let level = |offset_s: u64| by_offset("example.com", offset_s).level;
        assert_eq!((level(2), level(10), level(3_600)), (Level::Ok, Level::Warning, Level::Error));
    }
}
