//! `darts-run show`.

use crate::scratch::Scratch;
use std::path::Path;

/// The counts of the cells that ship, as they are printed: those of the tables that papers are
/// compared by.
#[test]
fn shipped_genotypes_are_counted_as_published() {
    let scratch = Scratch::new();
    let spaces = Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces");
    for (cell, classes, counts) in [
        ("darts_v1", None, ["3,169,414", "500,987,520", "4,510,432", "505,864,704"]),
        ("darts_v2", None, ["3,349,342", "528,359,040", "4,718,752", "529,911,552"]),
        ("pc_darts_cifar", None, ["3,634,678", "556,670,592", "5,270,560", "571,137,408"]),
        ("pc_darts_image", None, ["3,721,510", "570,466,944", "5,342,464", "581,627,328"]),
        ("ms_darts_c10_s5", None, ["3,963,862", "609,229,440", "5,578,624", "612,805,440"]),
        ("nasnet_a", None, ["3,830,950", "603,452,448", "5,564,320", "604,031,616"]),
        ("amoebanet_a", None, ["3,145,078", "488,931,552", "4,627,360", "526,746,624"]),
        ("darts_v2", Some("100"), ["3,401,272", "528,410,880", "100", "224x224"]),
    ] {
        let genotype = spaces.join(format!("genotypes/{cell}.txt")).display().to_string();
        let space = spaces.join("darts.yaml").display().to_string();
        let mut arguments = vec!["show", &genotype, "--space", &space];
        arguments.extend(classes.into_iter().flat_map(|classes| ["--classes", classes]));
        let shown = scratch.run(&arguments).exits(0).stdout;
        for count in counts {
            assert!(shown.contains(count), "{cell}: no {count} in\n{shown}");
        }
    }
}

/// What people have is shown, and the choice among several told.
#[test]
fn a_log_and_a_source_file_are_shown_and_a_bad_text_is_one_error() {
    let scratch = Scratch::new();
    let spaces = Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces/genotypes");
    let [first, second] = ["darts_v1", "darts_v2"].map(|name| {
        let text = std::fs::read_to_string(spaces.join(format!("{name}.txt"))).expect("what ships can be read");
        text.lines().find(|line| !line.starts_with('#')).expect("a genotype is in it").to_owned()
    });
    scratch.write("search(1).log", &format!("epoch 0 genotype = {first}\nepoch 1 genotype = {second}\n"));
    let shown = scratch.run(&["show", "search(1).log"]).exits(0);
    assert!(shown.stdout.contains("3,349,342"), "{}", shown.stdout);
    assert_eq!(shown.stderr, "note: `search(1).log`: the last of 2 genotypes is taken, in line 2\n");
    scratch.write("genotypes.py", &format!("V1 = {first}\n\nV2 = {second}\n"));
    assert!(scratch.run(&["show", "genotypes.py:v1"]).exits(0).stdout.contains("3,169,414"));
    let several = scratch.run(&["show", "genotypes.py"]).exits(3).stderr;
    assert!(several.contains("several genotypes are in the text: `V1`, `V2`"), "{several}");
    let bad = scratch.run(&["show", "Genotype(normal=[('skip_connect', one)])"]).exits(3).stderr;
    let error = "error: no genotype can be read in `Genotype(normal=[('skip_connect', one)])`, which is no file either: \
                 line 1, column 35: `one` is a name, not a value\n hint: a genotype is `Genotype(";
    assert!(bad.starts_with(error), "{bad}");
    // A benchmark's cell by its number.
    assert!(scratch.run(&["show", "9930"]).exits(0).stdout.contains("Cell 9930 of 15625"));
}
