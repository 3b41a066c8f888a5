//! Holds the source to its shape: which room may use which, which words belong to which room, how
//! long a file may be, and that no files of a room name each other in a circle.
//!
//! A room is a folder of `src/`. The two tables are the drawing of `DESIGN.md` in a form that a
//! machine can check: a new arrow fails here until someone writes it down, which is the moment to
//! ask whether it should exist. Comments, strings and test modules do not count; `lib.rs` and
//! `main.rs` only tie the rooms together.

mod circles;

use std::fs;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::WalkDir;

/// Room → the rooms it may name. `*` is every room but those after it.
const ARROWS: &[(&str, &[&str])] = &[
    // What the operating system gives: whatever reads a person's files or fills a disk asks it.
    ("machine", &[]),
    // What a person writes, what is kept, what is left to do.
    ("config", &["machine"]),
    ("store", &["machine"]),
    ("plan", &["config", "store"]),
    ("run", &["machine", "config", "plan", "store"]),
    // Where else it is done: batch jobs, each of which runs the program for a member.
    ("cluster", &["config", "store"]),
    // What is searched, and what computes it.
    ("space", &["machine", "config", "store"]),
    ("kernels", &[]),
    ("model", &["space", "kernels"]),
    // How it learns, what for, what it sees.
    ("data", &["machine"]),
    ("games", &[]),
    // config: a task reads its own keys. report: what a test tells has an interval.
    ("tasks", &["config", "model", "data", "games", "report"]),
    // kernels: optimisers in one pass over the weights. space: the cell that a search's weights
    // stand for, epoch by epoch.
    ("train", &["machine", "space", "kernels", "model", "tasks", "store"]),
    // What a person sees.
    ("observe", &["run"]),
    ("report", &["observe"]), // how a number, a colour and a folded line look
    // Where it meets.
    // data: what the images of a network were normalised by.
    ("interop", &["machine", "space", "kernels", "model", "data", "tasks", "train"]),
    // What stages leave for each other and for whoever tells of it: a type a kind of output.
    ("records", &["run", "space", "model", "data", "tasks", "train", "interop"]),
    // The keys of a training. run: an error with its causes as a sentence. records: how large a
    // network is.
    ("recipes", &["machine", "config", "run", "space", "model", "data", "tasks", "train", "interop", "records"]),
    // What the stages of a run found, as a report's sections.
    ("findings", &["config", "store", "run", "space", "report", "tasks", "records"]),
    ("stages", &["*", "cluster", "observe", "bench", "cli"]),
    // What a bench times is a step of what a file says as a stage's keys do.
    ("bench", &["machine", "config", "run", "space", "kernels", "model", "data", "tasks", "train", "recipes"]),
    ("cli", &["*"]),
];

/// Words that are not for every room: the tokens that are sought, who may write them, and why.
const WORDS: &[(&[&str], Where, &str)] = &[
    (&["burn"], Where::NotIn(&["config", "plan", "store", "space"]), "this room knows nothing of tensors"),
    (&["burn_flex"], Where::OnlyIn(&["kernels"]), "a backend's insides are for kernels"),
    (&["burn_cubecl"], Where::OnlyIn(&["kernels"]), "a backend's insides are for kernels"),
    (&["cubecl"], Where::OnlyIn(&["kernels"]), "kernels are written in one room"),
    (&["libloading"], Where::OnlyIn(&["games"]), "libraries that are not ours are opened in one room, for a child"),
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

/// Path and text of every source file.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<(String, String)> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| WalkDir::new(root.join(folder)).sort_by_file_name())
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .map(|entry| {
            let path =
                entry.path().strip_prefix(root).expect("walked from the root").to_string_lossy().replace('\\', "/");
            (path, fs::read_to_string(entry.path()).expect("a readable source file"))
        })
        .collect();
    assert!(sources.len() > ARROWS.len(), "only {} source files were found", sources.len());
    sources
}

