//! Tells the service manager that started us how far we are, by the protocol of sd_notify(3). Without one nothing is sent.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The socket of `NOTIFY_SOCKET`.
#[derive(Debug)]
pub(crate) struct ServiceManager(Option<(UnixDatagram, SocketAddr)>);

impl ServiceManager {
    pub(crate) fn from_environment() -> Self {
        Self::at(&std::env::var("NOTIFY_SOCKET").unwrap_or_default())
    }

    /// `/path`, or `@name` in the abstract namespace; anything else is no socket.
    fn at(name: &str) -> Self {
        let address = match (name.strip_prefix('@'), name.starts_with('/')) {
            (Some(name), _) => SocketAddr::from_abstract_name(name).ok(),
            (None, true) => SocketAddr::from_pathname(name).ok(),
            (None, false) => None,
        };
        let socket = UnixDatagram::unbound().and_then(|socket| socket.set_nonblocking(true).map(|()| socket)).ok();
        Self(socket.zip(address))
    }

    /// Calls and requests are taken.
    pub(crate) fn ready(&self) {
        self.send("READY=1\nSTATUS=Takes calls");
    }

    /// The settings are read again; `ready` says when that is done.
    pub(crate) fn reloading(&self) {
        self.send("RELOADING=1\nSTATUS=Reads its settings again");
    }

    /// No new calls are taken; the process ends within `patience`, however short the manager's own time-out is.
    pub(crate) fn stopping(&self, patience: Duration) {
        let patience = patience.as_micros();
        self.send(&format!("STOPPING=1\nSTATUS=Waits for calls to end\nEXTEND_TIMEOUT_USEC={patience}"));
    }

    /// A manager that does not read is no reason to wait.
    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.0 {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_each_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let service = ServiceManager::at(path.to_str().unwrap());
        let heard = || {
            let mut bytes = [0; 256];
            let count = manager.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..count].to_vec()).unwrap()
        };
        service.ready();
        assert!(heard().starts_with("READY=1\n"));
        service.reloading();
        assert!(heard().starts_with("RELOADING=1\n"));
        service.stopping(Duration::from_secs(90));
        let said = heard();
        assert!(said.starts_with("STOPPING=1\n") && said.ends_with("\nEXTEND_TIMEOUT_USEC=90000000"), "{said}");
    }

    #[test]
    fn a_name_in_the_abstract_namespace_is_found() {
        let name = format!("trunkline-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        ServiceManager::at(&format!("@{name}")).ready();
        let mut bytes = [0; 64];
        assert!(manager.recv(&mut bytes).unwrap() > 7);
    }

    #[test]
    fn without_a_manager_or_with_one_that_is_gone_nothing_happens() {
        for name in ["", "notify", "/nowhere/notify", "vsock:2:1234"] {
            ServiceManager::at(name).ready();
        }
    }
}
