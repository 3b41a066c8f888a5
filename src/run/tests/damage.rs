//! What is damaged, lost, or cannot be written.

use super::*;
use std::{os::unix::fs::PermissionsExt, path::Path};

fn flip_a_byte(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// As a failing disk does it.
fn flip_a_byte_unseen(path: &Path) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    flip_a_byte(path);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_damaged_or_lost_object_is_made_again() {
    let (_folder, store) = scratch();
    let told = Story::fork().tell(&store);
    let path = object_of(&store, &told, "b");
    flip_a_byte(&path);
    let told = Story::fork().tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("b", 0));
    assert_eq!(told.reasons("b"), DirtyReason::OutputMissing { name: "out".to_owned() }.to_string());
    assert_eq!(told.warnings().len(), 1);
    assert!(told.warnings()[0].starts_with(&format!("`{}` is damaged", path.display())), "{:?}", told.warnings());

    fs::remove_file(&path).unwrap();
    let told = Story::fork().tell(&store);
    assert_eq!((told.worked.as_str(), told.warnings().len()), ("b", 0));
    assert_eq!(Story::fork().tell(&store).worked, "");
}

#[test]
fn a_byte_flipped_unseen_is_found_by_who_reads_it_and_what_it_was_of_is_made_again_at_once() {
    let (_folder, store) = scratch();
    let story = Story::fork();
    let sound = story.tell(&store);
    let path = object_of(&store, &sound, "a");
    let of_d = fs::read(object_of(&store, &sound, "d")).unwrap();
    flip_a_byte_unseen(&path);
    let report = story.run_with(&store, &Stop::new(), &Ear::default());
    assert!(report.members.iter().all(|member| member.outcome == Outcome::Cached), "nobody read it");

    let told = story.with_param("d", json!(2)).tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("d a d", 0));
    assert_eq!(told.warnings().len(), 1);
    assert!(told.warnings()[0].starts_with(&format!("`{}` is damaged", path.display())), "{:?}", told.warnings());
    assert_eq!(told.reasons("a"), DirtyReason::OutputMissing { name: "out".to_owned() }.to_string());
    assert_eq!(fs::read(object_of(&store, &told, "d")).unwrap(), of_d);
}

#[test]
fn objects_in_each_others_place_are_both_made_again() {
    let (_folder, store) = scratch();
    let story = Story::default().stage("a", &[]).stage("b", &[]).stage("both", &["a", "b"]);
    let sound = story.tell(&store);
    let (a, b) = (object_of(&store, &sound, "a"), object_of(&store, &sound, "b"));
    let aside = a.with_extension("aside");
    for (from, to) in [(&a, &aside), (&b, &a), (&aside, &b)] {
        fs::rename(from, to).unwrap();
    }
    let told = story.with_param("both", json!(2)).tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("both a both b both", 0));
    assert_eq!(fs::read(object_of(&store, &told, "both")).unwrap(), b"both:a:b:");
}

#[test]
fn a_disk_that_damages_all_that_it_is_given_ends_the_run() {
    let (_folder, store) = scratch();
    let at = Arc::new(Mutex::new(PathBuf::new()));
    let (known, path) = (Arc::clone(&at), Arc::clone(&at));
    let root = store.clone();
    let story = Story::fork()
        .doing("a", move |context| {
            let object = context.publish_bytes("out", b"a")?;
            *known.lock().unwrap() = root.object_path(&object.digest);
            Ok(())
        })
        .doing("b", move |context| {
            flip_a_byte_unseen(&path.lock().unwrap());
            context.input("from")?.output("out")?.text().map(drop)
        });
    let report = story.run_with(&store, &Stop::new(), &Ear::default());
    assert_eq!(report.ending().exit_code(), 4);
    let Outcome::Failed { message } = &report.members[1].outcome else { panic!("{:?}", report.members[1]) };
    assert!(message.contains("is damaged"), "{message}");
    assert_eq!(story.log.lock().unwrap().join(" "), "a b a b");
    assert_eq!(Story::fork().tell(&store).exit_code(), 0);
}

