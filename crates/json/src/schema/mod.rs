//! A schema of a stranger: read iteratively, judged by what it would cost, compiled, and held against values.
//!
//! The dialect is JSON Schema from draft-04 to 2020-12 with these borders, each of which is named when it is crossed:
//! nothing outside of the schema is referred to; a reference that comes back to itself has gone into a member or an item
//! before; patterns have neither lookaround nor back-references; one `unevaluated…` does not stand above another; and all
//! of it stays within [`limits`]. The compiled schema is rewritten from the parsed one, without annotations.

mod budget;
mod dialect;
mod error;
mod evaluation_cost;
mod graph;
pub mod limits;
mod normalize;
mod pattern;
mod plain_words;
mod reader;
#[cfg(test)]
mod tests;

pub use budget::{PatternPolicy, SchemaBudget};
use error::shortened;
pub use error::{SchemaError, SchemaViolation};
use graph::SchemaGraph;
use jsonschema::{Draft, PatternOptions, Regex, ValidationError, Validator};
use limits::{EVALUATION_STEPS_MAX, LISTING_STEPS_MAX, PATTERN_COMPILED_BYTES_MAX};
use serde_json::Value;

/// A schema that is compiled.
#[derive(Debug)]
pub struct CompiledSchema {
    validator: Validator,
    graph: SchemaGraph,
    /// Patterns that need backtracking and are not checked.
    pub unchecked_patterns: usize,
}

/// How a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// Faults, each with the JSON pointer to the value it is about.
    Faults(Vec<SchemaViolation>),
    /// It is not known whether it fits: finding out would take too long.
    TooCostly,
}

impl ValueError {
    /// The faults in one line.
    pub fn describe(&self) -> String {
        match self {
            Self::TooCostly => "too large to be held against their schema".to_owned(),
            Self::Faults(faults) => {
                let one = |fault: &SchemaViolation| match fault.place.trim_start_matches('/') {
                    "" => fault.message.clone(),
                    place => format!("{place}: {}", fault.message),
                };
                faults.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

impl CompiledSchema {
    /// Reads and judges a schema without compiling it: whether it is within the limits, not whether each of its keywords
    /// has the right type. Takes time in proportion to the schema.
    pub fn check(schema: &Value, budget: &mut SchemaBudget, leniency: PatternPolicy) -> Result<(), SchemaError> {
        let walked = reader::walk(schema, budget, leniency)?;
        normalize::graph(&walked).map(drop)
    }

    /// Compiles a schema. Takes milliseconds: not for a thread that others wait for.
    pub fn compile(schema: &Value, budget: &mut SchemaBudget, leniency: PatternPolicy) -> Result<Self, SchemaError> {
        let walked = reader::walk(schema, budget, leniency)?;
        let graph = normalize::graph(&walked)?;
        meta(walked.draft, schema)?;
        let validator = jsonschema::options()
            .with_draft(walked.draft)
            .offline()
            .with_pattern_options(pattern_options())
            .build(&normalize::normal(&walked))
            .map_err(|error| invalid(&error))?;
        Ok(Self { validator, graph, unchecked_patterns: walked.unchecked_patterns })
    }

    /// Steps of holding a value against the schema, if they are within the budget.
    pub fn steps(&self, value: &Value) -> Option<u64> {
        evaluation_cost::steps(&self.graph, value, EVALUATION_STEPS_MAX).ok()
    }

    /// Holds a value against the schema and says what is wrong with it, `faults_max` faults at most. The value is within
    /// the bounds of a [document](crate::document). Takes some milliseconds at most.
    pub fn check_value(&self, value: &Value, faults_max: usize) -> Result<(), ValueError> {
        let Some(steps) = self.steps(value) else { return Err(ValueError::TooCostly) };
        if self.validator.is_valid(value) {
            return Ok(());
        }
        if steps > LISTING_STEPS_MAX {
            let message = "the value is too large to list what is wrong with it".to_owned();
            return Err(ValueError::Faults(vec![SchemaViolation { place: String::new(), message }]));
        }
        let faults = self.validator.iter_errors(value).take(faults_max);
        let faults = faults.map(|error| SchemaViolation {
            place: shortened(&error.instance_path().to_string()),
            message: shortened(&error.to_string()),
        });
        Err(ValueError::Faults(faults.collect()))
    }
}

/// Options of the linear-time regex library. Pattern sizes were checked already; these limits are a second defence.
fn pattern_options() -> PatternOptions<Regex> {
    PatternOptions::regex().size_limit(2 * PATTERN_COMPILED_BYTES_MAX).dfa_size_limit(PATTERN_COMPILED_BYTES_MAX / 4)
}

/// Whether each keyword has the type it must have.
fn meta(draft: Draft, schema: &Value) -> Result<(), SchemaError> {
    let validator = match draft {
        Draft::Draft4 => jsonschema::draft4::meta::validator(),
        Draft::Draft6 => jsonschema::draft6::meta::validator(),
        Draft::Draft7 => jsonschema::draft7::meta::validator(),
        Draft::Draft201909 => jsonschema::draft201909::meta::validator(),
        _ => jsonschema::draft202012::meta::validator(),
    };
    if validator.is_valid(schema) {
        return Ok(());
    }
    validator.validate(schema).map_err(|error| invalid(&error))
}

fn invalid(error: &ValidationError<'_>) -> SchemaError {
    let place = shortened(&error.instance_path().to_string());
    SchemaError { place, message: format!("is not a JSON schema: {}", shortened(&error.to_string())) }
}

/// One of our schemas, for untrusted values: compiled as it is, and cheap by construction.
#[derive(Debug)]
pub struct TrustedSchema(Validator);

impl TrustedSchema {
    /// Compiles a schema of this program; `None` if it is none.
    pub fn compile(schema: &Value) -> Option<Self> {
        jsonschema::options().offline().build(schema).ok().map(Self)
    }

    /// Every fault of a value, `faults_max` at most, in words for the person who wrote it.
    pub fn faults(&self, value: &Value, faults_max: usize) -> Vec<SchemaViolation> {
        self.0.iter_errors(value).flat_map(|error| plain_words::faults(&error)).take(faults_max).collect()
    }

    /// The first fault of a value.
    pub fn check_value(&self, value: &Value) -> Result<(), SchemaViolation> {
        self.0.validate(value).map_err(|error| SchemaViolation {
            place: error.instance_path().to_string(),
            message: shortened(&error.to_string()),
        })
    }
}
