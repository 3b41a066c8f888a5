//! What is foreseen is what a run then does.

use super::*;

impl Story {
    /// Each member with what would become of it.
    fn foresee(&self, store: Option<&Store>) -> Vec<(String, Outlook)> {
        let (pipeline, stages) = self.planned();
        let ear = Ear::default();
        let foreseen = foresee(&pipeline, stages, store, &ear).unwrap();
        assert!(self.log.lock().unwrap().is_empty(), "nothing is made");
        foreseen.into_iter().map(|of| (of.stage, of.outlook)).collect()
    }
}

fn runs(reasons: Vec<DirtyReason>) -> Outlook {
    Outlook::Runs { reasons, from_checkpoint: false }
}

fn waits(on: &str) -> Outlook {
    Outlook::Waits { on: vec![on.to_owned()] }
}

#[test]
fn first_all_is_behind_the_first_and_then_all_is_there() {
    let (_folder, store) = scratch();
    let first = || [runs(vec![DirtyReason::NeverRun]), waits("a"), waits("b"), waits("a")];
    for store in [None, Some(&store)] {
        let foreseen = Story::fork().foresee(store);
        assert_eq!(foreseen.iter().map(|(_, outlook)| outlook).collect::<Vec<_>>(), first().iter().collect::<Vec<_>>());
    }
    Story::fork().tell(&store);
    assert!(Story::fork().foresee(Some(&store)).iter().all(|(_, outlook)| *outlook == Outlook::Cached));
}

#[test]
fn a_changed_key_is_told_and_what_does_not_read_it_is_there() {
    let (_folder, store) = scratch();
    Story::fork().tell(&store);
    let changed = Story::fork().with_param("b", json!(2));
    let reason = DirtyReason::ParamAdded { path: "value".to_owned(), new: json!(2) };
    let expected = [Outlook::Cached, runs(vec![reason]), waits("b"), Outlook::Cached];
    assert_eq!(changed.foresee(Some(&store)).into_iter().map(|(_, outlook)| outlook).collect::<Vec<_>>(), expected);
    assert_eq!(changed.tell(&store).worked, "b", "the same came of it, so that `c` need not run");
}

#[test]
fn equal_work_is_foreseen_once_and_damage_is_told() {
    let (_folder, store) = scratch();
    let twins = || {
        let mut story = Story::default().stage("a", &[]).stage("b", &[]);
        story.fake("b").params = json!({"name": "a"});
        story
    };
    let foreseen = twins().foresee(Some(&store));
    assert_eq!(foreseen[1].1, waits("a"));
    let told = twins().tell(&store);
    assert_eq!(told.worked, "a");

    let key = told.report.members[0].key.unwrap();
    fs::write(store.record_path(key), b"{").unwrap();
    let (pipeline, stages) = twins().planned();
    let ear = Ear::default();
    foresee(&pipeline, stages, Some(&store), &ear).unwrap();
    let heard = ear.0.into_inner().unwrap();
    assert!(matches!(&heard[..], [EventKind::Warning { .. }]), "{heard:?}");
}

#[test]
fn a_checkpoint_a_lost_output_and_a_file_that_is_not_there_are_seen() {
    let (_folder, store) = scratch();
    let stopped = Story::fork().doing("a", |context| {
        fs::write(context.work()?.join("checkpoint"), b"half").unwrap();
        Err(StageError::Interrupted)
    });
    stopped.tell(&store);
    let from_checkpoint = Outlook::Runs { reasons: vec![DirtyReason::NeverRun], from_checkpoint: true };
    assert_eq!(Story::fork().foresee(Some(&store))[0].1, from_checkpoint);

    let told = Story::fork().tell(&store);
    fs::remove_file(object_of(&store, &told, "d")).unwrap();
    let lost = runs(vec![DirtyReason::OutputMissing { name: "out".to_owned() }]);
    assert_eq!(Story::fork().foresee(Some(&store))[3].1, lost);

    let mut reads = Story::fork();
    reads.fake("d").resources = vec![("file".to_owned(), Resource::Path("nowhere/at/all".into()))];
    let Outlook::Unknown { why } = reads.foresee(Some(&store)).remove(3).1 else { panic!("it cannot be known") };
    assert!(why.contains("nowhere/at/all"), "{why}");
}
