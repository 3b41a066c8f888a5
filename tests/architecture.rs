//! Holds the source to its shape: which room may use which, which words belong to which room, how long a file may be.
//!
//! A room is a folder of `src/`. The two tables are the drawing of `DESIGN.md` in a form that a machine can check: a new
//! arrow fails here until someone writes it down, which is the moment to ask whether it should exist. Comments, strings
//! and test modules do not count; `lib.rs` and `main.rs` only tie the rooms together.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::WalkDir;

/// Room → the rooms it may name. `*` is every room but those after it.
const ARROWS: &[(&str, &[&str])] = &[
    // What a person writes, what is kept, what is left to do.
    ("config", &[]),
    ("store", &[]),
    ("plan", &["config", "store"]),
    ("run", &["config", "plan", "store"]),
    // What is searched, and what computes it.
    ("space", &["config", "store"]),
    ("kernels", &["space"]),
    ("model", &["space", "kernels"]),
    // How it learns, what for, what it sees.
    ("data", &[]),
    ("tasks", &["model", "data"]),
    ("train", &["model", "tasks", "store"]),
    // What a person sees.
    ("observe", &["run"]),
    ("report", &[]),
    // Where it meets.
    ("interop", &["space", "kernels", "model", "train"]),
    ("stages", &["*", "observe", "cli"]),
    ("cli", &["*"]),
];

/// Words that are not for every room: the tokens that are sought, who may write them, and why.
const WORDS: &[(&[&str], Where, &str)] = &[
    (&["burn"], Where::NotIn(&["config", "plan", "store", "space"]), "this room knows nothing of tensors"),
    (&["burn_flex"], Where::OnlyIn(&["kernels"]), "a backend's insides are for kernels"),
    (&["clap"], Where::OnlyIn(&["cli"]), "arguments are read in one room"),
    (&["indicatif"], Where::OnlyIn(&["observe"]), "progress is drawn in one room"),
    (&["print", "!"], TERMINAL, WRITES),
    (&["println", "!"], TERMINAL, WRITES),
    (&["eprint", "!"], TERMINAL, WRITES),
    (&["eprintln", "!"], TERMINAL, WRITES),
    (&["io", ":", ":", "stdout"], TERMINAL, WRITES),
    (&["io", ":", ":", "stderr"], TERMINAL, WRITES),
    (
        &["Device", ":", ":", "default"],
        Where::OnlyIn(&[]),
        "it panics in a build for GPUs on a machine that has none: name the device",
    ),
];

const TERMINAL: Where = Where::OnlyIn(&["cli", "observe", "report"]);
const WRITES: &str = "other rooms emit events and return values";

const LONGEST_FILE_LINES: usize = 500;

#[derive(Clone, Copy)]
enum Where {
    OnlyIn(&'static [&'static str]),
    NotIn(&'static [&'static str]),
}

impl Where {
    fn admits(self, room: &str) -> bool {
        match self {
            Self::OnlyIn(rooms) => rooms.contains(&room),
            Self::NotIn(rooms) => !rooms.contains(&room),
        }
    }
}

#[test]
fn the_source_keeps_its_shape() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    let mut files = 0;
    for folder in ["src", "tests", "benches"] {
        for entry in WalkDir::new(root.join(folder)).sort_by_file_name().into_iter().filter_map(Result::ok) {
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let path =
                    entry.path().strip_prefix(root).expect("walked from the root").to_str().expect("an UTF-8 name");
                faults.extend(faults_of(path, &fs::read_to_string(entry.path()).expect("a readable source file")));
                files += 1;
            }
        }
    }
    assert!(files > ARROWS.len(), "only {files} source files were found");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// What is wrong with one file, a line each: place, then fault. `path` is relative to the package, with `/`.
fn faults_of(path: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.lines().count();
    if lines > LONGEST_FILE_LINES {
        faults.push(format!("{path}: {lines} lines, {LONGEST_FILE_LINES} at most: split it by noun"));
    }
    let Some((room, file)) = path.strip_prefix("src/").and_then(|inside| inside.split_once('/')) else {
        return faults;
    };
    if file == "tests.rs" || file.ends_with("/tests.rs") {
        return faults;
    }
    let Some(allowed) = arrows_of(room) else {
        faults.push(format!("{path}: the room `{room}` is not in the table of arrows of tests/architecture.rs"));
        return faults;
    };
    let Ok(stream) = TokenStream::from_str(source) else {
        faults.push(format!("{path}: cannot be read as Rust"));
        return faults;
    };
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    for (at, token) in tokens.iter().enumerate() {
        for (words, place, why) in WORDS {
            if starts_with(&tokens[at..], words) && !place.admits(room) {
                faults.push(format!("{path}:{}: `{}` in `{room}`: {why}", token.line, words.concat()));
            }
        }
        for target in rooms_named(&tokens[at..]) {
            if target.text != room && arrows_of(&target.text).is_some() && !allowed.contains(&target.text.as_str()) {
                faults.push(format!("{path}:{}: `{room}` may not use `{}`", target.line, target.text));
            }
        }
    }
    faults
}

