//! File and environment. `TRUNKLINE_SIP__LISTEN=…` sets `sip.listen`: two underscores for each dot.

use super::check;
use super::error::ConfigError;
use super::providers::{ProviderConfig, ProvidersConfig};
use super::settings::Config;
use crate::domain::provider::ProviderAccount;
use crate::domain::secret::Secret;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use toml::{Table, Value};

const PREFIX: &str = "TRUNKLINE_";

/// Reads the file (a missing one counts as empty unless `required`) and the environment. All faults are
/// returned together.
pub fn load(
    file: Option<&Path>, required: bool, environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Vec<ConfigError>> {
    let mut faults = Vec::new();
    let mut table = match file {
        Some(path) => read(path, required, &mut faults),
        None => Table::new(),
    };
    let (mut vendor, mut texts) = (Table::new(), HashMap::new());
    for (name, value) in environment {
        if let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains("__")) {
            let path = path.to_lowercase();
            set(&mut table, &path, typed(&value));
            texts.insert(path.replace("__", "."), value);
        } else if let Some(account) = ProviderAccount::ALL.iter().find(|account| account.environment() == name)
            && !value.trim().is_empty()
        {
            // Container engines set what nobody has set to the empty text.
            vendor.insert(account.name().to_owned(), Value::String(value));
        }
    }
    let mut config = parse(table, &texts, &mut faults);
    let defaults = ProvidersConfig::default();
    for account in ProviderAccount::ALL {
        let provider = config.providers.account_mut(*account);
        let from_vendor = vendor.get(account.name()).and_then(Value::as_str);
        finish_provider(account.name(), provider, defaults.account(*account), from_vendor, &mut faults);
    }
    check::check(&config, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

fn read(path: &Path, required: bool, faults: &mut Vec<ConfigError>) -> Table {
    let fault = |message: String| ConfigError { path: path.display().to_string(), message };
    match std::fs::read_to_string(path) {
        Ok(text) => text.parse::<Table>().unwrap_or_else(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(String::new(), |before| format!("line {}: ", before.matches('\n').count() + 1));
            faults.push(fault(format!("{line}{}", error.message())));
            Table::new()
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Table::new(),
        Err(error) => {
            faults.push(fault(error.to_string()));
            Table::new()
        }
    }
}

/// Numbers and booleans in the environment are text; they are taken for what they look like.
fn typed(text: &str) -> Value {
    text.parse::<i64>()
        .map(Value::Integer)
        .or_else(|_| text.parse::<bool>().map(Value::Boolean))
        .unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn set(table: &mut Table, path: &str, value: Value) {
    let mut parts = path.split("__").peekable();
    let mut here = table;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            here.insert(part.to_owned(), value);
            return;
        }
        let next = here.entry(part).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = next else { return };
        here = next;
    }
}

/// Parses section by section, so that a fault in one does not hide those of the others. `texts` are the values of the
/// environment by their path: what looks like a number may be a password, and is then read as it was written.
fn parse(table: Table, texts: &HashMap<String, String>, faults: &mut Vec<ConfigError>) -> Config {
    let mut good = Table::new();
    for (section, value) in table {
        let mut alone = Table::new();
        alone.insert(section.clone(), value);
        let mut as_written = HashSet::new();
        let parsed = loop {
            let parsed: Result<Config, _> = serde_path_to_error::deserialize(Value::Table(alone.clone()));
            let path = parsed.as_ref().err().map(|error| error.path().to_string());
            match path.and_then(|path| texts.get_key_value(&path)) {
                Some((path, text)) if as_written.insert(path) => {
                    set(&mut alone, &path.replace('.', "__"), Value::String(text.clone()));
                }
                _ => break parsed,
            }
        };
        match parsed {
            Ok(_) => good.extend(alone),
            Err(error) => {
                let path = error.path().to_string();
                let path = if path == "." { section } else { path };
                faults.push(ConfigError { path, message: error.inner().to_string().trim().replace('\n', " ") });
            }
        }
    }
    Value::Table(good).try_into().unwrap_or_default()
}

fn finish_provider(
    name: &str, provider: &mut ProviderConfig, default: &ProviderConfig, from_vendor: Option<&str>,
    faults: &mut Vec<ConfigError>,
) {
    // A section that sets only the key keeps the vendor's address.
    for (own, default) in [
        (&mut provider.base_url, &default.base_url),
        (&mut provider.api_version, &default.api_version),
        (&mut provider.program, &default.program),
        (&mut provider.flite_program, &default.flite_program),
        (&mut provider.models_folder, &default.models_folder),
    ] {
        if own.is_empty() {
            own.clone_from(default);
        }
    }
    provider.base_url = provider.base_url.trim_end_matches('/').to_owned();
    if let Some(file) = &provider.api_key_file {
        match std::fs::read_to_string(file) {
            Ok(key) => provider.api_key = Some(key.trim().into()),
            Err(error) => {
                let path = format!("providers.{name}.api_key_file");
                faults.push(ConfigError { path, message: format!("{file}: {error}") });
            }
        }
    }
    if provider.api_key.is_none() {
        provider.api_key = from_vendor.map(Secret::from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_environment(pairs: &[(&str, &str)]) -> Result<Config, Vec<ConfigError>> {
        load(None, false, pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn defaults_and_the_repository_file_agree() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        let from_file = load(Some(&file), true, std::iter::empty()).unwrap();
        let defaults = load(None, false, std::iter::empty()).unwrap();
        assert_eq!(format!("{from_file:?}"), format!("{defaults:?}"));
        // Debug output does not show these.
        let secrets = |config: &Config| {
            let Config { database, api, secrets, metrics, .. } = config.clone();
            [database.url, api.token_secret, secrets.master_key, metrics.token]
        };
        assert_eq!(secrets(&from_file), secrets(&defaults));
    }

    /// The settings of the package and the image: valid, and nothing of them depends on the current folder.
    #[test]
    fn the_installed_file_names_folders_from_the_root() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("debian/config.toml");
        let config = load(Some(&file), true, std::iter::empty()).unwrap();
        assert_eq!(config.database.url.expose(), "sqlite:///var/lib/trunkline/trunkline.db");
        let local = &config.providers.local;
        for folder in [&config.recordings.folder, &local.models_folder, &local.phrases_folder] {
            assert!(folder.starts_with("/var/lib/trunkline/"), "{folder}");
        }
        let defaults = Config::default();
        assert_eq!(defaults.sections_changed(&config), ["database", "recordings", "providers"]);
    }

    #[test]
    fn the_environment_overrides() {
        let config = from_environment(&[
            ("TRUNKLINE_SIP__LISTEN", "127.0.0.1:5070"),
            ("TRUNKLINE_PROVIDERS__OPENAI__BASE_URL", "http://127.0.0.1:9/v1/"),
            ("TRUNKLINE_MEDIA__WORKERS", "3"),
            ("DEEPGRAM_API_KEY", "hidden-key"),
            ("TRUNKLINE_SECRETS__MASTER_KEY", "hidden-master-key"),
            ("TRUNKLINE_SMTP__PASSWORD", "hidden-password"),
            ("TRUNKLINE_SMTP__USERNAME", "us"),
            ("TRUNKLINE_METRICS__TOKEN", "hidden-metrics-token"),
            ("TRUNKLINE_METRICS__LISTEN", "127.0.0.1:9464"),
        ])
        .unwrap();
        assert_eq!(config.sip.listen.port(), 5_070);
        assert_eq!(config.providers.openai.base_url, "http://127.0.0.1:9/v1");
        assert_eq!(config.media.workers, 3);
        assert_eq!(config.providers.deepgram.api_key, Some("hidden-key".into()));
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn an_empty_variable_is_no_key() {
        let config = from_environment(&[("DEEPGRAM_API_KEY", ""), ("OPENAI_API_KEY", " ")]).unwrap();
        assert!(config.providers.deepgram.api_key.is_none() && config.providers.openai.api_key.is_none());
    }

    #[test]
    fn a_password_that_looks_like_a_number_is_read_as_it_was_written() {
        let config = from_environment(&[
            ("TRUNKLINE_SMTP__PASSWORD", "0012"),
            ("TRUNKLINE_SMTP__USERNAME", "true"),
            ("TRUNKLINE_SMTP__PORT", "2525"),
            ("TRUNKLINE_SECRETS__MASTER_KEY", "12345678901234567890"),
        ])
        .unwrap();
        assert_eq!(config.smtp.password.as_ref().map(Secret::expose), Some("0012"));
        assert_eq!((config.smtp.username.as_deref(), config.smtp.port), (Some("true"), 2_525));
        assert_eq!(config.secrets.master_key.expose(), "12345678901234567890");
        let faults = from_environment(&[("TRUNKLINE_SMTP__PORT", "some")]).unwrap_err();
        assert_eq!(faults[0].path, "smtp.port");
    }

    fn from_file(text: &str) -> Vec<ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(Some(file.path()), true, std::iter::empty()).unwrap_err()
    }

    /// A file of another version: everything it has too much is named, section by section.
    #[test]
    fn keys_that_no_longer_exist_are_named() {
        let faults = from_file("[api]\nlisten_on = \"127.0.0.1:1\"\n[sip.tls]\ncert = \"x\"\n[telephony]\nport = 1\n");
        let named: Vec<(&str, bool)> =
            faults.iter().map(|fault| (fault.path.as_str(), fault.message.contains("unknown field"))).collect();
        assert_eq!(named, [("api.listen_on", true), ("sip.tls.cert", true), ("telephony", true)], "{faults:?}");
        assert!(faults.iter().all(|fault| fault.message.contains("expected")), "{faults:?}");
    }

    #[test]
    fn a_file_that_is_no_toml_says_which_line() {
        let faults = from_file("[api]\nlisten = \"127.0.0.1:1\"\nbroken = = 1\n");
        assert!(faults.len() == 1 && faults[0].message.starts_with("line 3: "), "{faults:?}");
    }

    #[test]
    fn every_fault_is_reported_with_its_path() {
        let faults = from_environment(&[
            ("TRUNKLINE_SIP__LISTEN", "nowhere"),
            ("TRUNKLINE_API__LISTENN", "x"),
            ("TRUNKLINE_MEDIA__PORT_FIRST", "50000"),
            ("TRUNKLINE_METRICS__TOKEN", "too short"),
            ("TRUNKLINE_PROVIDERS__DEEPGRAM__BASE_URL", "http://example.com"),
        ])
        .unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(
            paths,
            ["api.listenn", "sip.listen", "media.port_last", "metrics.token", "providers.deepgram.base_url"],
            "{faults:?}"
        );
    }

    /// A section with one field of its own keeps the defaults of the others; what is set to nothing is nothing.
    #[test]
    fn a_section_of_the_local_voices_keeps_what_it_does_not_set() {
        let local =
            from_environment(&[("TRUNKLINE_PROVIDERS__LOCAL__MODELS_FOLDER", "/srv/models")]).unwrap().providers.local;
        assert_eq!((local.models_folder.as_str(), local.program.as_str()), ("/srv/models", "espeak-ng"));
        assert_eq!((local.phrases_folder.as_str(), local.phrases_max_mb), ("data/phrases", 256));
        let none = from_environment(&[
            ("TRUNKLINE_PROVIDERS__LOCAL__PHRASES_FOLDER", ""),
            ("TRUNKLINE_PROVIDERS__LOCAL__MODELS_FOLDER", ""),
        ]);
        let local = none.unwrap().providers.local;
        assert_eq!((local.phrases_folder.as_str(), local.models_folder.as_str()), ("", "data/models"));
    }
}
