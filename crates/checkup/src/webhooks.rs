//! What the answer of a webhook's receiver means, and what became of the deliveries to it.

use super::certificates;
use crate::domain::finding::Finding;
use std::collections::BTreeMap;
use url::Url;

/// The name of the check.
pub const CHECK: &str = "webhooks";

/// A server that webhooks go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Scheme, host and port: the rest of a URL may hold a token.
    pub origin: String,
    /// What sends webhooks there, such as `agent Support`.
    pub senders: Vec<String>,
    /// Whether every sender has a secret that signs them.
    pub is_signed: bool,
}

/// What a receiver answered to `HEAD`, which is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverAnswer {
    /// A status; `certificate_end_s` is the end of its certificate (Unix seconds) where it has one that can be read.
    Status {
        /// Status of the answer.
        status: u16,
        /// When its certificate ends.
        certificate_end_s: Option<u64>,
    },
    /// The address guard does not let webhooks go there.
    Refused(String),
    /// No connection, no TLS, or no answer.
    Unreachable(String),
}

/// What sends webhooks: `name` as it is shown (`agent Support`), and whether it has a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// What it is, with its name.
    pub name: String,
    /// Where its webhooks go.
    pub url: &'a str,
    /// Whether a secret signs them.
    pub is_signed: bool,
}

/// Senders that a finding names.
const SENDERS_NAMED_MAX: usize = 5;

/// The servers that these send to, each once, with a URL to ask it by; in the order of their names.
pub fn receivers<'a>(senders: impl IntoIterator<Item = Sender<'a>>) -> Vec<(String, Receiver)> {
    let mut all: BTreeMap<String, (String, Receiver)> = BTreeMap::new();
    for sender in senders {
        let Ok(url) = Url::parse(sender.url) else { continue };
        let origin = url.origin().ascii_serialization();
        let new = || Receiver { origin: origin.clone(), senders: Vec::new(), is_signed: true };
        let (_, receiver) = all.entry(origin.clone()).or_insert_with(|| (sender.url.to_owned(), new()));
        receiver.is_signed &= sender.is_signed;
        if receiver.senders.len() < SENDERS_NAMED_MAX {
            receiver.senders.push(sender.name);
        }
    }
    all.into_values().collect()
}

/// How deliveries of the last day went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedDeliveries {
    /// Those that were given up.
    pub count: usize,
    /// Why the last of them was.
    pub last: String,
}

/// A receiver that was asked.
pub fn findings(receiver: &Receiver, answer: &ReceiverAnswer, now_s: u64) -> Vec<Finding> {
    let what = format!("{} ({})", receiver.origin, receiver.senders.join(", "));
    let mut findings = vec![by_answer(&what, answer)];
    if let ReceiverAnswer::Status { certificate_end_s: Some(end_s), .. } = answer {
        let end = certificates::end_of(CHECK, &what, Some(*end_s), now_s, "renew the certificate of the receiver");
        findings.extend(Some(end).filter(|finding| finding.advice.is_some()));
    }
    if !receiver.is_signed {
        let found = format!("{what}: webhooks to it are not signed, so anybody can send it some");
        findings.push(Finding::warning(
            CHECK,
            found,
            "set webhook_secret, and check webhook-signature in the receiver",
        ));
    }
    findings
}

fn by_answer(what: &str, answer: &ReceiverAnswer) -> Finding {
    match answer {
        ReceiverAnswer::Refused(why) => Finding::error(
            CHECK,
            format!("{what} may not be asked: {why}"),
            "give it a public address with https; for another one, see egress.allow_networks",
        ),
        ReceiverAnswer::Unreachable(why) => Finding::error(
            CHECK,
            format!("{what} cannot be reached: {why}"),
            "look at its name, its firewall and its certificate; webhooks are tried again for a day",
        ),
        // Webhooks follow it.
        ReceiverAnswer::Status { status: status @ (307 | 308), .. } => {
            Finding::ok(CHECK, format!("{what} answered HEAD with {status}"))
        }
        ReceiverAnswer::Status { status: status @ 300..400, .. } => Finding::warning(
            CHECK,
            format!("{what} answered HEAD with {status}, a redirect"),
            "set webhook_url to the address it leads to: webhooks follow 307 and 308 only",
        ),
        ReceiverAnswer::Status { status: status @ 500.., .. } => Finding::warning(
            CHECK,
            format!("{what} answered HEAD with {status}"),
            "look whether the program behind its proxy runs",
        ),
        // Many know POST alone: 404 and 405 say that somebody is there.
        ReceiverAnswer::Status { status, .. } => Finding::ok(CHECK, format!("{what} answered HEAD with {status}")),
    }
}