#[test]
fn files_of_a_room_make_no_circle() {
    let sources = sources();
    let circles = circles::circles(&sources);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn the_source_keeps_its_shape() {
    let sources = sources();
    let of_tests: Vec<String> = sources.iter().flat_map(|(path, source)| test_files(path, source)).collect();
    let mut faults = Vec::new();
    for (path, source) in &sources {
        faults.extend(length_fault(path, source));
        if !of_tests.contains(path) {
            faults.extend(room_faults(path, source));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn length_fault(path: &str, source: &str) -> Option<String> {
    let lines = source.lines().count();
    (lines > LONGEST_FILE_LINES)
        .then(|| format!("{path}: {lines} lines, {LONGEST_FILE_LINES} at most: split it by noun"))
}

/// The files that `#[cfg(test)] mod name;` in this file names.
fn test_files(path: &str, source: &str) -> Vec<String> {
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder,
        _ => path.trim_end_matches(".rs"),
    };
    let trees: Vec<TokenTree> = TokenStream::from_str(source).into_iter().flatten().collect();
    (0..trees.len())
        .filter_map(|at| test_module(&trees[at..]))
        .flat_map(|(name, _)| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
        .collect()
}

/// The arrows and words of one file that its room may not have, a line each: place, then fault.
/// `path` is relative to the package, with `/`.
fn room_faults(path: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let Some((room, _)) = path.strip_prefix("src/").and_then(|inside| inside.split_once('/')) else {
        return faults;
    };
    let Some(allowed) = arrows_of(room) else {
        faults.push(format!("{path}: the room `{room}` is not in the table of arrows of tests/architecture"));
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
#[derive(Clone)]
struct Token {
    text: String,
    line: usize,
}

/// The tokens of `stream` in order, without literals (doc comments are literals too) and without
/// test modules.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        if let Some((_, length)) = test_module(&trees[at..]) {
            at += length;
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

/// The name of the module and the number of trees, where `#[cfg(test)] mod name { … }` or
/// `#[cfg(test)] mod name;` stands here, whoever may see it. Tests that want a feature too, as in
/// `#[cfg(all(test, …))]`, are tests.
fn test_module(trees: &[TokenTree]) -> Option<(String, usize)> {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), rest @ ..] = trees else { return None };
    let attribute = attribute.stream().to_string().replace([' ', '\n'], "");
    let seen_by = match rest {
        [TokenTree::Ident(word), TokenTree::Group(_), ..] if *word == "pub" => 2,
        [TokenTree::Ident(word), ..] if *word == "pub" => 1,
        _ => 0,
    };
    let [TokenTree::Ident(keyword), TokenTree::Ident(name), body, ..] = rest.get(seen_by..)? else { return None };
    let is_test = hash.as_char() == '#'
        && (attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,"))
        && *keyword == "mod"
        && match body {
            TokenTree::Group(body) => body.delimiter() == Delimiter::Brace,
            end => end.to_string() == ";",
        };
    is_test.then(|| (name.to_string(), 5 + seen_by))
}

fn starts_with(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.text == *word)
}

/// The first names below the crate where a path begins here: one for `crate::a::B`, several for
/// `crate::{a::B, c}`. Rooms are folders of the crate, so `super::super::…` out of a room would be
/// an arrow too: the rooms do not nest that deep, and `crate::` is how we write it.
fn rooms_named(tokens: &[Token]) -> Vec<Token> {
    // A room that is a package of its own.
    let package = tokens.first().and_then(|token| Some((token.text.strip_prefix("darts_")?, token.line)));
    if let Some((room, line)) = package {
        return vec![Token { text: room.to_owned(), line }];
    }
    if !starts_with(tokens, &["crate", ":", ":"]) {
        return Vec::new();
    }
    let rest = &tokens[3..];
    if !starts_with(rest, &["{"]) {
        return rest.first().cloned().into_iter().collect();
    }
    let mut depth = 0;
    let mut names = Vec::new();
    for (at, token) in rest.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(rest[at - 1].text.as_str(), "{" | ",") => names.push(token.clone()),
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
    assert_eq!(room_faults("src/model/cell.rs", source), ["src/model/cell.rs:3: `model` may not use `train`"]);
}

#[test]
fn a_room_that_is_a_package_is_a_room() {
    assert_eq!(
        room_faults("src/space/cost.rs", "use darts_data::Split;"),
        ["src/space/cost.rs:1: `space` may not use `data`"]
    );
    assert!(room_faults("src/data/digits.rs", "use darts_machine::Lines;").is_empty());
}

#[test]
fn every_branch_of_a_use_tree_is_followed() {
    let source = "use crate::{\n    space::{network::train, cost},\n    data::Split,\n    tasks,\n};";
    assert_eq!(
        room_faults("src/model/cell.rs", source),
        ["src/model/cell.rs:3: `model` may not use `data`", "src/model/cell.rs:4: `model` may not use `tasks`"]
    );
}

#[test]
fn allowed_arrows_and_the_own_room_pass() {
    assert!(room_faults("src/model/cell.rs", "use crate::{model::edge, space::network};").is_empty());
    assert!(room_faults("src/stages/search.rs", "use crate::train::Loop;").is_empty());
    assert_eq!(room_faults("src/stages/search.rs", "use crate::cli::Args;").len(), 1);
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
        #[cfg(test)]
        pub(super) mod samples { use crate::cli; }
    "##;
    assert!(room_faults("src/space/cost.rs", source).is_empty());
}

#[test]
fn files_of_tests_are_known_from_their_mod_line() {
    let found = test_files("src/space/mod.rs", "mod cost;\n#[cfg(test)]\nmod parity;\n#[cfg(test)] mod tests {}");
    assert!(found.contains(&"src/space/parity.rs".to_owned()), "{found:?}");
    assert!(!found.contains(&"src/space/cost.rs".to_owned()), "{found:?}");
    assert!(test_files("src/space/cost.rs", "#[cfg(test)] mod tests;").contains(&"src/space/cost/tests.rs".to_owned()));
}

#[test]
fn code_after_a_test_module_counts() {
    let source = "#[cfg(test)]\nmod tests { use crate::cli; }\nuse burn::Tensor;";
    assert_eq!(
        room_faults("src/space/cost.rs", source),
        ["src/space/cost.rs:3: `burn` in `space`: this room knows nothing of tensors"]
    );
}

#[test]
fn only_three_rooms_write_to_the_terminal() {
    let source = "fn f() { println!(\"{}\", 1); std::io::stderr().flush(); }";
    assert_eq!(room_faults("src/train/loop.rs", source).len(), 2);
    assert!(room_faults("src/observe/plain.rs", source).is_empty());
}

#[test]
fn words_inside_macros_are_found() {
    assert_eq!(room_faults("src/plan/key.rs", "fn f() { g!(burn::Tensor) }").len(), 1);
}

#[test]
fn a_long_file_and_an_unknown_room_are_faults() {
    assert!(length_fault("src/lib.rs", &"\n".repeat(500)).is_none());
    assert!(length_fault("src/lib.rs", &"\n".repeat(501)).is_some());
    assert_eq!(room_faults("src/utils/misc.rs", "").len(), 1);
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
