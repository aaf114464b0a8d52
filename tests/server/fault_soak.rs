//! Calls that are damaged in every way that `docs/carriers.md` lists, all at once: afterwards the server holds nothing of
//! them. `.ci/nightly` makes twenty thousand of them.

use super::support::Server;
use trunkline_lab::faults::{FaultMix, FaultServer, FaultSoak};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_calls_of_every_kind_leave_nothing_behind() {
    let server = Server::start_with(|config| {
        config.sip.websocket.listen = Some(([127, 0, 0, 1], 0).into());
        config.api.rate_limit_per_minute = 10_000_000;
    })
    .await;
    let local = server.app.services.sip.local();
    let soak = FaultSoak::set_up(FaultServer {
        api: server.app.api_addr,
        key: server.key.clone(),
        sip: local.udp,
        websocket: local.ws,
        // Callers and server share this process.
        pid: None,
    })
    .await
    .unwrap();
    let report = soak.run(FaultMix { calls: 110, per_second: 10.0, seed: 1 }).await.unwrap();
    assert!(report.held.is_empty(), "{:?} is left by {:?}; {:?}", report.held, report.leaks, report.failures());
    assert!(report.failures().is_empty(), "{:?}", report.failures());
}
