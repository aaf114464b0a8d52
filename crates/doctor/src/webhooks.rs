//! Receivers of webhooks: a connection, TLS and `HEAD` to each server, which is no event.

use crate::storage::Stored;
use futures_util::StreamExt as _;
use std::time::{SystemTime, UNIX_EPOCH};
use trunkline::app::webhook_sender;
use trunkline::checkup::webhooks::{self as judged, CHECK, Sender};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;

/// Receivers that are asked; the others are counted.
const ASKED_MAX: usize = 100;
const AT_ONCE: usize = 16;

/// Asks every server that an agent's webhooks go to.
pub(crate) async fn look(config: &Config, stored: &Stored) -> Vec<Finding> {
    let senders = stored.agents.iter().filter_map(|agent| {
        Some(Sender {
            name: format!("agent {}", agent.fields.name),
            url: agent.fields.webhook_url.as_deref()?,
            is_signed: agent.fields.webhook_secret.is_some(),
        })
    });
    let receivers = judged::receivers(senders);
    if receivers.is_empty() {
        return vec![Finding::ok(CHECK, "no active agent has any")];
    }
    let sender = match webhook_sender(config) {
        Ok(sender) => sender,
        Err(error) => {
            let advice = "look at the root certificates of this machine (package ca-certificates)";
            return vec![Finding::error(CHECK, error.to_string(), advice)];
        }
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let first = receivers.iter().take(ASKED_MAX);
    let asked = futures_util::stream::iter(first).map(|(url, receiver)| {
        let sender = &sender;
        async move { judged::findings(receiver, &sender.ask_receiver(url).await, now_s) }
    });
    let mut findings = asked.buffered(AT_ONCE).collect::<Vec<_>>().await.concat();
    if receivers.len() > ASKED_MAX {
        findings.push(judged::left_out(receivers.len() - ASKED_MAX));
    }
    findings
}
