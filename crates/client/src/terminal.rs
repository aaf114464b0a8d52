//! Questions to the person at the terminal. Without a person there is an error that says what to give instead.

use crate::error::ClientError;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use trunkline_domain::secret::Secret;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 8_192;

/// Whether somebody can answer.
pub(crate) fn has_person() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn read_failed(error: std::io::Error) -> ClientError {
    ClientError::Local(format!("standard input: {error}"))
}

/// Asks for a line; an empty one is the default.
pub(crate) fn ask(question: &str, default: &str) -> Result<String, ClientError> {
    if default.is_empty() {
        eprint!("{question}: ")
    } else {
        eprint!("{question} [{default}]: ")
    }
    std::io::stderr().flush().ok();
    let mut line = String::new();
    let mut input = std::io::stdin().lock().take(ANSWER_BYTES_MAX);
    if input.read_line(&mut line).map_err(read_failed)? == 0 {
        return Err(ClientError::Usage("there was no answer".to_owned()));
    }
    let answer = line.trim();
    Ok(if answer.is_empty() { default } else { answer }.to_owned())
}

/// Asks for something that is not shown while it is typed.
pub(crate) fn ask_secret(question: &str) -> Result<Secret, ClientError> {
    let answer = rpassword::prompt_password(format!("{question}: ")).map_err(read_failed)?;
    Ok(Secret::from(answer.trim()))
}

/// Reads a secret from standard input, to its end.
pub(crate) fn piped_secret() -> Result<Secret, ClientError> {
    let mut text = String::new();
    std::io::stdin().lock().take(ANSWER_BYTES_MAX).read_to_string(&mut text).map_err(read_failed)?;
    match text.trim() {
        "" => Err(ClientError::Usage("standard input has no API key".to_owned())),
        key => Ok(Secret::from(key)),
    }
}

/// Asks yes or no; only a yes is one.
pub(crate) fn confirmed(question: &str) -> Result<bool, ClientError> {
    let answer = ask(&format!("{question} [y/N]"), "")?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}
