//! HTTP clients that go where the guard lets them. A URL that spells out an address is judged before the request and at
//! each redirect; a name is judged at each resolution, and the addresses that pass are the ones connected to.

use super::{EgressError, EgressGuard};
use crate::tls::with_shared_tls;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{ClientBuilder, Method, RequestBuilder};
use std::net::SocketAddr;
use std::sync::Arc;
use url::{Host, Url};

/// Redirects that are followed: those that keep method and body (307, 308).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectPolicy {
    /// None: a 3xx is returned as the answer.
    None,
    /// So many, to wherever the guard lets them; credentials of the request stay behind when the origin changes.
    AnyOrigin(usize),
    /// So many, to the same scheme, host and port.
    SameOrigin(usize),
}

/// Which resolved addresses a client connects to. A resolver does not get the port or the scheme of its URL, so each
/// combination has a separate client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AddressLimits {
    /// Only networks of the operator's list: the URL is in the clear.
    listed_only: bool,
    /// Not this machine: the URL names a port that we listen on.
    not_own: bool,
}

/// Clients for requests to URLs that others name.
#[derive(Clone, Debug)]
pub struct GuardedHttp {
    guard: EgressGuard,
    clients: Arc<[(AddressLimits, reqwest::Client)]>,
}

struct GuardedDns {
    guard: EgressGuard,
    limits: AddressLimits,
}

impl GuardedDns {
    fn permits(guard: &EgressGuard, limits: AddressLimits, addr: std::net::IpAddr) -> bool {
        guard.permits_address(addr)
            && (!limits.listed_only || guard.is_listed(addr))
            && !(limits.not_own && guard.own().has_address(addr))
    }
}