/// The rooms that `room` may name; `None` where there is no such room.
fn arrows_of(room: &str) -> Option<Vec<&'static str>> {
    let (_, arrows) = ARROWS.iter().find(|(name, _)| *name == room)?;
    Some(match arrows {
        ["*", except @ ..] => ARROWS.iter().map(|(name, _)| *name).filter(|name| !except.contains(name)).collect(),
        named => named.to_vec(),
    })
}

/// An identifier or a punctuation mark, with its line.
struct Token {
    text: String,
    line: usize,
}

/// The tokens of `stream` in order, without literals (doc comments are literals too) and without test modules.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        if is_test_module(&trees[at..]) {
            at += 5;
            continue;
        }
        let line = trees[at].span().start().line;
        match &trees[at] {
            TokenTree::Ident(word) => tokens.push(Token { text: word.to_string(), line }),
            TokenTree::Punct(mark) => tokens.push(Token { text: mark.as_char().to_string(), line }),
            TokenTree::Literal(_) => {}
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
        }
        at += 1;
    }
}

/// Whether `#[cfg(test)] mod name { … }` stands here: five trees.
fn is_test_module(trees: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), TokenTree::Ident(keyword), TokenTree::Ident(_), body, ..] =
        trees
    else {
        return false;
    };
    hash.as_char() == '#'
        && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
        && *keyword == "mod"
        && matches!(body, TokenTree::Group(body) if body.delimiter() == Delimiter::Brace)
}

fn starts_with(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.text == *word)
}

/// The first names below the crate where a path begins here: one for `crate::a::B`, several for `crate::{a::B, c}`.
/// Rooms are folders of the crate, so `super::super::…` out of a room would be an arrow too: the rooms do not nest that
/// deep, and `crate::` is how we write it.
fn rooms_named(tokens: &[Token]) -> Vec<&Token> {
    if !starts_with(tokens, &["crate", ":", ":"]) {
        return Vec::new();
    }
    let rest = &tokens[3..];
    if !starts_with(rest, &["{"]) {
        return rest.first().into_iter().collect();
    }
    let mut depth = 0;
    let mut names = Vec::new();
    for (at, token) in rest.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(rest[at - 1].text.as_str(), "{" | ",") => names.push(token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[test]
fn a_forbidden_arrow_is_named_with_its_line() {
    let source = "use std::fs;\n\nfn f() -> crate::train::Loop { todo }";
    assert_eq!(faults_of("src/model/cell.rs", source), ["src/model/cell.rs:3: `model` may not use `train`"]);
}

#[test]
fn every_branch_of_a_use_tree_is_followed() {
    let source = "use crate::{\n    space::{network::train, cost},\n    data::Split,\n    tasks,\n};";
    assert_eq!(
        faults_of("src/model/cell.rs", source),
        ["src/model/cell.rs:3: `model` may not use `data`", "src/model/cell.rs:4: `model` may not use `tasks`"]
    );
}

#[test]
fn allowed_arrows_and_the_own_room_pass() {
    assert!(faults_of("src/model/cell.rs", "use crate::{model::edge, space::network};").is_empty());
    assert!(faults_of("src/stages/search.rs", "use crate::train::Loop;").is_empty());
    assert_eq!(faults_of("src/stages/search.rs", "use crate::cli::Args;").len(), 1);
}

#[test]
fn comments_strings_and_test_modules_do_not_count() {
    let source = r##"
        //! burn, crate::train and println!
        /* use burn::Tensor; /* nested */ crate::cli */
        const A: &str = "crate::train println!()";
        const B: &str = r#"burn "quoted" crate::cli"#;
        const C: char = '"';
        #[cfg(test)]
        mod tests {
            use burn::Tensor;
            use crate::train::Loop;
        }
    "##;
    assert!(faults_of("src/space/cost.rs", source).is_empty());
}

#[test]
fn code_after_a_test_module_counts() {
    let source = "#[cfg(test)]\nmod tests { use crate::cli; }\nuse burn::Tensor;";
    assert_eq!(
        faults_of("src/space/cost.rs", source),
        ["src/space/cost.rs:3: `burn` in `space`: this room knows nothing of tensors"]
    );
}

#[test]
fn only_three_rooms_write_to_the_terminal() {
    let source = "fn f() { println!(\"{}\", 1); std::io::stderr().flush(); }";
    assert_eq!(faults_of("src/train/loop.rs", source).len(), 2);
    assert!(faults_of("src/observe/plain.rs", source).is_empty());
}

#[test]
fn words_inside_macros_are_found() {
    assert_eq!(faults_of("src/plan/key.rs", "fn f() { g!(burn::Tensor) }").len(), 1);
}

#[test]
fn a_long_file_and_an_unknown_room_are_faults() {
    assert_eq!(faults_of("src/lib.rs", &"\n".repeat(501)).len(), 1);
    assert_eq!(faults_of("src/utils/misc.rs", "").len(), 1);
}

#[test]
fn the_table_of_arrows_has_no_cycle() {
    let mut left: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    while !left.is_empty() {
        let before = left.len();
        let still = left.clone();
        left.retain(|room| {
            arrows_of(room).is_some_and(|arrows| arrows.iter().any(|to| to != room && still.contains(to)))
        });
        assert!(left.len() < before, "these rooms use each other: {left:?}");
    }
}
