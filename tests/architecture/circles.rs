//! Files of one room that name each other in a circle: none of them can be read, moved or tested
//! without the others.
//!
//! A file names another where a path of its code or of its `use` lines leads to what that file
//! defines. Re-exports are followed to the file that defines. A front (`mod.rs`, `lib.rs`,
//! `name.rs` beside `name/`) and the files of its folder may name each other: it defines what they
//! share, and picks among them. Calls of methods are not seen, so that an `impl` may stand apart
//! from its type.

use super::{Token, flatten, starts_with, test_files};
use proc_macro2::TokenStream;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// `["space", "cell"]` for what `src/space/cell.rs` holds.
type Module = Vec<String>;

struct File<'a> {
    path: &'a str,
    tokens: Vec<Token>,
    /// Name → the path that a `use` line has for it.
    names: BTreeMap<String, Vec<String>>,
}

/// The files that are not only for tests.
type Code<'a> = BTreeMap<Module, File<'a>>;

/// A circle: each of its files, with those of the others that it names.
pub type Circle<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// The circles of each room, the largest that there are.
pub fn circles(sources: &[(String, String)]) -> Vec<Circle<'_>> {
    let code = read(sources);
    let named: BTreeMap<&Module, BTreeSet<Module>> =
        code.iter().map(|(module, file)| (module, names(module, file, &code))).collect();
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        named.keys().map(|&from| (from, reached(from, &named))).collect();
    let circle = |of: &&Module| -> BTreeSet<&Module> {
        reached[*of].iter().copied().filter(|to| reached[to].contains(*of)).collect()
    };
    let circles: BTreeSet<BTreeSet<&Module>> = reached.keys().map(circle).filter(|circle| circle.len() > 1).collect();
    let inside = |circle: &BTreeSet<&Module>, of: &Module| {
        named[of].iter().filter(|to| circle.contains(to)).map(|to| code[to].path).collect()
    };
    circles.iter().map(|circle| circle.iter().map(|&of| (code[of].path, inside(circle, of))).collect()).collect()
}

fn read(sources: &[(String, String)]) -> Code<'_> {
    let of_tests: Vec<Module> = sources
        .iter()
        .flat_map(|(path, source)| test_files(path, source))
        .filter_map(|path| module_of(&path))
        .collect();
    let mut code = Code::new();
    for (path, source) in sources {
        let Some(module) = module_of(path) else { continue };
        if of_tests.iter().any(|tests| module.starts_with(tests)) {
            continue;
        }
        let mut tokens = Vec::new();
        flatten(TokenStream::from_str(source).unwrap_or_default(), &mut tokens);
        let names = uses(&tokens).into_iter().filter_map(|(name, path, _)| Some((name?, path))).collect();
        code.insert(module, File { path, tokens, names });
    }
    code
}

fn module_of(path: &str) -> Option<Module> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut module: Module = inside.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    Some(module)
}

/// The modules of the same room whose files define what this file names.
fn names(module: &Module, file: &File<'_>, code: &Code<'_>) -> BTreeSet<Module> {
    let of_uses = uses(&file.tokens).into_iter().filter(|(.., is_public)| !is_public).map(|(_, path, _)| path);
    let paths = of_uses.chain(paths(&file.tokens));
    // A module that is only brought into scope is named where something of it is.
    let ends = paths.filter_map(|path| end(module, &path, code, 0)).filter(|end| end.is_item).map(|end| end.module);
    let is_front = |to: &Module| to.starts_with(module) || module.starts_with(to);
    ends.filter(|to| to.first() == module.first() && !is_front(to)).collect()
}

/// Where a path leads: a module, or something that the module's file defines.
struct End {
    module: Module,
    is_item: bool,
}

/// Nothing where the path begins at another crate or at a type.
fn end(from: &Module, path: &[String], code: &Code<'_>, depth: usize) -> Option<End> {
    let (first, rest) = path.split_first()?;
    // Names that stand for each other in a circle lead nowhere.
    if depth > 8 {
        return None;
    }
    let mut at = match first.as_str() {
        "crate" => End { module: root(from, code), is_item: false },
        "self" => End { module: from.clone(), is_item: false },
        "super" => End { module: from[..from.len().checked_sub(1)?].to_vec(), is_item: false },
        name => step(from, name, code, depth)?,
    };
    for name in rest {
        if at.is_item {
            break;
        }
        at = match name.as_str() {
            "super" => End { module: at.module[..at.module.len().checked_sub(1)?].to_vec(), is_item: false },
            name => step(&at.module, name, code, depth).unwrap_or(End { is_item: true, ..at }),
        };
    }
    Some(at)
}

/// What `name` is in a module, but for what the module's own file defines.
fn step(module: &Module, name: &str, code: &Code<'_>, depth: usize) -> Option<End> {
    let inner = [module.as_slice(), &[name.to_owned()]].concat();
    if code.contains_key(&inner) {
        return Some(End { module: inner, is_item: false });
    }
    end(module, code.get(module)?.names.get(name)?, code, depth + 1)
}

