//! Reads one file: the syntax tree gives items and imports, the tokens give the paths in between.

use crate::facts::{Facts, Field, Function, Impl, Module, Name, PathRole, PathUse, Struct, Visibility};
use crate::lines::CodeLines;
use crate::tokens::{Scan, is_test_cfg};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use std::ops::Range;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// Reads a file.
///
/// # Errors
///
/// The text is not Rust.
pub fn read(text: &str) -> Result<Facts, syn::Error> {
    let tokens: TokenStream = text.parse()?;
    let file: syn::File = syn::parse2(tokens.clone())?;
    let lines = CodeLines::new(text, tokens.clone());
    let mut reader = Reader::new(text, lines);
    reader.visit_file(&file);
    let mut scan = Scan::default();
    scan.stream(tokens);
    Ok(reader.finish(scan))
}

/// A range below `#[cfg(test)]`: bytes and lines.
struct TestRange {
    bytes: Range<usize>,
    lines: (usize, usize),
}

struct Reader {
    lines: CodeLines,
    facts: Facts,
    tests: Vec<TestRange>,
    /// Modules from the file's own to the innermost one.
    modules: Vec<usize>,
    /// Types whose blocks stand around.
    owners: Vec<String>,
    /// Methods are of a trait.
    in_trait: bool,
    test_depth: usize,
    function_depth: usize,
    /// The constant whose value is read.
    constant: Option<String>,
}

impl Reader {
    fn new(text: &str, lines: CodeLines) -> Self {
        let module = Module { bytes: 0..text.len(), ..Module::default() };
        let facts = Facts { has_header: text.starts_with("//!"), modules: vec![module], ..Facts::default() };
        Self {
            lines,
            facts,
            tests: vec![],
            modules: vec![0],
            owners: vec![],
            in_trait: false,
            test_depth: 0,
            function_depth: 0,
            constant: None,
        }
    }

    fn finish(mut self, scan: Scan) -> Facts {
        for found in scan.paths {
            let holds = |range: &Range<usize>| range.contains(&found.byte);
            let in_tests = self.tests.iter().any(|test| holds(&test.bytes)) || scan.tests.iter().any(holds);
            let module = self.facts.modules.iter().rposition(|module| holds(&module.bytes)).unwrap_or(0);
            let role = found.call.map_or(PathRole::Mention, PathRole::Call);
            self.facts.paths.push(PathUse { segments: found.segments, line: found.line, module, in_tests, role });
        }
        self.facts.test_lines = self.tests.iter().map(|test| self.lines.between(test.lines.0, test.lines.1)).sum();
        self.facts.code_lines = self.lines.total() - self.facts.test_lines;
        self.facts
    }

    fn module(&self) -> usize {
        self.modules.last().copied().unwrap_or(0)
    }

    fn in_tests(&self) -> bool {
        self.test_depth > 0
    }

    fn define(&mut self, name: &syn::Ident, what: Name) {
        if self.function_depth == 0 || !matches!(what, Name::Item) {
            let module = self.module();
            self.facts.modules[module].names.entry(plain(name)).or_insert(what);
        }
    }

    /// Reads an item, and knows that it is a test's if its attributes say so.
    fn item(&mut self, attributes: &[syn::Attribute], span: proc_macro2::Span, read: impl FnOnce(&mut Self)) {
        let is_test = attributes.iter().any(|attribute| is_test_cfg(&attribute.meta.to_token_stream().to_string()));
        if is_test && self.test_depth == 0 {
            self.tests.push(TestRange { bytes: span.byte_range(), lines: (span.start().line, span.end().line) });
        }
        self.test_depth += usize::from(is_test);
        read(self);
        self.test_depth -= usize::from(is_test);
    }