impl Resolve for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, limits) = (self.guard.clone(), self.limits);
        Box::pin(async move {
            let found = guard.resolver().lookup(name.as_str()).await?;
            let permitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|addr| Self::permits(&guard, limits, *addr))
                .map(|addr| SocketAddr::new(addr, 0))
                .collect();
            if permitted.is_empty() {
                return Err(EgressError::NoPublicAddress.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

impl GuardedHttp {
    /// `build` makes a client with the timeouts and pools wanted; proxies, names and redirects are set here.
    pub fn new(
        guard: &EgressGuard, redirects: RedirectPolicy, build: impl Fn() -> ClientBuilder,
    ) -> Result<Self, reqwest::Error> {
        let mut all = vec![AddressLimits { listed_only: false, not_own: false }];
        if !guard.is_open() {
            all.push(AddressLimits { listed_only: false, not_own: true });
            if guard.has_networks() {
                all.extend([false, true].map(|not_own| AddressLimits { listed_only: true, not_own }));
            }
        }
        let client = |limits: AddressLimits| {
            let policy = match redirects {
                RedirectPolicy::None => Policy::none(),
                _ => {
                    let guard = guard.clone();
                    Policy::custom(move |attempt| redirect(&guard, redirects, limits, attempt))
                }
            };
            // A proxy of the environment would resolve and connect in our place.
            let mut builder = with_shared_tls(build()).no_proxy().redirect(policy);
            if !guard.is_open() {
                builder = builder.dns_resolver(Arc::new(GuardedDns { guard: guard.clone(), limits }));
            }
            Ok((limits, builder.build()?))
        };
        let clients = all.into_iter().map(client).collect::<Result<_, reqwest::Error>>()?;
        Ok(Self { guard: guard.clone(), clients })
    }

    /// Returns the guard that judges the URLs of these clients.
    pub fn guard(&self) -> &EgressGuard {
        &self.guard
    }

    /// A request to a URL, if it may be made.
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, EgressError> {
        Ok(self.client(&url)?.request(method, url))
    }

    /// The client for one URL, if it may be requested. It must not be used for another one.
    pub fn client(&self, url: &Url) -> Result<&reqwest::Client, EgressError> {
        self.guard.check_url(url)?;
        let limits = limits_for(&self.guard, url);
        let found = self.clients.iter().find(|(of, _)| *of == limits);
        found.map(|(_, client)| client).ok_or(EgressError::NotPublic)
    }
}

fn limits_for(guard: &EgressGuard, url: &Url) -> AddressLimits {
    if guard.is_open() {
        return AddressLimits { listed_only: false, not_own: false };
    }
    let is_name = matches!(url.host(), Some(Host::Domain(_)));
    let listed_only = is_name && url.scheme() != "https";
    let not_own = is_name && url.port_or_known_default().is_none_or(|port| guard.own().has_port(port));
    AddressLimits { listed_only, not_own }
}

fn redirect(guard: &EgressGuard, redirects: RedirectPolicy, limits: AddressLimits, attempt: Attempt<'_>) -> Action {
    if !matches!(attempt.status().as_u16(), 307 | 308) {
        return attempt.stop();
    }
    let from = attempt.previous().last();
    let (most, same_origin) = match redirects {
        RedirectPolicy::None => return attempt.stop(),
        RedirectPolicy::AnyOrigin(most) => (most, false),
        RedirectPolicy::SameOrigin(most) => (most, true),
    };
    if attempt.previous().len() > most {
        return attempt.error("too many redirects");
    }
    if same_origin && from.is_none_or(|from| from.origin() != attempt.url().origin()) {
        return attempt.error("the redirect leads to another server");
    }
    if let Err(why) = guard.check_url(attempt.url()) {
        return attempt.error(why);
    }
    // The client goes on with the resolver it has: it must be at least as strict as the new URL needs.
    let needed = limits_for(guard, attempt.url());
    if needed.listed_only && !limits.listed_only {
        return attempt.error(EgressError::NotHttps);
    }
    if needed.not_own && !limits.not_own {
        return attempt.error(EgressError::OwnListener);
    }
    attempt.follow()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EgressReach, IpNet, OwnListeners};
    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::{RData, Record, RecordType};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, UdpSocket};

    /// Answers each query for an address with the next of a list, the last one for ever; nothing is to be kept.
    async fn name_server(answers: Vec<Ipv4Addr>) -> (SocketAddr, Arc<Mutex<usize>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (addr, asked) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(0)));
        let count = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            loop {
                let Ok((len, peer)) = socket.recv_from(&mut buffer).await else { return };
                let Ok(query) = Message::from_vec(&buffer[..len]) else { continue };
                let question = query.queries[0].clone();
                let mut message = Message::response(query.metadata.id, query.metadata.op_code);
                message.add_query(question.clone());
                if question.query_type() == RecordType::A {
                    let at = {
                        let mut count = count.lock().unwrap();
                        *count += 1;
                        *count
                    };
                    let answer = answers[(at - 1).min(answers.len() - 1)];
                    message.add_answer(Record::from_rdata(question.name().clone(), 0, RData::A(answer.into())));
                }
                let _ = socket.send_to(&message.to_vec().unwrap(), peer).await;
            }
        });
        (addr, asked)
    }

    /// The first address is within reach by the operator's list; 127.0.0.1 is not.
    const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    const INSIDE: Ipv4Addr = Ipv4Addr::LOCALHOST;

    fn guard(dns: Option<SocketAddr>, own: OwnListeners) -> EgressGuard {
        let networks: [IpNet; 2] = ["127.0.0.2/32".parse().unwrap(), "127.0.0.3/32".parse().unwrap()];
        EgressGuard::new(EgressReach::default(), &networks, own, dns)
    }

    fn http(guard: &EgressGuard, redirects: RedirectPolicy) -> GuardedHttp {
        GuardedHttp::new(guard, redirects, reqwest::Client::builder).unwrap()
    }

    /// Answers every request with the same text and keeps what it was sent.
    async fn server(at: Ipv4Addr, port: u16, answer: String) -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind((at, port)).await.unwrap();
        let (port, got) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(vec![])));
        let kept = got.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4_096];
                let len = stream.read(&mut request).await.unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&request[..len]).into_owned());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, got)
    }

    fn ok() -> String {
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi".to_owned()
    }

    fn moved(status: u16, to: &str) -> String {
        format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }

    /// Every request opens a new connection: no connection that the guard allowed earlier stays open.
    async fn post(http: &GuardedHttp, url: &str) -> Result<u16, String> {
        let url = http.guard().check(url).map_err(|error| error.to_string())?;
        let request = http.request(Method::POST, url).map_err(|error| error.to_string())?;
        let sent = request.header("authorization", "Bearer token").body("{}").send().await;
        sent.map(|response| response.status().as_u16()).map_err(|error| format!("{error:?}"))
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_the_second_time_is_not_followed_there() {
        // The same port on both: a rebinding attack changes nothing but the address.
        let (dns, asked) = name_server(vec![LISTED, INSIDE, LISTED, INSIDE]).await;
        let guard = guard(Some(dns), OwnListeners::default());
        let (port, outside) = server(LISTED, 0, ok()).await;
        let (_, inside) = server(INSIDE, port, ok()).await;
        let http = http(&guard, RedirectPolicy::None);
        let url = format!("http://rebind.example:{port}/");
        for turn in 0..2 {
            assert_eq!(post(&http, &url).await, Ok(200));
            let refused = post(&http, &url).await.unwrap_err();
            assert!(refused.contains("NoPublicAddress"), "{refused}");
            assert_eq!((outside.lock().unwrap().len(), inside.lock().unwrap().len()), (turn + 1, 0));
        }
        assert_eq!(*asked.lock().unwrap(), 4, "it is resolved for each connection");
    }

    #[tokio::test]
    async fn sockets_of_our_own_making_are_judged_by_resolution_too() {
        let (dns, _) = name_server(vec![LISTED, INSIDE]).await;
        let guard = guard(Some(dns), OwnListeners { addresses: vec![IpAddr::V4(LISTED)], ports: vec![1] });
        let listener = TcpListener::bind((LISTED, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _inside = TcpListener::bind((INSIDE, port)).await.unwrap();
        assert!(guard.connect("rebind.example", port).await.is_ok());
        assert!(guard.connect("rebind.example", port).await.is_err());
        for (host, port) in
            [("127.0.0.1", port), ("[::1]", port), ("[::ffff:127.0.0.1]", port), ("127.0.0.2", 1), ("localhost", port)]
        {
            assert!(guard.connect(host, port).await.is_err(), "{host}");
        }
        assert!(guard.connect("127.0.0.2", port).await.is_ok());
    }

    #[tokio::test]
    async fn every_redirect_is_judged_and_takes_no_credentials_along() {
        let (port, inside) = server(INSIDE, 0, ok()).await;
        let (last, got) = server(LISTED, 0, ok()).await;
        let dns = name_server(vec![INSIDE]).await.0;
        let guard = guard(Some(dns), OwnListeners { addresses: vec![IpAddr::V4(LISTED)], ports: vec![last] });
        let any = http(&guard, RedirectPolicy::AnyOrigin(3));
        for status in [307, 308] {
            for to in [
                format!("http://127.0.0.1:{port}/"),
                format!("//127.0.0.1:{port}/"),
                format!("http://[::ffff:127.0.0.1]:{port}/"),
                format!("http://2130706433:{port}/"),
                format!("http://0x7f.1:{port}/"),
                format!("http://x@127.1:{port}/#"),
                format!("https://127.0.0.1:{port}/"),
                format!("http://rebind.example:{port}/"),
                "http://169.254.169.254/latest/meta-data/".to_owned(),
                "file:///etc/passwd".to_owned(),
                "gopher://127.0.0.1:6379/".to_owned(),
            ] {
                // At the first hop and at the second.
                let (first, _) = server(LISTED, 0, moved(status, &to)).await;
                let (before, _) = server(LISTED, 0, moved(308, &format!("http://127.0.0.2:{first}/"))).await;
                for hop in [first, before] {
                    let answer = post(&any, &format!("http://127.0.0.2:{hop}/")).await;
                    // Other schemes are not followed at all: then the redirect is the answer.
                    let is_http = to.starts_with("http") || to.starts_with("//");
                    assert!(answer.is_err() || !is_http && answer == Ok(status), "{to}: {answer:?}");
                }
            }
        }
        assert!(inside.lock().unwrap().is_empty());
        // A redirect that turns a POST into a GET is returned as the answer.
        for status in [301, 302, 303] {
            let (first, _) = server(LISTED, 0, moved(status, &format!("http://127.0.0.3:{port}/"))).await;
            assert_eq!(post(&any, &format!("http://127.0.0.2:{first}/")).await, Ok(status));
        }
        // Where it may go it goes, without the token; not to our own listener.
        let (other, other_got) = server(Ipv4Addr::new(127, 0, 0, 3), 0, ok()).await;
        let (first, first_got) = server(LISTED, 0, moved(307, &format!("http://127.0.0.3:{other}/"))).await;
        assert_eq!(post(&any, &format!("http://127.0.0.2:{first}/")).await, Ok(200));
        assert!(first_got.lock().unwrap()[0].contains("authorization: Bearer token"));
        let arrived = other_got.lock().unwrap()[0].clone();
        assert!(arrived.starts_with("POST / ") && !arrived.contains("authorization"), "{arrived}");
        let (first, _) = server(LISTED, 0, moved(307, &format!("http://127.0.0.2:{last}/"))).await;
        assert!(post(&any, &format!("http://127.0.0.2:{first}/")).await.is_err());
        assert!(got.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_session_stays_with_its_server() {
        let guard = guard(None, OwnListeners::default());
        let (other, got) = server(Ipv4Addr::new(127, 0, 0, 3), 0, ok()).await;
        let same = http(&guard, RedirectPolicy::SameOrigin(3));
        let none = http(&guard, RedirectPolicy::None);
        let (first, _) = server(LISTED, 0, moved(307, &format!("http://127.0.0.3:{other}/"))).await;
        assert!(post(&same, &format!("http://127.0.0.2:{first}/")).await.is_err());
        assert_eq!(post(&none, &format!("http://127.0.0.2:{first}/")).await, Ok(307));
        assert!(got.lock().unwrap().is_empty());
        // To itself it may: until that is a circle.
        let (circle, circled) = server(LISTED, 0, moved(307, "/again")).await;
        assert!(post(&same, &format!("http://127.0.0.2:{circle}/")).await.is_err());
        assert_eq!(circled.lock().unwrap().len(), 4);
    }

    #[tokio::test]
    async fn our_own_listeners_are_not_found_by_name() {
        let (port, got) = server(LISTED, 0, ok()).await;
        let own = OwnListeners { addresses: vec![IpAddr::V4(LISTED)], ports: vec![port] };
        let guard = guard(Some(name_server(vec![LISTED]).await.0), own);
        let http = http(&guard, RedirectPolicy::AnyOrigin(3));
        for host in ["own.example", "127.0.0.2"] {
            assert!(post(&http, &format!("http://{host}:{port}/")).await.is_err(), "{host}");
        }
        assert!(got.lock().unwrap().is_empty());
        let (other, _) = server(LISTED, 0, ok()).await;
        assert_eq!(post(&http, &format!("http://own.example:{other}/")).await, Ok(200));
    }
}
