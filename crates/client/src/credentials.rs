//! Which server is asked, with which key: from the environment, or from the file that `trunkline login` writes. A key is
//! sent to no other server than the one it was stored for.

use crate::error::ClientError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use trunkline_domain::secret::Secret;
use url::Url;

/// Address of the server.
pub(crate) const URL_VARIABLE: &str = "TRUNKLINE_URL";
/// Key of that server.
pub(crate) const KEY_VARIABLE: &str = "TRUNKLINE_API_KEY";
/// Where a server listens that nobody has told anything else.
pub(crate) const LOCAL_URL: &str = "http://127.0.0.1:3008";
/// The file holds some keys.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A server and the key for it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub url: Url,
    pub api_key: Option<Secret>,
}

/// What `credentials.toml` holds.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Credentials {
    /// Address of the server that commands use.
    #[serde(default)]
    pub default: Option<String>,
    /// Keys by the address of their server.
    #[serde(default)]
    pub servers: BTreeMap<String, StoredKey>,
}

/// The key of one server.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredKey {
    pub api_key: Secret,
}

/// A variable of the environment; an empty one is none.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// `$XDG_CONFIG_HOME/trunkline/credentials.toml`.
pub(crate) fn file() -> Result<PathBuf, ClientError> {
    let home = || variable("HOME").map(|home| Path::new(&home).join(".config"));
    let folder = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()).or_else(home);
    let folder = folder.ok_or_else(|| {
        ClientError::Local(format!(
            "neither XDG_CONFIG_HOME nor HOME is set: set {URL_VARIABLE} and {KEY_VARIABLE} instead of logging in"
        ))
    })?;
    Ok(folder.join("trunkline/credentials.toml"))
}

/// An address as it is compared and stored: scheme, host, port and path, without the slash at its end.
pub(crate) fn parse_url(text: &str) -> Result<Url, ClientError> {
    let usage = |why: &str| ClientError::Usage(format!("{text:?} is not the address of a server: {why}"));
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(with_scheme.trim()).map_err(|error| usage(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(usage("it begins with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(usage("it holds a name or a password"));
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    // People copy what they see in the documentation or in the browser.
    let path = ["/api/v1", "/v1", "/docs", "/console"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    let path = path.to_owned();
    url.set_path(&path);
    Ok(url)
}

/// How an address is written.
pub(crate) fn written(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

impl Credentials {
    /// Reads the file; a missing one is empty.
    pub(crate) fn load(path: &Path) -> Result<Self, ClientError> {
        let local = |error: String| ClientError::Local(format!("{}: {error}", path.display()));
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(local(error.to_string())),
        };
        if metadata.len() > FILE_BYTES_MAX {
            return Err(local("it is too large; delete it and log in again".to_owned()));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            eprintln!("trunkline: others can read {}: run chmod 600 {0}", path.display());
        }
        let text = std::fs::read_to_string(path).map_err(|error| local(error.to_string()))?;
        // The parser's words would repeat the line, and with it a key.
        toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            local(format!("line {line} is not understood: mend it, or delete the file and log in again"))
        })
    }

    /// Writes the file, which nobody else can read at any time, in place of the one before.
    pub(crate) fn store(&self, path: &Path) -> Result<(), ClientError> {
        let local = |error: std::io::Error| ClientError::Local(format!("{}: {error}", path.display()));
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = String::from("# Written by `trunkline login`.\n");
        if let Some(default) = &self.default {
            let _ = writeln!(text, "default = {}", quoted(default));
        }
        for (url, key) in &self.servers {
            let _ = write!(text, "\n[servers.{}]\napi_key = {}\n", quoted(url), quoted(key.api_key.expose()));
        }
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(local)?;
        }
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let write = || {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        };
        write().map_err(|error| {
            let _ = std::fs::remove_file(&beside); // it may not exist
            local(error)
        })
    }

    /// The server that the environment or the file names.
    pub(crate) fn server(&self, url: Option<&str>, api_key: Option<Secret>) -> Result<Server, ClientError> {
        let Some(text) = url.or(self.default.as_deref()) else {
            return Err(ClientError::Usage(format!(
                "no server is known: run `trunkline login`, or set {URL_VARIABLE} and {KEY_VARIABLE}"
            )));
        };
        let url = parse_url(text)?;
        let stored = || self.servers.get(&written(&url)).map(|stored| stored.api_key.clone());
        let api_key = api_key.or_else(stored);
        Ok(Server { url, api_key })
    }
}

/// The server that commands use, with its key.
pub(crate) fn server() -> Result<Server, ClientError> {
    let (url, api_key) = (variable(URL_VARIABLE), variable(KEY_VARIABLE).map(|key| Secret::from(key.trim())));
    let stored = match (&url, &api_key) {
        // The file may be missing, broken or unreadable then.
        (Some(_), Some(_)) => Credentials::default(),
        _ => Credentials::load(&file()?)?,
    };
    let server = stored.server(url.as_deref(), api_key)?;
    if server.api_key.is_none() {
        return Err(ClientError::Usage(format!(
            "there is no API key for {}: run `trunkline login --url {0}`, or set {KEY_VARIABLE}",
            written(&server.url)
        )));
    }
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(url: &str, key: &str) -> Credentials {
        let servers = BTreeMap::from([(url.to_owned(), StoredKey { api_key: key.into() })]);
        Credentials { default: Some(url.to_owned()), servers }
    }

    #[test]
    fn the_file_is_for_its_owner_alone_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/trunkline/credentials.toml");
        stored("https://voice.example.com", "va_\"quoted\"").store(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Credentials::load(&path).unwrap();
        assert_eq!(read.servers["https://voice.example.com"].api_key.expose(), "va_\"quoted\"");
        stored("https://other.example.com", "va_2").store(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing stays beside it");
    }

    #[test]
    fn a_broken_file_is_named_without_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.toml");
        std::fs::write(&path, "default = \"x\"\napi_key = va_secret\n").unwrap();
        let message = Credentials::load(&path).unwrap_err().to_string();
        assert!(message.contains("line 2") && !message.contains("va_secret"), "{message}");
    }

    #[test]
    fn a_key_goes_to_its_own_server_only() {
        let credentials = stored("https://voice.example.com", "va_1");
        let own = credentials.server(None, None).unwrap();
        assert_eq!(own.api_key.unwrap().expose(), "va_1");
        let same = credentials.server(Some("https://voice.example.com/api/v1/"), None).unwrap();
        assert!(same.api_key.is_some());
        let other = credentials.server(Some("https://evil.example.com"), None).unwrap();
        assert!(other.api_key.is_none());
        assert!(
            credentials.server(Some("http://voice.example.com"), None).unwrap().api_key.is_none(),
            "not in the clear"
        );
        let named = credentials.server(Some("https://other.example.com"), Some("va_env".into())).unwrap();
        assert_eq!(named.api_key.unwrap().expose(), "va_env");
    }

    #[test]
    fn addresses_are_written_in_one_way() {
        let of = |text: &str| written(&parse_url(text).unwrap());
        assert_eq!(of("https://Voice.Example.com:443/"), "https://voice.example.com");
        assert_eq!(of("voice.example.com/docs"), "https://voice.example.com");
        assert_eq!(of("http://127.0.0.1:3008/api/v1?x=1"), "http://127.0.0.1:3008");
        assert_eq!(of("https://example.com/trunkline/"), "https://example.com/trunkline");
        for wrong in ["ftp://example.com", "https://", "https://me:pw@example.com", "https://[::1"] {
            assert!(matches!(parse_url(wrong), Err(ClientError::Usage(_))), "{wrong}");
        }
    }
}
