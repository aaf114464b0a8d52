//! `trunkline login` and `logout`: a key is tried before it is stored.

use crate::api::Api;
use crate::credentials::{self, Credentials, KEY_VARIABLE, LOCAL_URL, Server, StoredKey, URL_VARIABLE, written};
use crate::error::ClientError;
use crate::output::print;
use crate::terminal;
use clap::Args;
use serde_json::json;
use trunkline_domain::secret::Secret;
use url::{Host, Url};

/// What `trunkline login` takes.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Address of the server. Default: TRUNKLINE_URL, or the server of the last login.
    #[arg(long)]
    url: Option<String>,
    /// Read the API key from standard input, for scripts.
    #[arg(long, conflicts_with = "email")]
    key_stdin: bool,
    /// Log in with this e-mail address and its password, and create a key for this machine.
    #[arg(long)]
    email: Option<String>,
    /// Organization, by id or name, where the password fits several.
    #[arg(long, requires = "email")]
    organization: Option<String>,
}

/// What `trunkline logout` takes.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Address of the server. Default: the one that commands use.
    #[arg(long)]
    url: Option<String>,
}

/// Asks for what is missing, tries it and stores it.
pub(crate) async fn login(args: LoginArgs) -> Result<(), ClientError> {
    let path = credentials::file()?;
    let mut stored = Credentials::load(&path)?;
    let url = server_url(args.url.as_deref(), &stored)?;
    let mut server = Server { url, api_key: None };
    check_health(&server).await?;
    let key = match (&args.email, args.key_stdin) {
        (Some(email), _) => key_of_person(&server, email, args.organization.as_deref()).await?,
        (None, true) => terminal::piped_secret()?,
        (None, false) => match credentials::variable(KEY_VARIABLE) {
            Some(key) if !terminal::has_person() => Secret::from(key.trim()),
            _ => asked_key(&server).await?,
        },
    };
    server.api_key = Some(key.clone());
    let what = check_key(&server).await?;
    let name = written(&server.url);
    stored.servers.insert(name.clone(), StoredKey { api_key: key });
    stored.default = Some(name.clone());
    stored.store(&path)?;
    for variable in [URL_VARIABLE, KEY_VARIABLE].into_iter().filter(|name| credentials::variable(name).is_some()) {
        eprintln!("trunkline: {variable} is set, and comes before what was stored now");
    }
    print(&format!("logged in to {name}{what}; the key is in {}", path.display()))
}

/// Forgets a key. The server goes on taking it: who wants it gone deletes it there.
pub(crate) fn logout(args: &LogoutArgs) -> Result<(), ClientError> {
    let path = credentials::file()?;
    let mut stored = Credentials::load(&path)?;
    let url = args.url.clone().or_else(|| stored.default.clone());
    let none = || ClientError::Usage("no server is known: nobody is logged in".to_owned());
    let name = written(&credentials::parse_url(&url.ok_or_else(none)?)?);
    if stored.servers.remove(&name).is_none() {
        return Err(ClientError::Usage(format!("there is no key for {name}")));
    }
    if stored.default.as_deref() == Some(name.as_str()) {
        stored.default = None;
    }
    stored.store(&path)?;
    print(&format!("the key of {name} is forgotten here; it is valid until it is deleted on the server"))
}

