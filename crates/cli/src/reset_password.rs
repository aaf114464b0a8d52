//! `trunkline reset-password`: a link that sets a new password, made on the server.
#![expect(clippy::print_stdout, reason = "a command line prints")]

use clap::Args;
use trunkline::app::open_store;
use trunkline::config::Config;
use trunkline_domain::ids::OrganizationId;
use trunkline_domain::login_address::LoginAddress;

#[derive(Debug, Args)]
pub(super) struct ResetPasswordArgs {
    /// E-mail address of the account.
    #[arg(long)]
    email: String,
    /// Identifier of the organization, where the address has accounts in several.
    #[arg(long)]
    organization: Option<String>,
}

/// Address of the console, as people reach it.
fn base_url(config: &Config) -> String {
    match config.api.public_url.trim_end_matches('/') {
        "" => format!("http://{}", config.api.listen),
        url => url.to_owned(),
    }
}

/// Prints a link for each account, and writes that down in the audit log.
pub(super) async fn run(config: &Config, args: ResetPasswordArgs) -> Result<(), String> {
    let address = LoginAddress::parse(&args.email).ok_or_else(|| format!("{} is not an e-mail address", args.email))?;
    let organization = match &args.organization {
        Some(text) => {
            Some(OrganizationId::parse(text).ok_or_else(|| format!("{text} is not the id of an organization"))?)
        }
        None => None,
    };
    let store = open_store(config.database.url.expose()).await.map_err(|error| error.to_string())?;
    let mut accounts = store.accounts_of_address(&address).await.map_err(|error| error.to_string())?;
    accounts.retain(|account| organization.is_none_or(|id| account.user.organization == id));
    if accounts.is_empty() {
        return Err(format!("{} has no such account", args.email));
    }
    for account in &accounts {
        let user = &account.user;
        println!("organization  {} ({})", user.organization, account.organization_name);
        match store.begin_password_reset(user, |_| None).await.map_err(|error| error.to_string())? {
            Some(token) => {
                println!("link          {}/#/reset/{token}", base_url(config));
                let audited = store
                    .record_audit_entry(
                        user.scope(),
                        "trunkline reset-password",
                        "user.password_reset_request",
                        Some(user.id.to_string()),
                    )
                    .await;
                audited.map_err(|error| error.to_string())?;
            }
            None => println!("link          none: three were made within the last hour"),
        }
    }
    println!("Each link works once, within an hour.");
    store.close().await;
    Ok(())
}