/// Deliveries that were given up.
pub fn deliveries(failed: &FailedDeliveries) -> Option<Finding> {
    (failed.count > 0).then(|| {
        let found = format!("{} deliveries of the last day were given up; the last: {}", failed.count, failed.last);
        let advice =
            "mend the receiver, then send them again (POST /webhook-deliveries/{id}/resend, or the page Webhooks)";
        Finding::warning(CHECK, found, advice)
    })
}

/// More receivers than are asked.
pub fn left_out(count: usize) -> Finding {
    Finding::ok(CHECK, format!("{count} more were not asked"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Level;

    fn levels(answer: &ReceiverAnswer, is_signed: bool) -> Vec<Level> {
        let receiver =
            Receiver { origin: "https://app.example.com".to_owned(), senders: vec!["agent A".to_owned()], is_signed };
        findings(&receiver, answer, 1_000).iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_receiver_is_well_if_it_answers_at_all() {
        let answered = |status| ReceiverAnswer::Status { status, certificate_end_s: Some(u64::MAX) };
        for status in [200, 204, 307, 308, 400, 401, 404, 405] {
            assert_eq!(levels(&answered(status), true), [Level::Ok], "{status}");
        }
        for status in [301, 302, 500, 502, 503] {
            assert_eq!(levels(&answered(status), true), [Level::Warning], "{status}");
        }
        assert_eq!(levels(&ReceiverAnswer::Unreachable("refused".to_owned()), true), [Level::Error]);
        assert_eq!(levels(&ReceiverAnswer::Refused("is private".to_owned()), true), [Level::Error]);
    }

    #[test]
    fn an_end_that_is_near_and_a_missing_signature_are_told_beside_the_answer() {
        let ending = ReceiverAnswer::Status { status: 200, certificate_end_s: Some(1_000 + 86_400) };
        assert_eq!(levels(&ending, false), [Level::Ok, Level::Warning, Level::Warning]);
        let plain = ReceiverAnswer::Status { status: 200, certificate_end_s: None };
        assert_eq!(levels(&plain, true), [Level::Ok]);
    }

    #[test]
    fn a_server_is_asked_once_and_is_signed_if_all_its_senders_are() {
        let sender = |name: &str, url, is_signed| Sender { name: name.to_owned(), url, is_signed };
        let found = receivers([
            sender("agent A", "https://app.example.com/a?token=1", true),
            sender("agent B", "https://app.example.com/b", false),
            sender("agent C", "https://other.example.com:8443/", true),
            sender("agent D", "no url", true),
        ]);
        let shown: Vec<_> = found.iter().map(|(url, one)| (url.as_str(), one.origin.as_str(), one.is_signed)).collect();
        assert_eq!(
            shown,
            [
                ("https://app.example.com/a?token=1", "https://app.example.com", false),
                ("https://other.example.com:8443/", "https://other.example.com:8443", true)
            ]
        );
        assert_eq!(found[0].1.senders, ["agent A", "agent B"]);
        let many = (0..20).map(|i| sender(&format!("agent {i}"), "https://app.example.com/", true));
        assert_eq!(receivers(many)[0].1.senders.len(), SENDERS_NAMED_MAX);
    }

    #[test]
    fn deliveries_that_were_given_up_are_counted() {
        assert_eq!(deliveries(&FailedDeliveries::default()), None);
        let failed = FailedDeliveries { count: 3, last: "status 401".to_owned() };
        let finding = deliveries(&failed).unwrap();
        assert!(finding.level == Level::Warning && finding.found.starts_with("3 deliveries"), "{finding:?}");
    }
}
