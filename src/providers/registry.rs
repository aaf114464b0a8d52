//! From a provider's name to its client, and what all clients share. The rows are in `domain/provider.rs`.

use super::chat::{self, TextModel};
use super::engine::Engine;
use super::gate::{GateState, Gates};
use super::listen::{self, Recogniser};
use super::net::{self, Http, Socket, Spares, Upgrade};
use super::quirks::Quirks;
use super::speech::{self, VoiceProvider};
use super::{
    Deadlines, Endpoint, Failure, anthropic, cartesia, deepgram, elevenlabs, groq, local, mistral, openai, xai,
};
use crate::domain::provider::{Account, LlmProvider, Stage, SttProvider, TtsProvider, provider_table};
use crate::egress::address_guard::refuse;
use std::sync::Arc;
use std::time::Instant;

macro_rules! clients {
    ($( $account:ident $field:ident $name:literal at $url:literal env $env:literal version $version:literal probe $probe:literal $auth:literal {
        $(stt $stt:ident $listen:path;)? $(llm $llm:ident $chat:path;)? $(tts $tts:ident $speak:path;)?
        $(engine $engine:ident $engine_name:literal $converse:path;)?
    } )*) => {
        pub fn recogniser(provider: SttProvider) -> &'static dyn Recogniser {
            match provider { $( $( SttProvider::$stt => &$listen, )? )* }
        }

        /// `None` for an engine.
        pub fn text_model(provider: LlmProvider) -> Option<&'static dyn TextModel> {
            match provider {
                $( $( LlmProvider::$llm => Some(&$chat), )? )*
                $( $( LlmProvider::$engine => None, )? )*
            }
        }

        /// `None` for a text model.
        pub fn engine(provider: LlmProvider) -> Option<&'static dyn Engine> {
            match provider {
                $( $( LlmProvider::$llm => None, )? )*
                $( $( LlmProvider::$engine => Some(&$converse), )? )*
            }
        }

        pub fn voices(provider: TtsProvider) -> &'static dyn VoiceProvider {
            match provider { $( $( TtsProvider::$tts => &$speak, )? )* }
        }
    };
}
provider_table!(clients);

/// Deadlines of each stage.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub stt: Deadlines,
    pub llm: Deadlines,
    pub tts: Deadlines,
    pub engine: Deadlines,
}

/// Programs of the local voices.
#[derive(Clone, Debug)]
pub struct Programs {
    pub espeak: String,
    pub flite: String,
}

/// Everything that is set for the process.
#[derive(Clone, Debug)]
pub struct Settings {
    pub timeouts: Timeouts,
    /// One for each account, in the order of [`Account::ALL`].
    pub endpoints: Vec<Endpoint>,
    pub programs: Programs,
    /// Customers' own servers may be on loopback and private addresses.
    pub allow_private: bool,
}

/// Everything a call needs to reach its providers. Clones share connections, gates and what was learnt.
#[derive(Clone, Debug)]
pub struct Providers {
    pub timeouts: Timeouts,
    /// One for each account, at its place: the settings are made from [`Account::ALL`].
    endpoints: Arc<Vec<Endpoint>>,
    programs: Arc<Programs>,
    /// Accounts whose key is the organization's own.
    own: Arc<Vec<Account>>,
    http_llm: Http,
    http_tts: Http,
    pub(super) gates: Gates,
    pub(super) quirks: Quirks,
    pub(super) spares: Spares,
    tenant: Arc<str>,
    allow_private: bool,
}

