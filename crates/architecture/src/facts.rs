//! What is known about one source file after it was read: lines, functions, structs, modules, and every path it names.

use std::collections::BTreeMap;

/// A file as far as the rules ask about it. Lines count from 1.
#[derive(Debug, Default)]
pub struct Facts {
    /// The file begins with `//!`.
    pub has_header: bool,
    /// Lines with code outside of `#[cfg(test)]`: no comments, no blank lines.
    pub code_lines: usize,
    /// Lines with code inside of `#[cfg(test)]`.
    pub test_lines: usize,
    /// Functions of every visibility, methods, and closures of constants.
    pub functions: Vec<Function>,
    /// Structs, and variants of enums with fields.
    pub structs: Vec<Struct>,
    /// Blocks of methods that are no trait's.
    pub impls: Vec<Impl>,
    /// Parameters of functions.
    pub parameters: Vec<Field>,
    /// The file's own module first, then its inline modules.
    pub modules: Vec<Module>,
    /// Every path in code and in macros, and every leaf of a `use`.
    pub paths: Vec<PathUse>,
}

/// Who may call a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    /// `pub`
    Public,
    /// `pub(crate)`
    Crate,
    /// `pub(super)`, `pub(in …)`
    Super,
    /// Nothing is written.
    Private,
    /// A method of a trait or of its implementation: as visible as the trait.
    Trait,
}

/// One function.
#[derive(Debug)]
pub struct Function {
    /// `name`, or `Type::name`.
    pub name: String,
    /// Who may call it.
    pub visibility: Visibility,
    /// Where the signature begins.
    pub line: usize,
    /// Where the body ends.
    pub end: usize,
    /// Lines of code from the signature to the closing brace.
    pub lines: usize,
    /// It stands in `#[cfg(test)]`.
    pub in_tests: bool,
    /// `#[test]`, `#[tokio::test]` and the like.
    pub is_test: bool,
    /// `#[ignore]`
    pub is_ignored: bool,
    /// Index in [`Facts::modules`].
    pub module: usize,
}

/// A struct, or a variant of an enum (`Enum::Variant`).
#[derive(Debug)]
pub struct Struct {
    /// `Name`, or `Enum::Variant`.
    pub name: String,
    /// Where it is declared.
    pub line: usize,
    /// Its fields; those of a tuple are named by their number.
    pub fields: Vec<Field>,
    /// Last names of the derives, `ToSchema`.
    pub derives: Vec<String>,
    /// It stands in `#[cfg(test)]`.
    pub in_tests: bool,
}

/// `impl Type`
#[derive(Debug)]
pub struct Impl {
    /// The path of the type.
    pub path: Vec<String>,
    /// Index in [`Facts::modules`].
    pub module: usize,
    /// It stands in `#[cfg(test)]`.
    pub in_tests: bool,
}

/// A field or a parameter.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type without spaces, `Option<String>`.
    pub kind: String,
    /// Where it stands.
    pub line: usize,
    /// It stands in `#[cfg(test)]`.
    pub in_tests: bool,
}

/// The names of a module.
#[derive(Debug, Default)]
pub struct Module {
    /// Its path inside of the file; empty for the file's own module.
    pub path: Vec<String>,
    /// Where it stands, in bytes.
    pub bytes: std::ops::Range<usize>,
    /// It stands in `#[cfg(test)]`.
    pub in_tests: bool,
    /// What each name stands for.
    pub names: BTreeMap<String, Name>,
    /// Paths of `use …::*`.
    pub globs: Vec<Vec<String>>,
}

/// What a name in a module stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// An item that the module defines.
    Item,
    /// `mod name;`
    File {
        /// `#[path = "…"]`
        path: Option<String>,
        /// `#[cfg(test)]`
        in_tests: bool,
    },
    /// `mod name { … }`, an index in [`Facts::modules`].
    Inline(usize),
    /// `use path as name;`
    Import(Vec<String>),
}

/// A path that the file names.
#[derive(Debug)]
pub struct PathUse {
    /// `["crate", "domain", "agent", "Agent"]`
    pub segments: Vec<String>,
    /// Where it stands.
    pub line: usize,
    /// Index in [`Facts::modules`].
    pub module: usize,
    /// It stands in `#[cfg(test)]`.
    pub in_tests: bool,
    /// How it is used.
    pub role: PathRole,
}

/// How a path is used.
#[derive(Debug, PartialEq, Eq)]
pub enum PathRole {
    /// `use path;`
    Import,
    /// `pub use path;` in any visibility
    ReExport,
    /// `use path::*;`
    Glob,
    /// `path(…)` or `.path(…)`
    Call(Call),
    /// Anything else.
    Mention,
}

/// A call and what the rules want to know of its arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// `.name(…)`
    pub is_method: bool,
    /// The first token of the arguments; none without arguments.
    pub first_argument: Option<String>,
    /// The arguments call `contain`.
    pub is_contained: bool,
}

impl PathUse {
    /// The call, if it is one.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match &self.role {
            PathRole::Call(call) => Some(call),
            _ => None,
        }
    }

    /// The last name.
    #[must_use]
    pub fn last(&self) -> &str {
        self.segments.last().map_or("", String::as_str)
    }
}
