//! What the program writes: to standard output whole or with an error, into files only what the
//! user can spare.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::{
    edited::edited,
    scratch::{Ended, Scratch},
};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    process::Command,
};

const CELL: &str = "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|none~1|none~2|";

fn golden(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).to_str().unwrap().to_owned()
}

/// `predict` on a golden file, which holds weights and images and says what network it is.
fn predict(scratch: &Scratch, weights: &str, more: &[&str]) -> Ended {
    scratch.run(&[&["predict", "--weights", weights, "--input", weights], more].concat())
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs `/dev/full`, which only Linux has")]
fn output_that_cannot_be_written_is_an_error_of_every_command() {
    let scratch = Scratch::new();
    scratch.write(
        "work.yaml",
        "images: {channels: 1, size: 8, classes: 3}\nsearch: {space: nas_bench_201, channels: 2, size: 1}\n",
    );
    scratch.run(&["tiny.yaml"]).exits(0);
    let file = golden("nb201_supernet.safetensors");
    let bench = ["bench", "--work", "work.yaml", "--batch", "2", "--steps", "1", "--warm", "0"];
    for command in [
        &["--help"][..],
        &["--version"],
        &["show", "--help"],
        &["tiny.yaml"],
        &["tiny.yaml", "--resolve"],
        &["show", CELL],
        &["store", "gc"],
        &["store", "gc", "--dry-run"],
        &["export", "tiny/cell", "--to", "genotype", "--output", "-"],
        &["export", "tiny/cell", "--to", "genotype", "--output", "cell.txt"],
        &["predict", "--weights", &file, "--input", &file, "--output", "logits.safetensors"],
        &["parity", &file],
        &["parity", &file, "--json"],
        &bench,
        &[&bench[..], &["--json"]].concat(),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = scratch.run_into(full, command).exits(1);
        assert!(ended.stderr.contains("error: failed to write to standard output: No space left"), "{command:?}");
    }
    // Files that are named fill up as well.
    let lost = scratch.run(&["tiny.yaml", "--set", "search.epochs=1", "--events", "/dev/full"]).exits(1);
    assert!(lost.stderr.contains("no more events are written to `/dev/full`"), "{}", lost.stderr);
    let full = predict(&scratch, &file, &["--output", "/dev/full"]).exits(1);
    assert!(full.stderr.contains("failed to write `/dev/full`"), "{}", full.stderr);
    // How a run ended says more than that its report was not printed.
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let missed = "{of: [search], expect: [{value: search.train_loss, at_most: 0}]}";
    scratch.edit("tiny.yaml", &[("{of: [images, search, cell, table]}", missed)]);
    let ended = scratch.run_into(full, &["tiny.yaml"]).exits(5);
    assert!(ended.stderr.contains("error: failed to write to standard output"), "{}", ended.stderr);
}

#[test]
fn a_reader_that_leaves_early_loses_no_report() {
    let scratch = Scratch::new();
    let text = scratch.read("tiny.yaml");
    scratch.write("tiny.yaml", &(text + "  second: {report: {of: search}}\n"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = scratch.run_into(writer, &["tiny.yaml"]).exits(0);
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
    for report in ["report", "second"] {
        for file in ["report.md", "report.html", "report.json", "report.txt", "times.txt"] {
            assert!(scratch.path("artifacts/reports/tiny").join(report).join(file).is_file(), "{report}/{file}");
        }
    }
}

#[test]
fn a_report_is_the_same_however_long_its_stages_took_and_the_times_stand_beside_it() {
    let scratch = Scratch::new();
    let one = scratch.run(&["tiny.yaml", "--store", "one"]).exits(0);
    scratch.run(&["tiny.yaml", "--store", "other"]).exits(0);
    assert_eq!(scratch.outputs("one", "report"), scratch.outputs("other", "report"));
    assert!(
        one.stdout.contains("Time, of the stages' records and no part of the report:\n  images  "),
        "{}",
        one.stdout
    );
    let times = scratch.read("one/reports/tiny/report/times.txt");
    assert!(one.stdout.contains(&times) && times.lines().count() == 5, "{times}");
    for file in ["report.txt", "report.md", "report.html", "report.json"] {
        let text = fs::read_to_string(scratch.path("one/reports/tiny/report").join(file)).unwrap();
        assert!(!text.contains("time (s)") && !text.contains("wall_seconds"), "{file}");
    }
}

#[test]
fn a_report_has_the_name_of_its_own_pipeline() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml", "--set", "search.epochs=1"]).exits(0);
    scratch.write("twin.yaml", "extends: tiny.yaml\nname: twin\n");
    let twin = scratch.run(&["twin.yaml", "--set", "search.epochs=1"]).exits(0);
    twin.line(&["search", "cached"]);
    let page = scratch.read("artifacts/reports/twin/report/report.html");
    assert!(page.contains("<title>twin</title>") && !page.contains("tiny"), "{page}");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_no_sudden_end() {
    let scratch = Scratch::new();
    let program = env!("CARGO_BIN_EXE_darts-run");
    let limited = format!("ulimit -f 1; exec '{program}' tiny.yaml --set search.epochs=1");
    let mut shell = Command::new("sh");
    let ended = shell.args(["-c", &limited]).current_dir(scratch.path("")).env_remove("DARTS_RUN_STORE").output();
    let ended = ended.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(4), "{said}");
    assert!(said.contains("File too large"), "{said}");
}

#[test]
fn names_share_no_folder_and_a_name_too_long_is_refused_where_it_stands() {
    let scratch = Scratch::new();
    let stages = "stages:\n  images: {prepare: {synthetic: {train: 8, test: 4}}}\n  report: {report: {of: images, title: TITLE}}\n";
    for (name, folder) in [("a b", "a%20b"), ("a?b", "a%3fb"), ("a%20b", "a%2520b")] {
        let stages = edited(stages, &[("TITLE", &format!("'of {name}'"))]);
        scratch.write("p.yaml", &format!("name: '{name}'\n{stages}"));
        scratch.run(&["p.yaml"]).exits(0);
        let text = fs::read_to_string(scratch.path("artifacts/reports").join(folder).join("report/report.md")).unwrap();
        assert!(text.starts_with(&format!("# of {name}\n")), "{text}");
    }
    for length in [200, 201, 300] {
        scratch.write("long.yaml", &format!("name: {}\n{}", "n".repeat(length), stages));
        let ended = scratch.run(&["long.yaml", "--store", "long"]);
        if length == 200 {
            ended.exits(0);
            fs::remove_dir_all(scratch.path("long")).unwrap();
            continue;
        }
        let ended = ended.exits(3);
        let said = format!("the name of the pipeline is {length} bytes long, 200 are the limit");
        assert!(ended.stderr.contains(&said) && ended.stderr.contains("long.yaml:1:7"), "{}", ended.stderr);
        assert!(!scratch.path("long").exists(), "nothing was started");
    }
    let long = edited(stages, &[("  report: {", &format!("  {}: {{", "s".repeat(201)))]);
    scratch.write("long.yaml", &format!("name: x\n{long}"));
    let ended = scratch.run(&["long.yaml"]).exits(3);
    assert!(
        ended.stderr.contains("the name of a stage is 201 bytes long") && ended.stderr.contains("long.yaml:4:3"),
        "{}",
        ended.stderr
    );
}

#[test]
fn no_form_of_a_report_shows_what_a_title_hides_or_links_to() {
    let scratch = Scratch::new();
    let title = "\"turn\\u202Eed \\e[31m![p](http://a.b/c.png) <img src=x>\"";
    let stages = format!(
        "stages:\n  images: {{prepare: {{synthetic: {{train: 8, test: 4}}}}}}\n  report: {{report: {{of: images, title: {title}}}}}\n"
    );
    scratch.write("p.yaml", &format!("name: p\n{stages}"));
    let ended = scratch.run(&["p.yaml"]).exits(0);
    let read = |form: &str| fs::read_to_string(scratch.path("artifacts/reports/p/report").join(form)).unwrap();
    let [text, markdown, html] = ["report.txt", "report.md", "report.html"].map(read);
    for form in [&ended.stdout, &ended.stderr, &text, &markdown, &html] {
        assert!(!form.contains(['\u{202e}', '\u{1b}']), "{form}");
    }
    assert!(text.starts_with("turned [31m![p](http://a.b/c.png) <img src=x>"), "{text}");
    assert!(markdown.starts_with("# turned [31m![p\\](http://a.b/c.png) \\<img src=x>"), "{markdown}");
    assert!(html.contains("<h1>turned [31m![p](http://a.b/c.png) &lt;img src=x&gt;</h1>"), "{html}");
    // What is wrong is quoted without it too.
    scratch
        .write("wrong.yaml", &format!("name: {title}\nstagse: 1\nabout: [{title}]\nmatrix: {{s: {title}}}\n{stages}"));
    let ended = scratch.run(&["wrong.yaml"]).exits(3);
    assert!(ended.stderr.contains("stagse") && !ended.stderr.contains(['\u{202e}', '\u{1b}']), "{}", ended.stderr);
}

#[test]
fn events_replace_no_file_unasked_and_never_the_pipeline() {
    let scratch = Scratch::new();
    let text = scratch.read("tiny.yaml");
    scratch.write("derived.yaml", "extends: tiny.yaml\nname: derived\n");
    for (pipeline, events) in
        [("tiny.yaml", "tiny.yaml"), ("derived.yaml", "derived.yaml"), ("derived.yaml", "tiny.yaml")]
    {
        for force in [&[][..], &["--force"]] {
            let ended = scratch.run(&[&[pipeline, "--events", events], force].concat()).exits(3);
            assert!(ended.stderr.contains(&format!("`{events}` is what this command reads")), "{}", ended.stderr);
        }
    }
    assert_eq!(scratch.read("tiny.yaml"), text);
    assert!(!scratch.path("artifacts").exists(), "nothing was started");

    scratch.write("events", "mine");
    let ended = scratch.run(&["tiny.yaml", "--events", "events"]).exits(3);
    assert!(ended.stderr.contains("`events` is there already") && ended.stderr.contains("--force"), "{}", ended.stderr);
    assert_eq!(scratch.read("events"), "mine");
    // What a stage reads is as safe as any other file that is none of events.
    let ended = scratch.run(&["tiny.yaml", "--events", "events", "--force"]).exits(3);
    assert!(ended.stderr.contains("`events` is there and holds no events"), "{}", ended.stderr);
    assert_eq!(scratch.read("events"), "mine");
    scratch.write("events", "");
    for _ in 0..2 {
        scratch.run(&["tiny.yaml", "--events", "events", "--force"]).exits(0);
        assert!(scratch.read("events").starts_with("{\"elapsed_seconds\""));
    }
    scratch.run(&["tiny.yaml", "--events", "no/events"]).exits(3);
    scratch.run(&["tiny.yaml", "--force"]).exits(2);

    scratch.run(&["tiny.yaml", "--events", "/dev/null"]).exits(0);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn predict_and_export_destroy_nothing() {
    let scratch = Scratch::new();
    fs::copy(golden("nb201_supernet.safetensors"), scratch.path("w.safetensors")).unwrap();
    let weights = fs::read(scratch.path("w.safetensors")).unwrap();
    fs::hard_link(scratch.path("w.safetensors"), scratch.path("hard.safetensors")).unwrap();
    scratch.write("cell.txt", CELL);
    for output in ["w.safetensors", "hard.safetensors", "./w.safetensors"] {
        for force in [&["--output", output][..], &["--output", output, "--force"]] {
            let ended = predict(&scratch, "w.safetensors", force).exits(3);
            assert!(ended.stderr.contains(&format!("`{output}` is what this command reads")), "{}", ended.stderr);
            let export = ["export", "--weights", "w.safetensors", "--to", "safetensors"];
            scratch.run(&[&export[..], force].concat()).exits(3);
        }
    }
    let export = ["export", "--weights", "w.safetensors", "--genotype", "cell.txt", "--to", "genotype", "--force"];
    scratch.run(&[&export[..], &["--output", "cell.txt"]].concat()).exits(3);
    assert_eq!(fs::read(scratch.path("w.safetensors")).unwrap(), weights);
    assert_eq!(scratch.read("cell.txt"), CELL);

    let logits = scratch.path("logits");
    predict(&scratch, "w.safetensors", &["--output", "logits"]).exits(0);
    let written = fs::read(&logits).unwrap();
    let ended = predict(&scratch, "w.safetensors", &["--output", "logits"]).exits(3);
    assert!(ended.stderr.contains("`logits` is there already") && ended.stderr.contains("--force"), "{}", ended.stderr);
    predict(&scratch, "w.safetensors", &["--output", "logits", "--force"]).exits(0);
    assert_eq!(fs::read(&logits).unwrap(), written);

    File::create(scratch.path("kept")).unwrap().set_permissions(Permissions::from_mode(0o400)).unwrap();
    let ended = predict(&scratch, "w.safetensors", &["--output", "kept", "--force"]).exits(3);
    assert!(ended.stderr.contains("`kept` is there and must not be written"), "{}", ended.stderr);
    assert_eq!(fs::read(scratch.path("kept")).unwrap(), b"");

    std::os::unix::fs::symlink("logits", scratch.path("link")).unwrap();
    fs::write(&logits, "older").unwrap();
    predict(&scratch, "w.safetensors", &["--output", "link", "--force"]).exits(0);
    assert!(scratch.path("link").is_symlink() && fs::read(&logits).unwrap() == written);
    predict(&scratch, "w.safetensors", &["--output", "/dev/null"]).exits(0);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn what_is_found_by_its_name_is_as_safe_as_what_is_named_by_its_path() {
    let scratch = Scratch::new();
    let shipped = fs::read_link(scratch.path("search_spaces")).unwrap();
    fs::remove_file(scratch.path("search_spaces")).unwrap();
    fs::create_dir_all(scratch.path("search_spaces/genotypes")).unwrap();
    let space = fs::read_to_string(shipped.join("nas_bench_201.yaml")).unwrap();
    scratch.write("search_spaces/nas_bench_201.yaml", &space);
    scratch.write("search_spaces/genotypes/mine.txt", CELL);
    let cells = format!("A = '{CELL}'\nB = '{CELL}'\n");
    scratch.write("cells.py", &cells);
    fs::copy(golden("nb201_supernet.safetensors"), scratch.path("w.safetensors")).unwrap();
    let home = scratch.path("");
    let export = |genotype: &str, output: &str| {
        let words = ["export", "--weights", "w.safetensors", "--to", "genotype", "--force"];
        let more = ["--genotype", genotype, "--output", output];
        scratch.run_with(&[("HOME", home.to_str().unwrap())], &[&words[..], &more].concat())
    };
    for (genotype, file, text) in [
        ("mine", "search_spaces/genotypes/mine.txt", CELL),
        ("MINE", "search_spaces/genotypes/mine.txt", CELL),
        ("cells.py:A", "cells.py", &cells),
        ("~/cells.py:A", "cells.py", &cells),
        (CELL, "search_spaces/nas_bench_201.yaml", &space),
    ] {
        let ended = export(genotype, file).exits(3);
        assert!(ended.stderr.contains(&format!("`{file}` is what this command reads")), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(scratch.path(file)).unwrap(), text, "{genotype}");
    }
    export("~/cells.py:A", "~/out.txt").exits(0);
    assert_eq!(scratch.read("out.txt").trim_end(), CELL);
    assert!(!scratch.path("~").exists());
    let ended = predict(&scratch, "w.safetensors", &["--output", "-"]).exits(2);
    assert!(ended.stderr.contains("`--output -` names no file") && !scratch.path("-").exists(), "{}", ended.stderr);
}

#[test]
fn no_file_of_a_store_is_written_over() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml", "--set", "search.epochs=1"]).exits(0);
    let object = scratch.files("artifacts/objects-v1").remove(0);
    let object = object.strip_prefix(scratch.path("")).unwrap().to_str().unwrap();
    let before = fs::read(scratch.path(object)).unwrap();
    let export = ["export", "tiny/cell", "--to", "genotype", "--force", "--output"];
    for path in [object, "artifacts/CACHEDIR.TAG", "artifacts/locks-v1/new", "artifacts/actions-v1/../work-v1/new"] {
        for words in [&export[..], &["tiny.yaml", "--force", "--events"]] {
            let ended = scratch.run(&[words, &[path]].concat()).exits(3);
            assert!(ended.stderr.contains(&format!("`{path}` is a file of the store `")), "{}", ended.stderr);
        }
    }
    assert_eq!(fs::read(scratch.path(object)).unwrap(), before);
    scratch.run(&["store", "verify"]).exits(0);
    scratch.run(&[&export[..], &["artifacts/cell.txt"]].concat()).exits(0);
}

#[test]
fn graphs_completions_and_manuals_are_written_for_others_to_draw() {
    let scratch = Scratch::new();
    let graph = |format: &str| scratch.run(&["graph", "tiny.yaml", "--format", format]).exits(0).stdout;
    let mermaid = graph("mermaid");
    assert!(mermaid.starts_with("flowchart LR\n  s0[\"images<br/>prepare\"]\n"), "{mermaid}");
    assert!(mermaid.contains("  s0 --> s1\n"), "{mermaid}");
    let dot = graph("dot");
    assert!(dot.starts_with("digraph \"tiny\" {\n") && dot.ends_with("  s3 -> s4;\n}\n"), "{dot}");
    let part = scratch.run(&["graph", "tiny.yaml", "search"]).exits(0).stdout;
    assert_eq!(part.lines().count(), 4, "{part}");
    assert!(scratch.run(&["completions", "bash"]).exits(0).stdout.contains("verify-resume"));
    assert!(scratch.run(&["man"]).exits(0).stdout.contains(".TH darts"));
    assert!(scratch.run(&["man", "plan"]).exits(0).stdout.contains("darts\\-run\\-plan"));
    let doctor = scratch.run(&["doctor"]).exits(0).stdout;
    assert!(doctor.contains("\nstore      `artifacts` is not there yet, "), "{doctor}");
    assert!(doctor.lines().all(|line| line.chars().count() <= 80), "{doctor}");
    let list = |what: &str| scratch.run(&["list", what]).exits(0).stdout;
    assert!(
        list("kinds").contains("\nderive     reads search (one or more of search), judged_by ("),
        "{}",
        list("kinds")
    );
    assert!(list("tasks").lines().any(|line| line == "super_resolution"));
    assert!(
        list("primitives").lines().any(|line| line == "pixel_shuffle      in heads only"),
        "{}",
        list("primitives")
    );
    scratch.run(&["man", "plant"]).exits(2).line(&["there is no command `plant`"]);
}