fn server_url(named: Option<&str>, stored: &Credentials) -> Result<Url, ClientError> {
    let known = credentials::variable(URL_VARIABLE).or_else(|| stored.default.clone());
    let text = match named {
        Some(url) => url.to_owned(),
        None if terminal::has_person() => terminal::ask("Server", known.as_deref().unwrap_or(LOCAL_URL))?,
        None => known.ok_or_else(|| ClientError::Usage(format!("give --url, or set {URL_VARIABLE}")))?,
    };
    let url = credentials::parse_url(&text)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        eprintln!("trunkline: the key will go to {} unencrypted: https is safer", written(&url));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The server is one of ours; a sick one is too.
async fn check_health(server: &Server) -> Result<(), ClientError> {
    match Api::new(server)?.get("/health").await {
        Err(ClientError::Refused(refusal)) if refusal.status == 503 => {
            eprintln!("trunkline: the server is not well: `trunkline health` on its machine says more");
            Ok(())
        }
        Ok(health) if health["checks"].is_object() => Ok(()),
        Ok(_) => Err(ClientError::Unreachable(format!("{} is no Trunkline server", written(&server.url)))),
        Err(error) => Err(error),
    }
}

async fn asked_key(server: &Server) -> Result<Secret, ClientError> {
    if !terminal::has_person() {
        return Err(ClientError::Usage(format!(
            "nobody can be asked here: pipe a key to `trunkline login --key-stdin`, or set {KEY_VARIABLE}"
        )));
    }
    let key = terminal::ask_secret("API key (empty: e-mail and password)")?;
    if !key.is_empty() {
        return Ok(key);
    }
    let email = terminal::ask("E-mail", "")?;
    key_of_person(server, &email, None).await
}

/// Words about a key that works.
async fn check_key(server: &Server) -> Result<String, ClientError> {
    match Api::new(server)?.list("/agents", "agents", &[], 1).await {
        Ok((_, count)) => Ok(format!(" ({count} agents)")),
        // It is valid: it may do something else.
        Err(error) if error.status() == Some(403) => Ok(" (the key may not read agents)".to_owned()),
        Err(error) => Err(error),
    }
}

/// A session of a person; the password comes from TRUNKLINE_PASSWORD or from the terminal.
pub(crate) async fn session(server: &Server, email: &str, organization: Option<&str>) -> Result<Api, ClientError> {
    let password = match credentials::variable("TRUNKLINE_PASSWORD") {
        Some(password) => Secret::from(password),
        None if terminal::has_person() => terminal::ask_secret(&format!("Password of {email}"))?,
        None => {
            return Err(ClientError::Usage(format!(
                "nobody can be asked for {email}'s password: set TRUNKLINE_PASSWORD"
            )));
        }
    };
    let api = Api::new(server)?;
    let mut login = json!({"email": email, "password": password.expose()});
    let choice = match api.logged_in(&login).await {
        Err(ClientError::Refused(refusal)) if refusal.code == "organization_required" => refusal,
        other => return other,
    };
    let offered = &choice.choices;
    let named = match organization {
        Some(name) => name.to_owned(),
        None if terminal::has_person() => {
            offered.iter().for_each(|(id, name)| eprintln!("  {id}  {name}"));
            terminal::ask("Organization (id or name)", "")?
        }
        None => return Err(ClientError::Usage(format!("{}; give --organization", choice.message))),
    };
    let found = offered.iter().find(|(id, name)| *id == named || *name == named);
    let (id, _) = found.ok_or_else(|| ClientError::Usage(format!("the password does not fit {named:?}")))?;
    login["organization_id"] = json!(id);
    api.logged_in(&login).await
}

/// Creates a key for this machine in the name of a person.
async fn key_of_person(server: &Server, email: &str, organization: Option<&str>) -> Result<Secret, ClientError> {
    let person = session(server, email, organization).await?;
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = format!("trunkline on {}", host.trim()).trim_end_matches(" on ").to_owned();
    let made = person.post("/api-keys", &json!({"name": name})).await;
    let _ = person.post("/auth/logout", &json!({})).await; // the session ends by itself too
    let made = made.map_err(|error| error.after("a key for this machine cannot be created: "))?;
    match made["api_key"]["key"].as_str() {
        Some(key) => Ok(Secret::from(key)),
        None => Err(ClientError::Unreachable("the server created a key and did not show it".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_encryption() {
        for (url, loopback) in [
            ("http://127.0.0.1:3008", true),
            ("http://[::1]", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&credentials::parse_url(url).unwrap()), loopback, "{url}");
        }
    }
}
