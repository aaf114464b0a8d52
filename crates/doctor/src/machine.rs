//! Descriptors, disk and folders.

use crate::server::RunningServer;
use std::path::{Path, PathBuf};
use trunkline::config::Config;
use trunkline::domain::finding::{Finding, Level};

/// Sockets, connections to providers and the recording of one call.
const DESCRIPTORS_PER_CALL: u64 = 6;
/// Everything else.
const DESCRIPTORS_BASE: u64 = 512;
const GIB: u64 = 1 << 30;
/// Each recording is a file.
const FILES_FREE_MIN: u64 = 1_000;

/// Everything on this machine.
pub(crate) fn look(config: &Config, server: Option<&RunningServer>) -> Vec<Finding> {
    let mut findings = vec![descriptors(config.calls.calls_max as u64, server)];
    let recordings = PathBuf::from(&config.recordings.folder);
    findings.push(folder("recordings.folder", &recordings));
    findings.extend(disk("recordings.folder", &recordings));
    let phrases = &config.providers.local.phrases_folder;
    if !phrases.is_empty() {
        // Without it, phrases are spoken anew in each call.
        let kept = folder("providers.local.phrases_folder", Path::new(phrases));
        findings.push(Finding { level: kept.level.min(Level::Warning), ..kept });
    }
    if let Some(file) = config.database.url.expose().strip_prefix("sqlite:") {
        let file = file.trim_start_matches("//").split('?').next().unwrap_or_default();
        if let Some(folder) = Path::new(file).parent().filter(|_| file != ":memory:") {
            findings.extend(disk("database.url", folder));
        }
    }
    findings
}

/// The server raises its soft limit to the hard one.
fn descriptors(calls: u64, server: Option<&RunningServer>) -> Finding {
    let process = server.and_then(|server| server.process.as_ref());
    let of_server = process.and_then(|process| hard_limit_of(process.pid));
    let hard = of_server.or_else(|| rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(_, hard)| hard));
    let open = process.and_then(|process| std::fs::read_dir(format!("/proc/{}/fd", process.pid)).ok());
    by_limit(calls, hard, open.map(|files| files.count() as u64))
}

/// `hard` is the limit of open files, `open` how many the running server has open; none where it cannot be seen.
fn by_limit(calls: u64, hard: Option<u64>, open: Option<u64>) -> Finding {
    let needed = calls.saturating_mul(DESCRIPTORS_PER_CALL).saturating_add(DESCRIPTORS_BASE);
    match (hard, open) {
        (Some(hard), Some(open)) if open > hard / 10 * 9 => Finding::error(
            "descriptors",
            format!("the server has {open} of {hard} files open: calls and requests will be refused"),
            "raise the limit (LimitNOFILE of the unit) and restart the server, and look at what it holds (`ls -l /proc/PID/fd`)",
        ),
        (Some(hard), _) if hard < needed => Finding::warning(
            "descriptors",
            format!("{hard} files may be open; calls.calls_max ({calls}) needs {needed}"),
            "raise it (LimitNOFILE of the unit, `ulimit -Hn`), or lower calls.calls_max",
        ),
        (Some(hard), Some(open)) => Finding::ok("descriptors", format!("{open} of {hard} files are open")),
        (Some(hard), None) => Finding::ok("descriptors", format!("{hard} files may be open")),
        (None, _) => Finding::ok("descriptors", "their limit cannot be read here"),
    }
}

fn hard_limit_of(pid: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

/// The folder itself, or the one it will be created in.
fn existing(path: &Path) -> &Path {
    let mut ancestors = path.ancestors().filter(|path| !path.as_os_str().is_empty());
    ancestors.find(|path| path.exists()).unwrap_or(Path::new("."))
}

fn folder(setting: &str, path: &Path) -> Finding {
    let there = existing(path);
    let probe = there.join(format!(".trunkline-doctor-{}", std::process::id()));
    let tried = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe).map(drop);
    let _ = std::fs::remove_file(&probe); // it may not exist
    match tried {
        Ok(()) => Finding::ok("folders", format!("{} can be written ({setting})", path.display())),
        Err(error) => Finding::error(
            "folders",
            format!("{} cannot be written ({setting}): {error}", there.display()),
            format!("give it to the server's user, or set {setting} to another folder"),
        ),
    }
}

fn disk(setting: &str, path: &Path) -> Option<Finding> {
    let figures = rustix::fs::statvfs(existing(path)).ok()?;
    // Some file systems make inodes as they need them, and say that they have none.
    let files = (figures.f_files > 0).then_some(figures.f_favail);
    Some(space(setting, path, figures.f_bavail.saturating_mul(figures.f_frsize), files))
}

/// `free` is in bytes, `files` how many more files there may be.
fn space(setting: &str, path: &Path, free: u64, files: Option<u64>) -> Finding {
    if let Some(files) = files.filter(|files| *files < FILES_FREE_MIN) {
        return Finding::error(
            "disk",
            format!("{}: only {files} more files can be made ({setting}): its inodes are used up", path.display()),
            format!("delete small files there, or set {setting} to another disk"),
        );
    }
    let found = format!("{}: {:.1} GiB are free ({setting})", path.display(), free as f64 / GIB as f64);
    let advice = format!("make room, or set {setting} to another disk: an hour of recordings takes 115 MB");
    match free {
        free if free < GIB / 8 => Finding::error("disk", found, advice),
        free if free < 2 * GIB => Finding::warning("disk", found, advice),
        _ => Finding::ok("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_told() {
        let level = |free: u64| space("x", Path::new("/"), free, None).level;
        assert_eq!((level(GIB / 10), level(GIB), level(100 * GIB)), (Level::Error, Level::Warning, Level::Ok));
        let without_inodes = space("recordings.folder", Path::new("/"), 100 * GIB, Some(12));
        assert!(without_inodes.level == Level::Error && without_inodes.found.contains("only 12 more files"));
        assert_eq!(space("x", Path::new("/"), 100 * GIB, Some(1 << 20)).level, Level::Ok);
        assert!(disk("x", Path::new("/none/such")).is_some(), "the disk of the folder that it will be created in");
    }

    #[test]
    fn a_folder_is_tried_and_nothing_stays_in_it() {
        let there = tempfile::tempdir().unwrap();
        assert_eq!(folder("recordings.folder", &there.path().join("new/deep")).level, Level::Ok);
        assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0);
        let file = there.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let finding = folder("recordings.folder", &file);
        assert!(finding.level == Level::Error && finding.found.contains("recordings.folder"), "{finding:?}");
    }

    #[test]
    fn descriptors_are_counted_for_all_calls() {
        assert_eq!(descriptors(1, None).level, Level::Ok);
        assert_eq!(descriptors(u64::MAX, None).level, Level::Warning);
        assert_eq!(by_limit(10, Some(1_000), Some(100)).level, Level::Ok);
        assert_eq!(by_limit(100, Some(1_000), Some(100)).level, Level::Warning);
        let full = by_limit(10, Some(1_000), Some(950));
        assert!(full.level == Level::Error && full.found.contains("950 of 1000"), "{full:?}");
        assert_eq!(by_limit(10, None, None).level, Level::Ok);
        assert!(hard_limit_of(std::process::id()).is_some());
    }
}