/// The package that the module is in.
fn root(module: &Module, code: &Code<'_>) -> Module {
    let room = module.get(..1).unwrap_or_default();
    let is_package = code.get(room).is_some_and(|file| file.path.ends_with("/lib.rs"));
    if is_package { room.to_vec() } else { Module::new() }
}

/// What can be come to from here in one step or more.
fn reached<'a>(from: &Module, named: &'a BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = named[from].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(&named[module]);
        }
    }
    reached
}

/// Of every `use` line: the names that it gives, their paths, and whether it hands them on.
fn uses(tokens: &[Token]) -> Vec<(Option<String>, Vec<String>, bool)> {
    let mut found = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.text == "use") {
        let is_public = at > 0 && (tokens[at - 1].text == "pub" || tokens[at - 1].text == ")");
        let mut trees = Vec::new();
        branches(&tokens[at + 1..], &mut Vec::new(), &mut trees);
        found.extend(trees.into_iter().map(|(name, path)| (name, path, is_public)));
    }
    found
}

/// Reads the use tree that begins here behind `prefix`, and returns how many tokens it has. A glob
/// has no name.
fn branches(tokens: &[Token], prefix: &mut Vec<String>, found: &mut Vec<(Option<String>, Vec<String>)>) -> usize {
    let (mut at, before) = (0, prefix.len());
    loop {
        match tokens.get(at).map(|token| token.text.as_str()) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at += branches(&tokens[at..], prefix, found);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                prefix.truncate(before);
                return at + 1;
            }
            Some("*") => {
                found.push((None, [prefix.as_slice(), &["*".to_owned()]].concat()));
                at += 1;
                break;
            }
            Some(word) => {
                // `self` behind a path is the path.
                if word != "self" || prefix.is_empty() {
                    prefix.push(word.to_owned());
                }
                at += 1;
                if starts_with(&tokens[at..], &[":", ":"]) {
                    at += 2;
                    continue;
                }
                let renamed = starts_with(&tokens[at..], &["as"]);
                let name = if renamed { tokens.get(at + 1).map(|token| &token.text) } else { prefix.last() };
                found.push((name.cloned(), prefix.clone()));
                at += 2 * usize::from(renamed);
                break;
            }
            None => break,
        }
    }
    prefix.truncate(before);
    at
}

/// The paths of two or more names in code, `a::b::c`, those of `use` lines left out.
fn paths(tokens: &[Token]) -> Vec<Vec<String>> {
    let is_word = |token: &Token| token.text.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text == "use" {
            at += tokens[at..].iter().position(|token| token.text == ";").unwrap_or(tokens.len());
            continue;
        }
        let mut path = Vec::new();
        while tokens.get(at).is_some_and(is_word) {
            path.push(tokens[at].text.clone());
            at += 1;
            if !(starts_with(&tokens[at..], &[":", ":"]) && tokens.get(at + 2).is_some_and(is_word)) {
                break;
            }
            at += 2;
        }
        if path.len() > 1 {
            found.push(path);
        }
        at += usize::from(tokens.get(at).is_some_and(|token| !is_word(token)));
    }
    found
}

fn said(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<(String, String)> = files.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    circles(&sources).iter().map(|circle| circle.keys().copied().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn two_files_that_name_each_other_are_a_circle_and_so_are_three() {
    let front = ("src/a/mod.rs", "mod b; mod c; mod d; pub use b::B; pub(crate) use c::{C as Sea, f};");
    let b = ("src/a/b.rs", "use super::{Sea, d}; pub struct B(Sea);");
    assert_eq!(said(&[front, b, ("src/a/c.rs", "pub struct C(crate::a::B);")]), ["src/a/b.rs src/a/c.rs"]);
    let c = ("src/a/c.rs", "pub struct C; pub fn f() { super::d::g() }");
    assert!(said(&[front, b, c, ("src/a/d.rs", "pub fn g() {}")]).is_empty());
    let d = ("src/a/d.rs", "use super::*; use crate::a; pub fn g() -> a::B { todo!() }");
    assert_eq!(said(&[front, b, c, d]), ["src/a/b.rs src/a/c.rs src/a/d.rs"]);
}

#[test]
fn the_crate_of_a_package_is_its_room() {
    let front = ("src/a/lib.rs", "mod b; mod c; pub use b::B;");
    let files = [front, ("src/a/b.rs", "pub struct B(crate::c::C);"), ("src/a/c.rs", "pub struct C(crate::B);")];
    assert_eq!(said(&files), ["src/a/b.rs src/a/c.rs"]);
}

#[test]
fn fronts_tests_and_methods_make_no_circle() {
    let front = ("src/a/mod.rs", "mod b; mod t; pub trait A {} pub fn all() { b::f() }");
    assert!(said(&[front, ("src/a/b.rs", "impl super::A for u8 {} pub fn f() {}")]).is_empty());
    let front = ("src/a/mod.rs", "mod b; #[cfg(test)] mod t;");
    let b = ("src/a/b.rs", "pub fn f() {} #[cfg(test)] mod tests { fn g() { crate::a::t::h() } }");
    assert!(said(&[front, b, ("src/a/t.rs", "pub fn h() { super::b::f() }")]).is_empty());
}