impl Providers {
    pub fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let Settings { timeouts, endpoints, programs, allow_private } = settings;
        Ok(Self {
            timeouts,
            endpoints: Arc::new(endpoints),
            programs: Arc::new(programs),
            own: Arc::default(),
            http_llm: Http::new(&timeouts.llm, allow_private)?,
            http_tts: Http::new(&timeouts.tts, allow_private)?,
            gates: Gates::default(),
            quirks: Quirks::default(),
            spares: Spares::default(),
            tenant: "".into(),
            allow_private,
        })
    }

    /// For an organization, with those keys it has of its own.
    #[must_use]
    pub fn of_organization(&self, tenant: &str, keys: Vec<(Account, String)>) -> Self {
        let mut own = Self { tenant: tenant.into(), ..self.clone() };
        if !keys.is_empty() {
            own.own = Arc::new(keys.iter().map(|(account, _)| *account).collect());
            let mut endpoints = Vec::clone(&self.endpoints);
            for (account, key) in keys {
                endpoints[account as usize].api_key = Some(key);
            }
            own.endpoints = Arc::new(endpoints);
        }
        own
    }

    /// Where an account is asked; at a customer's own server only with a key that is the customer's.
    pub fn endpoint(&self, account: Account, base_url: Option<&str>) -> Endpoint {
        let mut endpoint = self.endpoints[account as usize].clone();
        if let Some(base_url) = base_url {
            base_url.trim_end_matches('/').clone_into(&mut endpoint.base_url);
            endpoint.is_customers = true;
            endpoint.concurrency_max = 0;
            endpoint.api_key = endpoint.api_key.filter(|_| self.own.contains(&account));
        }
        endpoint
    }

    /// What the gate of an account and stage does at the moment, for this organization.
    pub fn gate_state(&self, account: Account, stage: Stage) -> Option<GateState> {
        self.gates.state(&self.tenant, &self.endpoint(account, None), stage, std::time::Instant::now())
    }

    pub fn has_own_key(&self, account: Account) -> bool {
        self.own.contains(&account)
    }

    pub fn http(&self, stage: Stage) -> &Http {
        if stage == Stage::Llm { &self.http_llm } else { &self.http_tts }
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Why a customer's own server may not be asked, if it may not.
    pub fn refuses(&self, base_url: &str) -> Option<&'static str> {
        match url::Url::parse(base_url) {
            Ok(url) => refuse(&url, self.allow_private),
            Err(_) => Some("is not a URL"),
        }
    }

    /// A provider has said nothing for so long that another one was asked.
    pub fn note_slow(&self, endpoint: &Endpoint, stage: Stage) {
        self.gates.failed(&self.tenant, endpoint, stage, Instant::now(), &Failure::Deadline("first word"));
    }

    pub(super) fn tenant(&self) -> &Arc<str> {
        &self.tenant
    }

    pub(super) async fn open(
        &self, endpoint: &Endpoint, upgrade: &Upgrade, deadlines: &Deadlines,
    ) -> Result<Socket, Failure> {
        net::open(&self.spares, endpoint, upgrade, deadlines, self.allow_private).await
    }

    /// Sees to it that a connection to each of these is ready when it is needed. The first is in use; those
    /// after it stand by.
    pub fn keep_spares<'a>(&self, endpoints: impl Iterator<Item = &'a Endpoint>, stage: Stage) {
        endpoints.skip(1).for_each(|endpoint| self.stand_by(endpoint, stage));
    }

    /// Sees to it that a connection is ready when it is needed.
    pub fn stand_by(&self, endpoint: &Endpoint, stage: Stage) {
        let deadlines = match stage {
            Stage::Stt => &self.timeouts.stt,
            Stage::Tts => &self.timeouts.tts,
            Stage::Llm | Stage::Engine => &self.timeouts.engine,
        };
        self.spares.prepare(endpoint, deadlines);
    }

    /// Opens the HTTP connections that a call will need while its phone rings: name, TCP and TLS are done
    /// when the first word is asked for. The answer does not matter.
    pub fn open_connections(&self, endpoints: &[(Endpoint, Stage)]) -> Vec<tokio::task::JoinHandle<()>> {
        let cold = endpoints
            .iter()
            .filter(|(endpoint, stage)| endpoint.is_usable() && self.http(*stage).is_cold(endpoint, Instant::now()));
        cold.map(|(endpoint, stage)| {
            let deadlines = if *stage == Stage::Llm { self.timeouts.llm } else { self.timeouts.tts };
            let knock = self.http(*stage).of(endpoint).head(&endpoint.base_url).timeout(deadlines.connect);
            tokio::spawn(async move {
                if let Err(error) = knock.send().await {
                    tracing::debug!(why = %super::unreachable(&error), "connection not opened ahead");
                }
            })
        })
        .collect()
    }

    pub fn chat_candidate(
        &self, provider: LlmProvider, model: &str, temperature: Option<f64>, base_url: Option<&str>,
    ) -> Option<chat::Candidate> {
        Some(chat::Candidate {
            model: text_model(provider)?,
            endpoint: self.endpoint(provider.account(), base_url),
            name: format!("{}/{model}", provider.name()),
            id: model.to_owned(),
            temperature,
        })
    }

    pub fn stt_candidate(
        &self, provider: SttProvider, base_url: Option<&str>, setup: listen::Setup,
    ) -> listen::Candidate {
        listen::Candidate {
            recogniser: recogniser(provider),
            endpoint: self.endpoint(provider.account(), base_url),
            name: format!("{}/{}", provider.name(), setup.model),
            setup,
        }
    }

    pub fn voice(
        &self, config: &crate::domain::speech::TtsConfig, settings: &crate::domain::speech::VoiceSettings,
    ) -> Box<dyn speech::Voice> {
        let endpoint = self.endpoint(config.provider.account(), config.base_url.as_deref());
        let (config, settings) = (config.clone(), settings.clone());
        voices(config.provider).open(speech::Setup { providers: self.clone(), endpoint, config, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// Every provider at one address of this machine.
    fn providers(base_url: &str) -> Providers {
        let second = Duration::from_secs(1);
        let deadlines = Deadlines { connect: second, first_byte: second, between_bytes: second };
        let endpoint = |account: &Account| Endpoint {
            account: *account,
            base_url: base_url.to_owned(),
            api_key: Some("ours".to_owned()),
            api_version: String::new(),
            concurrency_max: 0,
            is_customers: false,
        };
        Providers::new(Settings {
            timeouts: Timeouts { stt: deadlines, llm: deadlines, tts: deadlines, engine: deadlines },
            endpoints: Account::ALL.iter().map(endpoint).collect(),
            programs: Programs { espeak: String::new(), flite: String::new() },
            allow_private: true,
        })
        .unwrap()
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut request = vec![0; 4_096];
        let len = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..len]).into_owned()
    }

    #[tokio::test]
    async fn a_connection_opened_ahead_carries_the_first_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let providers = providers(&base_url);
        let endpoint = providers.endpoint(Account::Openai, None);
        // Two models at one address and a second call: one knock.
        let both = [(endpoint.clone(), Stage::Llm), (providers.endpoint(Account::Groq, None), Stage::Llm)];
        let mut knocks = providers.open_connections(&both);
        knocks.extend(providers.open_connections(&both));
        assert_eq!(knocks.len(), 1);
        let (mut stream, _) = listener.accept().await.unwrap();
        let (request, knocked) = tokio::join!(answer(&mut stream), knocks.remove(0));
        knocked.unwrap();
        assert!(request.starts_with("HEAD / "));
        for _ in 0..20 {
            tokio::task::yield_now().await; // the client puts the connection back on its own task
        }
        let request = providers.http(Stage::Llm).of(&endpoint).get(format!("{base_url}/first")).send();
        tokio::select! {
            (response, request) = async { tokio::join!(request, answer(&mut stream)) } => {
                assert_eq!(response.unwrap().status(), 404);
                assert!(request.starts_with("GET /first "));
            }
            _ = listener.accept() => panic!("a second connection was made"),
        }
    }

    #[tokio::test]
    async fn a_socket_opens_on_the_connection_that_stands_by() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let providers = providers(&format!("http://{}", listener.local_addr().unwrap()));
        let endpoint = providers.endpoint(Account::Deepgram, None);
        for _ in 0..3 {
            providers.stand_by(&endpoint, Stage::Stt);
        }
        let (stream, _) = listener.accept().await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await; // the connection is put aside on its own task
        }
        let (upgrade, deadlines) = (Upgrade::at(&endpoint, "/v1/listen", &[]), providers.timeouts.stt);
        let opening = providers.open(&endpoint, &upgrade, &deadlines);
        tokio::select! {
            (opened, accepted) = async { tokio::join!(opening, tokio_tungstenite::accept_async(stream)) } => {
                assert!(opened.is_ok() && accepted.is_ok());
            }
            _ = listener.accept() => panic!("a second connection was made"),
        }
        // One that was closed in the meantime is not used.
        providers.stand_by(&endpoint, Stage::Stt);
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
        let opening = providers.open(&endpoint, &upgrade, &deadlines);
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_async(stream).await
        };
        let (opened, accepted) = tokio::join!(opening, serving);
        assert!(opened.is_ok() && accepted.is_ok());
    }

    #[test]
    fn our_keys_stay_at_our_addresses() {
        let ours = providers("https://api.example.com");
        assert_eq!(ours.endpoint(Account::Openai, None).api_key.as_deref(), Some("ours"));
        assert_eq!(ours.endpoint(Account::Openai, Some("https://own.example.com/v1/")).api_key, None);
        let theirs = ours.of_organization("o", vec![(Account::Openai, "theirs".to_owned())]);
        let own = theirs.endpoint(Account::Openai, Some("https://own.example.com/v1/"));
        assert_eq!((own.api_key.as_deref(), own.base_url.as_str()), (Some("theirs"), "https://own.example.com/v1"));
        assert_eq!(theirs.endpoint(Account::Groq, Some("https://own.example.com")).api_key, None);
        assert_eq!(ours.endpoint(Account::Openai, None).api_key.as_deref(), Some("ours"));
    }
}
