//! Who may read the metrics.

use crate::support::Server;
use trunkline::config::Config;

const TOKEN: &str = "a-token-for-prometheus";

async fn metrics(at: std::net::SocketAddr, headers: &[(&str, &str)]) -> u16 {
    let mut request = reqwest::Client::new().get(format!("http://{at}/metrics"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(status == 200, kind.starts_with("text/plain"), "{status} {kind}");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_for_this_machine_and_for_no_proxy_on_it() {
    let server = Server::start().await;
    let at = server.app.api_addr;
    assert_eq!(metrics(at, &[]).await, 200);
    assert_eq!(metrics(at, &[("host", "localhost:3008")]).await, 200);
    for header in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", ""),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("via", "1.1 proxy"),
        ("host", "voice.example.com"),
        ("host", "127.0.0.1.example.com:3008"),
    ] {
        assert_eq!(metrics(at, &[header]).await, 401, "{header:?}");
        let key = format!("Bearer {}", server.key);
        assert_eq!(metrics(at, &[header, ("authorization", &key)]).await, 401, "a tenant's key is no token");
        assert_eq!(metrics(at, &[header, ("authorization", "Bearer ")]).await, 401);
    }
    let behind = |change: fn(&mut Config)| Server::start_with(change);
    for server in [
        behind(|config| config.api.behind_proxy = true).await,
        behind(|config| config.api.connections.trusted_proxies = vec!["127.0.0.0/8".into()]).await,
    ] {
        assert_eq!(metrics(server.app.api_addr, &[]).await, 401, "this machine's proxy speaks for everybody");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_a_token_or_a_listener_of_their_own() {
    let server = Server::start_with(|config| {
        config.metrics.token = TOKEN.into();
        config.api.public_rate_limit_per_minute = 20;
    })
    .await;
    let (at, token) = (server.app.api_addr, format!("Bearer {TOKEN}"));
    assert_eq!(metrics(at, &[("authorization", &token), ("x-forwarded-for", "192.0.2.1")]).await, 200);
    assert_eq!(metrics(at, &[]).await, 401, "who sets one wants it asked for");
    for wrong in ["Bearer a-token-for-prometheu", "Bearer a-token-for-prometheus1", "Basic YTpi", TOKEN] {
        assert_eq!(metrics(at, &[("authorization", wrong)]).await, 401);
    }
    let mut last = 0;
    for n in 0..30 {
        last = metrics(at, &[("authorization", &format!("Bearer guess {n}"))]).await;
    }
    assert_eq!(last, 429);
    assert_eq!(metrics(at, &[("authorization", &token)]).await, 200, "guesses do not stop clients that know the token");

    let server = Server::start_with(|config| config.metrics.listen = Some("127.0.0.1:0".parse().unwrap())).await;
    let own = server.app.metrics_addr.unwrap();
    assert_eq!(metrics(own, &[("x-forwarded-for", "192.0.2.1")]).await, 200);
    assert_eq!(metrics(server.app.api_addr, &[]).await, 401);
    for path in ["/", "/health", "/v1/agents", "/api/v1/auth/login"] {
        assert_eq!(server.http.get(format!("http://{own}{path}")).send().await.unwrap().status(), 404, "{path}");
    }

    let both = |config: &mut Config| {
        config.metrics.token = TOKEN.into();
        config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
    };
    let server = Server::start_with(both).await;
    let own = server.app.metrics_addr.unwrap();
    assert_eq!((metrics(own, &[]).await, metrics(own, &[("authorization", &token)]).await), (401, 200));
    assert_eq!(metrics(server.app.api_addr, &[("authorization", &token)]).await, 200);
}
