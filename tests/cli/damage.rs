//! Files of a store damaged as disks and hands damage them: none is believed, each is named, a
//! rerun heals.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::Scratch;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Another number by `STORE_DAMAGES=300 cargo test --test cli damage`.
const DAMAGES: usize = 24;

const RUN: [&str; 3] = ["tiny.yaml", "--set", "search.epochs=1"];
const EXPORT: [&str; 7] = ["export", "tiny/search", "--to", "safetensors", "--output", "out.safetensors", "--force"];

const KINDS_OF_DAMAGE: [&str; 4] = ["a flipped bit", "cut short", "longer", "another's"];

/// Writes `path` anew, damaged; with its old time or the present one.
fn damage(kind: &str, path: &Path, other: &Path, keep_time: bool, random: &mut ChaCha8Rng) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    match kind {
        "a flipped bit" => {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
        }
        "cut short" => bytes.truncate(random.random_range(0..bytes.len())),
        "another's" if other != path => bytes = fs::read(other).unwrap(),
        _ => bytes.push(b'\n'),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    if keep_time {
        File::open(path).unwrap().set_modified(time).unwrap();
    }
}

/// The outputs of every record, by its file.
fn results(scratch: &Scratch) -> BTreeMap<PathBuf, Json> {
    let outputs = |path: &Path| serde_json::from_slice::<Json>(&fs::read(path).unwrap()).unwrap()["outputs"].take();
    scratch.files("artifacts/actions-v1").into_iter().map(|path| (path.clone(), outputs(&path))).collect()
}

#[test]
fn whatever_file_is_damaged_it_is_not_believed_but_named_and_a_rerun_heals() {
    let count = std::env::var("STORE_DAMAGES").map_or(DAMAGES, |count| count.parse().unwrap());
    let scratch = Scratch::new();
    scratch.run(&RUN).exits(0);
    scratch.run(&EXPORT).exits(0);
    let (sound, exported) = (results(&scratch), fs::read(scratch.path("out.safetensors")).unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for at in 0..count {
        let folder = ["objects-v1", "actions-v1", "objects-v1", "last-v1", "actions-v1", "files-v2"][at % 6];
        let files = scratch.files(&format!("artifacts/{folder}"));
        let mut pick = || &files[random.random_range(0..files.len())];
        let (path, other) = (pick(), pick());
        let kind = KINDS_OF_DAMAGE[random.random_range(0..KINDS_OF_DAMAGE.len())];
        let keep_time = random.random();
        damage(kind, path, other, keep_time, &mut random);

        let what = format!("damage {at}: {kind} at `{}`, time kept: {keep_time}", path.display());
        let export = scratch.run(&EXPORT);
        match export.code {
            Some(0) => assert_eq!(fs::read(scratch.path("out.safetensors")).unwrap(), exported, "{what}"),
            code => assert_eq!(code, Some(4), "{what}: {}", export.stderr),
        }
        let verified = scratch.run(&["store", "verify"]);
        let name = Path::new("artifacts").join(path.strip_prefix(scratch.path("artifacts")).unwrap());
        let told = [export.stderr, verified.stdout].concat();
        assert!(told.contains(&format!("`{}` is damaged: ", name.display())), "{what}: {told}");
        scratch.run(&RUN).exits(0);
        assert_eq!(results(&scratch), sound, "{what}");
        let healed = scratch.run(&["store", "verify"]).exits(0);
        assert!(healed.stdout.contains("files are whole"), "{}", healed.stdout);
        scratch.run(&EXPORT).exits(0);
        assert_eq!(fs::read(scratch.path("out.safetensors")).unwrap(), exported, "{what}");
    }
}

#[test]
fn verify_names_what_is_damaged_and_which_stages_run_again() {
    let scratch = Scratch::new();
    scratch.run(&RUN).exits(0);
    let files = ["objects-v1", "actions-v1", "last-v1", "files-v2", "listings-v2"];
    let count: usize = files.iter().map(|folder| scratch.files(&format!("artifacts/{folder}")).len()).sum();
    let sound = scratch.run(&["store", "verify"]).exits(0);
    assert!(sound.stdout.starts_with(&format!("{count} files are whole (")), "{count}: {}", sound.stdout);

    let weights = &scratch.outputs("artifacts", "search")["weights"];
    let object = format!("artifacts/objects-v1/{}/{}", &weights[..2], &weights[2..]);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    damage("a flipped bit", &scratch.path(&object), Path::new(""), true, &mut random);
    // Size and time are as they were, and nothing reads it.
    scratch.run(&RUN).exits(0).line(&["search", "cached"]);
    let found = scratch.run(&["store", "verify"]).exits(4);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("`{object}` is damaged: its bytes have the digest `")), "{lines:?}");
    assert_eq!(lines[1], "tiny/search runs again");
    assert!(lines.len() == 3 && lines[2].starts_with(&format!("{} files are whole (", count - 1)), "{lines:?}");
    assert!(found.stderr.contains("1 file of the store `artifacts` cannot be believed"), "{}", found.stderr);
    assert!(scratch.path(&object.replace("artifacts/", "artifacts/damaged-v1/")).exists());
    let mended = scratch.run(&RUN).exits(0);
    mended.line(&["search", "ran, because output weights is missing from the store"]);
    mended.line(&["cell", "cached"]);
    let none = scratch.run(&["store", "verify", "--store", "elsewhere"]).exits(3);
    assert!(none.stderr.contains("`elsewhere` is no store") && !scratch.path("elsewhere").exists());
}
