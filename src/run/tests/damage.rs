//! What is damaged, lost, or cannot be written.

use super::*;
use std::{os::unix::fs::PermissionsExt, path::Path};

fn flip_a_byte(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
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
fn a_byte_flipped_during_the_run_is_found_before_it_is_read_and_a_rerun_recovers() {
    let (folder, store) = scratch();
    let root = folder.path().join("artifacts");
    let story = Story::default().stage("a", &[]).stage("b", &[]).stage("c", &["a"]).doing("b", move |context| {
        context.publish_bytes("out", b"b")?;
        for path in objects(&Store::open(&root)?) {
            flip_a_byte(&path);
        }
        Ok(())
    });
    let told = {
        let ear = Ear::default();
        let report = story.run_with(&store, &Stop::new(), &ear);
        Told { report, worked: String::new(), events: ear.0.into_inner().unwrap() }
    };
    assert_eq!(told.exit_code(), 4);
    let Outcome::Failed { message } = told.outcome("c") else { panic!("{:?}", told.outcome("c")) };
    assert!(message.contains("is damaged"), "{message}");
    let told = Story::default().stage("a", &[]).stage("b", &[]).stage("c", &["a"]).tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a b c", 0));
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