    fn function(
        &mut self, visibility: Visibility, signature: &syn::Signature, attributes: &[syn::Attribute], end: usize,
    ) {
        let name = plain(&signature.ident);
        let name = self.owners.last().map_or(name.clone(), |owner| format!("{owner}::{name}"));
        let has = |name: &str| {
            attributes.iter().any(|attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name))
        };
        let line = signature.span().start().line;
        self.add_function(name, visibility, line, end);
        if let Some(added) = self.facts.functions.last_mut() {
            (added.is_test, added.is_ignored) = (has("test"), has("ignore"));
        }
        for input in &signature.inputs {
            if let syn::FnArg::Typed(typed) = input
                && let syn::Pat::Ident(pattern) = &*typed.pat
            {
                let field = self.field(plain(&pattern.ident), &typed.ty);
                self.facts.parameters.push(field);
            }
        }
    }

    fn add_function(&mut self, name: String, visibility: Visibility, line: usize, end: usize) {
        let lines = self.lines.between(line, end);
        let (in_tests, module) = (self.in_tests(), self.module());
        let (is_test, is_ignored) = (false, false);
        let function = Function { name, visibility, line, end, lines, in_tests, is_test, is_ignored, module };
        self.facts.functions.push(function);
    }

    fn field(&self, name: String, kind: &syn::Type) -> Field {
        let line = kind.span().start().line;
        let kind = kind.to_token_stream().to_string().replace(' ', "");
        Field { name, kind, line, in_tests: self.in_tests() }
    }

    fn fields(&self, fields: &syn::Fields) -> Vec<Field> {
        let named = |(at, field): (usize, &syn::Field)| {
            let name = field.ident.as_ref().map_or_else(|| at.to_string(), plain);
            self.field(name, &field.ty)
        };
        fields.iter().enumerate().map(named).collect()
    }

    fn structure(&mut self, name: String, fields: &syn::Fields, attributes: &[syn::Attribute]) {
        let line = fields.span().start().line;
        let (fields, in_tests) = (self.fields(fields), self.in_tests());
        self.facts.structs.push(Struct { name, line, fields, derives: derives(attributes), in_tests });
    }

    fn import(&mut self, tree: &syn::UseTree, path: &mut Vec<String>, is_re_export: bool) {
        match tree {
            syn::UseTree::Path(branch) => {
                path.push(plain(&branch.ident));
                self.import(&branch.tree, path, is_re_export);
                path.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path, is_re_export);
                }
            }
            syn::UseTree::Name(leaf) => self.leaf(path, &leaf.ident, None, is_re_export),
            syn::UseTree::Rename(leaf) => self.leaf(path, &leaf.ident, Some(&leaf.rename), is_re_export),
            syn::UseTree::Glob(glob) => {
                let module = self.module();
                self.facts.modules[module].globs.push(path.clone());
                self.add_path(path.clone(), glob.star_token.span.start().line, PathRole::Glob);
            }
        }
    }

    fn leaf(&mut self, path: &[String], ident: &syn::Ident, alias: Option<&syn::Ident>, is_re_export: bool) {
        let mut path = path.to_vec();
        if ident != "self" {
            path.push(plain(ident));
        }
        let line = ident.span().start().line;
        let name = alias.map(plain).or_else(|| path.last().cloned()).unwrap_or_default();
        let module = self.module();
        self.facts.modules[module].names.entry(name).or_insert_with(|| Name::Import(path.clone()));
        self.add_path(path, line, if is_re_export { PathRole::ReExport } else { PathRole::Import });
    }

    fn add_path(&mut self, segments: Vec<String>, line: usize, role: PathRole) {
        let (module, in_tests) = (self.module(), self.in_tests());
        self.facts.paths.push(PathUse { segments, line, module, in_tests, role });
    }

    /// Functions that a macro writes.
    fn functions_of_macro(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        for (at, tree) in trees.iter().enumerate() {
            match (tree, trees.get(at + 1)) {
                (TokenTree::Ident(word), Some(TokenTree::Ident(name))) if word == "fn" => {
                    let body = trees[at..].iter().find_map(|tree| match tree {
                        TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::Brace => Some(group),
                        _ => None,
                    });
                    if let Some(body) = body {
                        let (line, end) = (word.span().start().line, body.span_close().end().line);
                        self.add_function(plain(name), Visibility::Private, line, end);
                    }
                }
                (TokenTree::Group(group), _) => self.functions_of_macro(group.stream()),
                _ => {}
            }
        }
    }

    fn constant(&mut self, name: &syn::Ident, value: &syn::Expr) {
        let before = self.constant.replace(plain(name));
        self.visit_expr(value);
        self.constant = before;
    }

    fn inline_module(&mut self, item: &syn::ItemMod, items: &[syn::Item]) {
        let parent = &self.facts.modules[self.module()];
        let mut path = parent.path.clone();
        path.push(plain(&item.ident));
        let module = Module { path, bytes: item.span().byte_range(), in_tests: self.in_tests(), ..Module::default() };
        let index = self.facts.modules.len();
        self.facts.modules.push(module);
        self.define(&item.ident, Name::Inline(index));
        self.modules.push(index);
        let depth = std::mem::take(&mut self.function_depth);
        items.iter().for_each(|item| self.visit_item(item));
        self.function_depth = depth;
        self.modules.pop();
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.item(attributes(item), item.span(), |reader| {
            if let Some(name) = name(item) {
                reader.define(name, Name::Item);
            }
            visit::visit_item(reader, item);
        });
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some((_, items)) = &item.content {
            return self.inline_module(item, items);
        }
        let path = item.attrs.iter().find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(pair) if pair.path.is_ident("path") => {
                Some(pair.value.to_token_stream().to_string().trim_matches('"').to_owned())
            }
            _ => None,
        });
        let in_tests = self.in_tests();
        self.define(&item.ident, Name::File { path, in_tests });
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_re_export = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, &mut vec![], is_re_export);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let owners = std::mem::take(&mut self.owners);
        self.function(visibility(&item.vis), &item.sig, &item.attrs, end_of(&item.block));
        self.function_depth += 1;
        visit::visit_item_fn(self, item);
        self.function_depth -= 1;
        self.owners = owners;
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[syn::Attribute] = match item {
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Const(item) => &item.attrs,
            _ => &[],
        };
        self.item(attributes, item.span(), |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let visibility = if self.in_trait { Visibility::Trait } else { visibility(&item.vis) };
        self.function(visibility, &item.sig, &item.attrs, end_of(&item.block));
        self.function_depth += 1;
        visit::visit_impl_item_fn(self, item);
        self.function_depth -= 1;
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        let end = item.default.as_ref().map_or_else(|| item.sig.span().end().line, end_of);
        self.function(Visibility::Trait, &item.sig, &item.attrs, end);
        self.function_depth += 1;
        visit::visit_trait_item_fn(self, item);
        self.function_depth -= 1;
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = item.self_ty.to_token_stream().to_string().replace(' ', "");
        let owner = owner.split('<').next().unwrap_or(&owner).rsplit("::").next().unwrap_or(&owner).to_owned();
        if let (None, syn::Type::Path(path)) = (&item.trait_, &*item.self_ty) {
            let path = path.path.segments.iter().map(|segment| plain(&segment.ident)).collect();
            let (module, in_tests) = (self.module(), self.in_tests());
            self.facts.impls.push(Impl { path, module, in_tests });
        }
        let in_trait = std::mem::replace(&mut self.in_trait, item.trait_.is_some());
        self.owners.push(owner);
        visit::visit_item_impl(self, item);
        self.owners.pop();
        self.in_trait = in_trait;
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.owners.push(plain(&item.ident));
        visit::visit_item_trait(self, item);
        self.owners.pop();
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.structure(plain(&item.ident), &item.fields, &item.attrs);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        for variant in item.variants.iter().filter(|variant| !variant.fields.is_empty()) {
            self.structure(format!("{}::{}", plain(&item.ident), plain(&variant.ident)), &variant.fields, &item.attrs);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_expr_closure(&mut self, item: &'ast syn::ExprClosure) {
        if let Some(name) = self.constant.take() {
            let span = item.span();
            self.add_function(name.clone(), Visibility::Private, span.start().line, span.end().line);
            visit::visit_expr_closure(self, item);
            self.constant = Some(name);
        } else {
            visit::visit_expr_closure(self, item);
        }
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.functions_of_macro(item.tokens.clone());
    }
}

fn plain(ident: &syn::Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

fn end_of(block: &syn::Block) -> usize {
    block.brace_token.span.close().end().line
}

fn visibility(visibility: &syn::Visibility) -> Visibility {
    match visibility {
        syn::Visibility::Public(_) => Visibility::Public,
        syn::Visibility::Restricted(restricted) if restricted.path.is_ident("crate") => Visibility::Crate,
        syn::Visibility::Restricted(_) => Visibility::Super,
        syn::Visibility::Inherited => Visibility::Private,
    }
}

fn derives(attributes: &[syn::Attribute]) -> Vec<String> {
    let lists = attributes.iter().filter(|attribute| attribute.path().is_ident("derive"));
    let names = lists.filter_map(|attribute| match &attribute.meta {
        syn::Meta::List(list) => Some(list.tokens.to_string().replace(' ', "")),
        _ => None,
    });
    let names: Vec<String> = names.collect();
    let each = names.iter().flat_map(|list| list.split(','));
    each.filter_map(|path| path.rsplit("::").next()).map(str::to_owned).filter(|name| !name.is_empty()).collect()
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item puts into its module; modules and imports are read for themselves.
fn name(item: &syn::Item) -> Option<&syn::Ident> {
    match item {
        syn::Item::Const(item) => Some(&item.ident),
        syn::Item::Enum(item) => Some(&item.ident),
        syn::Item::Fn(item) => Some(&item.sig.ident),
        syn::Item::Macro(item) => item.ident.as_ref(),
        syn::Item::Static(item) => Some(&item.ident),
        syn::Item::Struct(item) => Some(&item.ident),
        syn::Item::Trait(item) => Some(&item.ident),
        syn::Item::Type(item) => Some(&item.ident),
        syn::Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}
