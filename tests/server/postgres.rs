//! PostgreSQL for tests: the server named by `TRUNKLINE_TEST_POSTGRES`, or a new one from Debian's package.

use super::support::until;
use sqlx::{Connection as _, Executor as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A server that ends with the test.
pub struct Postgres {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

/// Where the programs are: on the path, or where Debian keeps them.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = versions.map(|v| v.path().join("bin").join(name)).filter(|p| p.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

/// PostgreSQL does not run as root: as the package's user then.
fn command(name: &str) -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program(name));
    command
}

impl Postgres {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let owner = Command::new("chown").arg("postgres").arg(folder.path()).status();
        assert!(owner.is_ok());
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        let made =
            command("initdb").args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"]).arg(&data).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { process: launch(&data, folder.path(), port), folder, port };
        server.ready().await;
        server
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    /// Ends as if the machine had lost its power.
    pub fn stop(&mut self) {
        // SIGQUIT: an immediate shutdown that also ends its children.
        let pid = nix::unistd::Pid::from_raw(self.process.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT).unwrap();
        self.process.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.process = launch(&self.folder.path().join("data"), self.folder.path(), self.port);
        self.ready().await;
    }

    async fn ready(&mut self) {
        let url = format!("{}/postgres", self.url());
        until("the start of PostgreSQL", async || {
            assert!(self.process.try_wait().unwrap().is_none(), "PostgreSQL ended");
            sqlx::PgConnection::connect(&url).await.ok().map(drop)
        })
        .await;
    }
}

fn launch(data: &std::path::Path, sockets: &std::path::Path, port: u16) -> Child {
    let mut command = command("postgres");
    command.arg("-D").arg(data).arg("-k").arg(sockets).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    for setting in ["fsync=off", "max_connections=300", "shared_buffers=32MB"] {
        command.args(["-c", setting]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

/// A fresh database on a server; its URL.
pub async fn create_database(server: &str) -> String {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = sqlx::PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    format!("{server}/{name}")
}

/// The given server, or a new one that the test has to keep.
pub async fn server() -> (String, Option<Postgres>) {
    match std::env::var("TRUNKLINE_TEST_POSTGRES") {
        Ok(url) => (url, None),
        Err(_) => {
            let own = Postgres::start().await;
            (own.url(), Some(own))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_on_postgresql() {
    let (server, _own) = server().await;
    let url = create_database(&server).await;
    let server = super::support::Server::start_with(|config| config.database.url = url.into()).await;
    let report = server.call("listen; say where_is_my_order; listen; say goodbye; listen").await;
    assert!(report.failure.is_none(), "{report:?}");
    let call = server.last_call().await;
    assert_eq!(call["status"], serde_json::json!("completed"));
    assert!(super::support::lines(&call).len() >= 4, "{call}");
}
