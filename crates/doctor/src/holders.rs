//! Which process holds a port, as Linux tells in /proc.

use std::fmt;
use std::fs;

/// Processes that are looked at.
const PROCESSES_MAX: usize = 20_000;

/// A transport with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub pid: u32,
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The process that holds a port; none if nobody does, or if it cannot be seen from here.
pub(crate) fn holder(protocol: Protocol, port: u16) -> Option<Holder> {
    let tables = match protocol {
        Protocol::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Protocol::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let inode = tables.iter().find_map(|table| inode(&fs::read_to_string(table).ok()?, protocol, port))?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten().take(PROCESSES_MAX);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let found = pids.into_iter().find(|pid| holds(*pid, &socket))?;
    let name = fs::read_to_string(format!("/proc/{found}/comm")).unwrap_or_default();
    Some(Holder { pid: found, name: name.trim().to_owned() })
}

/// The socket at a port: one that listens, or of UDP any.
fn inode(table: &str, protocol: Protocol, port: u16) -> Option<u64> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = protocol == Protocol::Udp || fields.get(3) == Some(&"0A");
        let is_it = fields.get(1)?.ends_with(&suffix) && listens;
        is_it.then(|| fields.get(9)?.parse().ok())?
    })
}

fn holds(pid: u32, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|to| to.to_str() == Some(socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_at_a_port_is_this_one() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = holder(Protocol::Tcp, tcp.local_addr().unwrap().port()).unwrap();
        assert_eq!(found.pid, std::process::id());
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(holder(Protocol::Udp, udp.local_addr().unwrap().port()).unwrap().pid, std::process::id());
        assert_eq!(inode("head\n nonsense\n", Protocol::Udp, 1), None);
    }
}
