//! Whose key goes where, and connections that are opened before they are needed.

use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Every provider at one address of this machine.
fn providers(base_url: &str) -> ProviderRegistry {
    let second = Duration::from_secs(1);
    let deadlines = Deadlines { connect: second, first_byte: second, between_bytes: second };
    let endpoint = |account: &ProviderAccount| ProviderAccess {
        account: *account,
        base_url: base_url.to_owned(),
        api_key: Some("ours".into()),
        api_version: String::new(),
        concurrency_max: 0,
        is_customer_server: false,
        blocked: None,
    };
    ProviderRegistry::new(ProviderSettings {
        timeouts: StageDeadlines { stt: deadlines, llm: deadlines, tts: deadlines, realtime: deadlines },
        endpoints: ProviderAccount::ALL.iter().map(endpoint).collect(),
        programs: LocalTtsPrograms { espeak: String::new(), flite: String::new() },
        speech: crate::LocalSpeechSettings::default(),
        guard: EgressGuard::unrestricted(),
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
    let endpoint = providers.endpoint(ProviderAccount::Openai, None);
    // Two models at one address and a second call: one knock.
    let both =
        [(endpoint.clone(), PipelineStage::Llm), (providers.endpoint(ProviderAccount::Groq, None), PipelineStage::Llm)];
    let mut knocks = providers.open_connections(&both);
    knocks.extend(providers.open_connections(&both));
    assert_eq!(knocks.len(), 1);
    let (mut stream, _) = listener.accept().await.unwrap();
    let (request, knocked) = tokio::join!(answer(&mut stream), knocks.remove(0));
    knocked.unwrap().unwrap();
    assert!(request.starts_with("HEAD / "));
    for _ in 0..20 {
        tokio::task::yield_now().await; // the client puts the connection back on its own task
    }
    let url = endpoint.url("/first").unwrap();
    let request = providers.http(PipelineStage::Llm).request(Method::GET, &endpoint, url).unwrap().send();
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
    let endpoint = providers.endpoint(ProviderAccount::Deepgram, None);
    for _ in 0..3 {
        providers.warm_up_websocket(&endpoint, PipelineStage::Stt);
    }
    let (stream, _) = listener.accept().await.unwrap();
    for _ in 0..20 {
        tokio::task::yield_now().await; // the connection is put aside on its own task
    }
    let (upgrade, deadlines) = (WebSocketRequest::for_endpoint(&endpoint, "/v1/listen", &[]), providers.timeouts.stt);
    let opening = providers.open(&endpoint, &upgrade, &deadlines);
    tokio::select! {
        (opened, accepted) = async { tokio::join!(opening, tokio_tungstenite::accept_async(stream)) } => {
            assert!(opened.is_ok() && accepted.is_ok());
        }
        _ = listener.accept() => panic!("a second connection was made"),
    }
    // One that was closed in the meantime is not used.
    providers.warm_up_websocket(&endpoint, PipelineStage::Stt);
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

fn own(account: ProviderAccount, base_url: Option<&str>, key: Option<&str>) -> OrganizationKey {
    OrganizationKey { account, base_url: base_url.map(str::to_owned), key: key.map(Secret::from) }
}

/// Key and address of an account.
fn asked(providers: &ProviderRegistry, account: ProviderAccount, base_url: Option<&str>) -> (Option<Secret>, String) {
    let endpoint = providers.endpoint(account, base_url);
    (endpoint.api_key, endpoint.base_url)
}

#[test]
fn our_keys_stay_at_our_addresses() {
    let ours = providers("https://api.example.com/v1");
    let key = |providers: &ProviderRegistry, account, base_url| asked(providers, account, base_url).0;
    assert_eq!(key(&ours, ProviderAccount::Openai, None), Some("ours".into()));
    for named in ["https://own.example.com/v1/", "https://api.example.com/v1", "https://api.example.com/v1/"] {
        assert_eq!(key(&ours, ProviderAccount::Openai, Some(named)), None, "{named}");
    }
    let theirs =
        ours.of_organization("o", OrganizationKeys::Known(vec![own(ProviderAccount::Openai, None, Some("theirs"))]));
    assert_eq!(key(&theirs, ProviderAccount::Openai, None), Some("theirs".into()));
    assert_eq!(key(&theirs, ProviderAccount::Groq, None), Some("ours".into()));
    assert_eq!(key(&theirs, ProviderAccount::Groq, Some("https://own.example.com")), None);
    assert_eq!(key(&ours, ProviderAccount::Openai, None), Some("ours".into()));
}

#[test]
fn an_organizations_key_goes_to_the_address_it_was_stored_for() {
    let ours = providers("https://api.example.com/v1");
    let stored = vec![
        own(ProviderAccount::Openai, None, Some("official")),
        own(ProviderAccount::Openai, Some("https://vllm.example.com/a"), Some("bound")),
    ];
    let theirs = ours.of_organization("o", OrganizationKeys::Known(stored));
    for (named, wanted) in [
        (None, Some("official")),
        (Some("https://api.example.com/v1/"), Some("official")),
        (Some("HTTPS://API.example.com:443/v1"), Some("official")),
        (Some("https://vllm.example.com/a"), Some("bound")),
        (Some("https://vllm.example.com/a/"), Some("bound")),
        (Some("https://vllm.example.com/b/../a"), Some("bound")),
        (Some("https://vllm.example.com"), None),
        (Some("https://vllm.example.com/b"), None),
        (Some("https://vllm.example.com/a/b"), None),
        (Some("https://vllm.example.com:8443/a"), None),
        (Some("http://vllm.example.com/a"), None),
        (Some("https://api.example.com.evil.example/v1"), None),
        (Some("https://api.example.com@evil.example/v1"), None),
        (Some("https://evil.example/v1"), None),
    ] {
        assert_eq!(asked(&theirs, ProviderAccount::Openai, named).0, wanted.map(Secret::from), "{named:?}");
        assert_eq!(asked(&theirs, ProviderAccount::Xai, named).0, named.is_none().then(|| "ours".into()), "{named:?}");
    }
}

#[test]
fn unreadable_key_is_not_replaced_by_the_servers() {
    let ours = providers("https://api.example.com/v1");
    let keys = vec![
        own(ProviderAccount::Openai, None, None),
        own(ProviderAccount::Groq, Some("https://own.example.com"), None),
    ];
    let theirs = ours.of_organization("o", OrganizationKeys::Known(keys));
    for (account, named) in [(ProviderAccount::Openai, None), (ProviderAccount::Groq, Some("https://own.example.com"))]
    {
        let endpoint = theirs.endpoint(account, named);
        assert_eq!((endpoint.api_key.as_ref(), endpoint.blocked), (None, Some(BlockReason::Key)));
        assert!(!endpoint.is_usable() && endpoint.key() == Err(ProviderError::KeyUnreadable));
        assert!(endpoint.url("/x").is_err());
    }
    assert!(theirs.has_own_key(ProviderAccount::Openai) && !theirs.has_own_key(ProviderAccount::Groq));
    assert_eq!(theirs.endpoint(ProviderAccount::Groq, None).api_key, Some("ours".into()));
    // Nothing is known: no key of the server's for anybody, and customers' own servers as before.
    let unknown = ours.of_organization("o", OrganizationKeys::Unknown);
    for account in ProviderAccount::ALL.iter().filter(|account| account.needs_key()) {
        assert_eq!(unknown.endpoint(*account, None).key(), Err(ProviderError::KeyUnreadable));
        assert!(unknown.endpoint(*account, Some("https://own.example.com")).is_usable());
    }
    assert!(unknown.endpoint(ProviderAccount::Local, None).is_usable());
}

#[test]
fn an_address_that_may_not_be_asked_gets_no_request_and_no_key() {
    let mut guarded = providers("https://api.example.com/v1");
    guarded.guard = EgressGuard::new(trunkline_egress::EgressReach::default(), &[], Default::default(), None);
    let bad = "https://127.0.0.1/admin#";
    let keys = vec![own(ProviderAccount::Openai, Some(&normalize_base_url(bad)), Some("bound"))];
    let theirs = guarded.of_organization("o", OrganizationKeys::Known(keys));
    for bad in [bad, "https://own.example.com/v1?x=", "https://own.example.com/#", "https://u:p@own.example.com/", "x"]
    {
        let endpoint = theirs.endpoint(ProviderAccount::Openai, Some(bad));
        assert!(matches!(endpoint.blocked, Some(BlockReason::Address(_))), "{bad}");
        assert_eq!(endpoint.api_key, None, "{bad}");
        assert!(!endpoint.is_usable() && matches!(endpoint.url("/x"), Err(ProviderError::AddressBlocked(_))), "{bad}");
        let url = url::Url::parse("https://public.example.com/").unwrap();
        assert!(theirs.http(PipelineStage::Llm).request(Method::POST, &endpoint, url).is_err(), "{bad}");
    }
}