#[test]
fn a_record_in_the_place_of_another_is_put_aside_and_its_stage_runs_again() {
    let (_folder, store) = scratch();
    let sound = Story::fork().tell(&store);
    let path = |at: usize| store.record_path(sound.report.members[at].key.unwrap());
    fs::copy(path(0), path(1)).unwrap();
    let told = Story::fork().tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("b", 0));
    assert_eq!(told.warnings().len(), 1);
    assert!(told.warnings()[0].starts_with(&format!("`{}` is damaged", path(1).display())), "{:?}", told.warnings());
    assert_eq!(Story::fork().tell(&store).worked, "");
}

#[test]
fn a_record_of_a_later_version_ends_the_run_with_the_way_out() {
    let (_folder, store) = scratch();
    let key = Story::fork().tell(&store).report.members[1].key.unwrap();
    // As a later version seals it.
    let text = "{\n  \"format\": 3";
    let seal = Digest::of(text.as_bytes());
    fs::write(store.record_path(key), format!("{text},\n  \"seal\": \"{seal}\"\n}}\n")).unwrap();
    for _ in 0..2 {
        let told = Story::fork().tell(&store);
        assert_eq!(told.exit_code(), 4);
        let Outcome::Failed { message } = told.outcome("b") else { panic!("{:?}", told.outcome("b")) };
        assert!(message.ends_with("use the version that wrote it, or another store"), "{message}");
    }
}

#[test]
fn what_is_remembered_of_a_stage_is_told_when_it_is_damaged_and_remembered_anew() {
    let (_folder, store) = scratch();
    let sound = Story::fork().tell(&store);
    let path = store.root().join("last-v1/story/b");
    fs::copy(store.root().join("last-v1/story/c"), &path).unwrap();
    let told = Story::fork().tell(&store);
    assert_eq!(told.worked, "");
    assert_eq!(told.warnings(), [format!("`{}` is damaged: it is of `story/c`", path.display())]);
    let key = sound.report.members[1].key.unwrap();
    assert_eq!(store.last("story", "b").unwrap(), Some(key.digest()));
    assert!(Story::fork().tell(&store).warnings().is_empty());
}

#[test]
fn a_record_cut_short_is_made_again_with_a_warning() {
    let (_folder, store) = scratch();
    let told = Story::fork().tell(&store);
    let path = store.record_path(told.report.members[1].key.unwrap());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let told = Story::fork().tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("b", 0));
    assert!(told.warnings()[0].contains(path.to_str().unwrap()), "{:?}", told.warnings());
    assert_eq!(Story::fork().tell(&store).worked, "");
}

#[test]
fn a_store_that_cannot_be_written_stops_the_run_and_leaves_nothing_half_published() {
    let (_folder, store) = scratch();
    let actions = store.root().join("actions-v1");
    fs::remove_dir(&actions).unwrap();
    fs::write(&actions, "in the way").unwrap();
    let told = Story::fork().tell(&store);
    assert_eq!(told.exit_code(), 4);
    let Outcome::Failed { message } = told.outcome("a") else { panic!("{:?}", told.outcome("a")) };
    assert!(message.contains(actions.to_str().unwrap()), "{message}");
    assert!(matches!(told.outcome("d"), Outcome::Skipped { .. }));
    fs::remove_file(&actions).unwrap();
    let store = Store::open(store.root()).unwrap();
    assert_eq!(Story::fork().tell(&store).exit_code(), 0);
}

#[test]
fn a_disk_that_fills_up_publishes_nothing_and_says_so() {
    let (_folder, store) = scratch();
    let told = Story::fork()
        .doing("a", |context| {
            context.publish("out", |w| {
                w.write_all(&[0; 100_000])?;
                Err(std::io::ErrorKind::StorageFull.into())
            })?;
            Ok(())
        })
        .tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a", 4));
    let Outcome::Failed { message } = told.outcome("a") else { panic!("{:?}", told.outcome("a")) };
    assert_eq!(message, &format!("the disk that holds `{}` is full", store.root().display()));
    assert_eq!(objects(&store).len(), 0);
    assert_eq!(Story::fork().tell(&store).worked, "a b c d");
}
