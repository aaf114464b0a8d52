//! `trunkline check-trunk`: finds the trunk and the settings, and lets the check run.

use crate::command_error::{CommandError, EXIT_USAGE};
use std::path::PathBuf;
use trunkline::app::open_store;
use trunkline::config::Config;
use trunkline_domain::trunk::Trunk;
use trunkline_lab::trunk_check::{self, CheckEnvironment, CheckTrunkArgs, described_trunk};
use trunkline_signaling::io::public_address;
use trunkline_signaling::io::tls::{CertificateFiles, TlsCertificates};

fn usage(message: impl std::fmt::Display) -> CommandError {
    CommandError { message: message.to_string(), code: EXIT_USAGE }
}

/// Ends with an error if the check found a problem.
pub async fn run(config: impl FnOnce() -> Result<Config, String>, args: CheckTrunkArgs) -> Result<(), CommandError> {
    let config = config().map_err(usage)?;
    let trunk = match &args.trunk {
        Some(named) => stored(&config, named).await?,
        None => described_trunk(&args).map_err(usage)?,
    };
    let environment = environment(&config).await.map_err(usage)?;
    let report = trunk_check::run(args, trunk, environment).await.map_err(usage)?;
    match report.problems {
        0 => Ok(()),
        1 => Err(CommandError { message: "1 problem was found".to_owned(), code: 1 }),
        count => Err(CommandError { message: format!("{count} problems were found"), code: 1 }),
    }
}

async fn stored(config: &Config, named: &str) -> Result<Trunk, CommandError> {
    let store = open_store(config.database.url.expose()).await.map_err(usage)?;
    let all = store.trunks_of_everyone().await.map_err(usage)?;
    store.close().await;
    let mut found: Vec<Trunk> =
        all.into_iter().filter(|trunk| trunk.id.to_string() == named || trunk.fields.name == named).collect();
    match (found.pop(), found.as_slice()) {
        (None, _) => Err(usage(format!("no trunk has the id or name {named:?}"))),
        (Some(trunk), []) => Ok(trunk),
        (Some(last), others) => {
            let ids: Vec<String> = others.iter().chain([&last]).map(|trunk| trunk.id.to_string()).collect();
            Err(usage(format!("{} trunks have the name {named:?}; use an id: {}", ids.len(), ids.join(", "))))
        }
    }
}

async fn environment(config: &Config) -> Result<CheckEnvironment, String> {
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let tls = &config.sip.tls;
    // Loaded for the certificate that we show and for the roots; nothing listens here.
    let certificates = TlsCertificates::load(&CertificateFiles {
        certificate: path(&tls.certificate),
        private_key: path(&tls.private_key),
        client_roots: path(&tls.client_roots),
        client_certificate_required: tls.client_certificate_required,
        roots: path(&tls.roots),
    })
    .map_err(|error| format!("sip.tls: {error}"))?;
    let server = config.sip.stun_server.as_str();
    let advertised = match config.sip.advertised_address {
        None if !server.is_empty() => {
            Some(public_address(server, rand::random()).await.map_err(|error| format!("sip.stun_server: {error}"))?)
        }
        configured => configured,
    };
    Ok(CheckEnvironment {
        advertised,
        server_port: config.sip.listen.port(),
        session_expires_s: config.sip.session_expires_s,
        user_agent: config.sip.user_agent.clone(),
        certificates,
        dns_server: config.sip.dns_server,
    })
}
