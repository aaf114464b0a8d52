//! The body of `create` and `update`: a file, and fields on the command line.

use crate::error::ClientError;
use crate::yaml::{self, FILE_BYTES_MAX};
use clap::Args;
use serde_json::{Map, Value};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where the fields of a document come from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FieldArgs {
    /// YAML or JSON file with the fields; `-` is standard input.
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// FIELD=VALUE, after those of the file; may be repeated. FIELD may be a path (`llm_config.model=gpt-4o`), VALUE is
    /// JSON or else a text (`name=Support`, `enabled=false`, `description=null`).
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
}

impl FieldArgs {
    /// The fields, or an error if there are none.
    pub(crate) fn fields(&self) -> Result<Map<String, Value>, ClientError> {
        let mut fields = match &self.file {
            Some(path) => read_object(path)?,
            None => Map::new(),
        };
        for one in &self.set {
            set(&mut fields, one)?;
        }
        if fields.is_empty() {
            return Err(ClientError::Usage("there are no fields: give --set FIELD=VALUE or --file FILE".to_owned()));
        }
        Ok(fields)
    }
}

/// The text of a file or of standard input, within bounds.
pub(crate) fn read(path: &Path) -> Result<String, ClientError> {
    let name = path.display();
    let local = |error: std::io::Error| ClientError::Usage(format!("{name}: {error}"));
    let limit = FILE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    match path.to_str() {
        Some("-") => std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(local)?,
        _ => std::fs::File::open(path).map_err(local)?.take(limit).read_to_end(&mut bytes).map_err(local)?,
    };
    yaml::text(bytes).map_err(|error| ClientError::Usage(format!("{name}:{error}")))
}

fn read_object(path: &Path) -> Result<Map<String, Value>, ClientError> {
    let name = path.display();
    let node = yaml::parse(&read(path)?).map_err(|error| ClientError::Usage(format!("{name}:{error}")))?;
    match node.to_json() {
        Value::Object(fields) => Ok(fields),
        _ => Err(ClientError::Usage(format!("{name}:1: this is no list of fields"))),
    }
}

fn set(fields: &mut Map<String, Value>, text: &str) -> Result<(), ClientError> {
    let usage = |why: &str| ClientError::Usage(format!("--set {text}: {why}"));
    let (path, value) = text.split_once('=').ok_or_else(|| usage("it is FIELD=VALUE"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    let mut here = fields;
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            return Err(usage("it is FIELD=VALUE, and a path is written with dots"));
        }
        if parts.peek().is_none() {
            here.insert(part.to_owned(), value);
            return Ok(());
        }
        let next = here.entry(part).or_insert_with(|| Value::Object(Map::new()));
        here = next.as_object_mut().ok_or_else(|| usage(&format!("{part} is no object")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_set_by_path_and_keep_their_type() {
        let args = |set: &[&str]| FieldArgs { file: None, set: set.iter().map(|&one| one.into()).collect() };
        let fields = args(&[
            "name=Support",
            "enabled=false",
            "llm_config.model=gpt-4o",
            "llm_config.temperature=0.2",
            "to_number=+31201234567",
        ]);
        let wanted = json!({
            "name": "Support", "enabled": false, "llm_config": {"model": "gpt-4o", "temperature": 0.2},
            "to_number": "+31201234567"
        });
        assert_eq!(Value::Object(fields.fields().unwrap()), wanted);
        for wrong in ["name", "=x", "a..b=1"] {
            assert!(matches!(args(&[wrong]).fields(), Err(ClientError::Usage(_))), "{wrong}");
        }
        assert!(args(&["a=1", "a.b=2"]).fields().unwrap_err().to_string().contains("a is no object"));
        assert!(args(&[]).fields().is_err());
    }

    #[test]
    fn a_file_is_read_and_its_faults_have_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, "name: A\nname: B\n").unwrap();
        let args = FieldArgs { file: Some(path.clone()), set: vec!["enabled=true".into()] };
        let message = args.fields().unwrap_err().to_string();
        assert!(message.ends_with("a.yaml:2: name: is there twice, the first time in line 1"), "{message}");
        std::fs::write(&path, "name: A\n").unwrap();
        assert_eq!(Value::Object(args.fields().unwrap()), json!({"name": "A", "enabled": true}));
    }
}
