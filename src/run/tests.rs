//! Stories of whole runs: small pipelines of fake stages over a store in a scratch folder.

use super::*;
use crate::{
    config::{Effective, Member, Node, Origin, Pipeline, Runtime},
    plan::DirtyReason,
    store::{Digest, Store},
};
use serde_json::{Value as Json, json};
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, SystemTime},
};
use walkdir::WalkDir;

mod damage;
mod foreseeing;
mod gathering;
mod lanes;
mod manner;

type Act = Arc<dyn Fn(&mut Context<'_>) -> Result<(), StageError> + Send + Sync>;

#[derive(Clone)]
struct Fake {
    params: Json,
    resources: Vec<(String, Resource)>,
    reads_records: bool,
    reads: Option<&'static [&'static str]>,
    gathers: bool,
    act: Act,
    log: Arc<Mutex<Vec<String>>>,
}

impl Stage for Fake {
    fn resources(&self) -> Vec<(String, Resource)> {
        self.resources.clone()
    }

    fn reads_records(&self) -> bool {
        self.reads_records
    }

    fn reads(&self, _: &str) -> Option<&'static [&'static str]> {
        self.reads
    }

    fn gathers(&self, _: &str) -> bool {
        self.gathers
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        self.log.lock().unwrap().push(context.member().to_owned());
        (self.act)(context)
    }
}

/// A pipeline of fakes. Unless it is told otherwise, a stage publishes `out`: its parameter and all
/// that it reads.
#[derive(Clone, Default)]
struct Story {
    members: Vec<Member>,
    stages: Vec<Fake>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Story {
    /// `a → b → c` and `a → d`.
    fn fork() -> Self {
        Self::default().stage("a", &[]).stage("b", &["a"]).stage("c", &["b"]).stage("d", &["a"])
    }

    fn stage(mut self, name: &str, reads: &[&str]) -> Self {
        let reads: Vec<usize> =
            reads.iter().map(|read| self.members.iter().position(|member| member.name == *read).unwrap()).collect();
        self.members.push(Member {
            name: name.to_owned(),
            stage: name.to_owned(),
            point: [].into(),
            kind: "fake".to_owned(),
            params: Node::empty_map(),
            mentions: Vec::new(),
            references: serde_json::Map::new(),
            inputs: [("from".to_owned(), reads)].into(),
            runtime: Runtime::default(),
            origin: Origin::Default,
        });
        let act: Act = Arc::new(move |context| {
            let mut text = format!("{}:", context.member());
            for input in context.inputs("from") {
                text += &input.output("out")?.text()?;
            }
            context.publish_bytes("out", text.as_bytes())?;
            Ok(())
        });
        let log = Arc::clone(&self.log);
        let params = json!({"name": name});
        self.stages.push(Fake {
            params,
            resources: Vec::new(),
            reads_records: false,
            reads: None,
            gathers: false,
            act,
            log,
        });
        self
    }

    fn doing(
        mut self,
        name: &str,
        act: impl Fn(&mut Context<'_>) -> Result<(), StageError> + Send + Sync + 'static,
    ) -> Self {
        self.fake(name).act = Arc::new(act);
        self
    }

    fn fake(&mut self, name: &str) -> &mut Fake {
        let at = self.members.iter().position(|member| member.name == name).unwrap();
        &mut self.stages[at]
    }

    fn with_param(mut self, name: &str, value: Json) -> Self {
        self.fake(name).params["value"] = value;
        self
    }

    fn run_with(&self, store: &Store, stop: &Stop, listener: &dyn Listener) -> RunReport {
        let (pipeline, stages) = self.planned();
        run(&pipeline, stages, store, stop, listener, &Manner::default())
    }

    fn planned(&self) -> (Pipeline, Vec<Planned>) {
        let pipeline = Pipeline {
            name: "story".to_owned(),
            path: PathBuf::from("story.yaml"),
            data_root: PathBuf::from("data"),
            matrix: [].into(),
            members: self.members.clone(),
        };
        let stages = self.stages.iter().map(|fake| {
            let hashed = fake.params.as_object().unwrap().clone();
            let settings = Effective { hashed, ..Effective::default() };
            Planned { version: 1, settings, stage: Box::new(fake.clone()) as Box<dyn Stage> }
        });
        (pipeline, stages.collect())
    }

    /// Runs, checks that the store is sound, and says how each member ended, which of them worked
    /// and what was said.
    fn tell(&self, store: &Store) -> Told {
        self.tell_until(store, &Stop::new())
    }

    fn tell_until(&self, store: &Store, stop: &Stop) -> Told {
        self.tell_in(store, stop, &Manner::default())
    }

    fn tell_in(&self, store: &Store, stop: &Stop, manner: &Manner) -> Told {
        self.log.lock().unwrap().clear();
        let ear = Ear::default();
        let (pipeline, stages) = self.planned();
        let report = run(&pipeline, stages, store, stop, &ear, manner);
        check(store);
        let worked = self.log.lock().unwrap().join(" ");
        Told { report, worked, events: ear.0.into_inner().unwrap() }
    }
}

struct Told {
    report: RunReport,
    worked: String,
    events: Vec<EventKind>,
}

impl Told {
    fn outcome(&self, name: &str) -> &Outcome {
        &self.report.members.iter().find(|member| member.name == name).unwrap().outcome
    }

    fn reasons(&self, name: &str) -> String {
        let of = |event: &EventKind| match event {
            EventKind::StageStarted { stage, reasons, .. } if stage == name => Some(reasons.join("; ")),
            _ => None,
        };
        self.events.iter().find_map(of).unwrap()
    }

    fn warnings(&self) -> Vec<String> {
        let of = |event: &EventKind| match event {
            EventKind::Warning { message, .. } => Some(message.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    fn exit_code(&self) -> i32 {
        self.report.ending().exit_code()
    }
}

#[derive(Default)]
struct Ear(Mutex<Vec<EventKind>>);

impl Listener for Ear {
    fn hear(&self, event: &Event) {
        self.0.lock().unwrap().push(event.kind.clone());
    }
}

/// Nothing half-written, and nothing whose name is not its hash.
fn check(store: &Store) {
    assert_eq!(fs::read_dir(store.root().join("tmp-v2")).map_or(0, Iterator::count), 0);
    for path in objects(store) {
        assert_eq!(path, store.object_path(&Digest::of(&fs::read(&path).unwrap())));
    }
}

fn objects(store: &Store) -> Vec<PathBuf> {
    let walk = WalkDir::new(store.root().join("objects-v1")).into_iter().map(Result::unwrap);
    walk.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

fn scratch() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("artifacts")).unwrap();
    (folder, store)
}

fn object_of(store: &Store, told: &Told, name: &str) -> PathBuf {
    let member = told.report.members.iter().find(|member| member.name == name).unwrap();
    store.object_path(&member.record.as_ref().unwrap().outputs["out"].digest)
}

#[test]
fn first_all_run_and_then_all_are_cached_without_a_write() {
    let (_folder, store) = scratch();
    let first = Story::fork().tell(&store);
    assert_eq!((first.worked.as_str(), first.exit_code()), ("a b c d", 0));
    assert_eq!(first.reasons("a"), DirtyReason::NeverRun.to_string());
    let times = || -> Vec<(PathBuf, SystemTime)> {
        let walk = WalkDir::new(store.root()).sort_by_file_name().into_iter().map(Result::unwrap);
        walk.map(|entry| (entry.path().to_owned(), entry.metadata().unwrap().modified().unwrap())).collect()
    };
    let before = times();
    let second = Story::fork().tell(&store);
    assert_eq!(second.worked, "");
    assert!(second.report.members.iter().all(|member| member.outcome == Outcome::Cached && member.record.is_some()));
    assert_eq!(times(), before);
    let finished = EventKind::RunFinished { cached: 4, ran: 0, failed: 0 };
    assert_eq!(second.events.last(), Some(&finished));
}

#[test]
fn checkpoints_that_a_kill_after_publishing_left_are_removed_by_the_next_run() {
    let (_folder, store) = scratch();
    let key = Story::fork().tell(&store).report.members[0].key.unwrap();
    std::fs::write(store.make_work(key).unwrap().join("checkpoint"), "x").unwrap();
    let others = store.try_lock(key).unwrap();
    assert_eq!(Story::fork().tell(&store).worked, "");
    assert!(store.work_path(key).exists(), "somebody is at work on it");
    drop(others);
    assert_eq!(Story::fork().tell(&store).worked, "");
    assert!(!store.work_path(key).exists());
}

#[test]
fn a_changed_parameter_reruns_what_depends_on_it_each_with_its_reason() {
    let (_folder, store) = scratch();
    let story = Story::fork().doing("b", |context| {
        context.publish_bytes("out", context.key().to_string().as_bytes())?;
        Ok(())
    });
    story.tell(&store);
    let told = story.with_param("b", json!(2)).tell(&store);
    assert_eq!(told.worked, "b c");
    assert_eq!(told.outcome("d"), &Outcome::Cached);
    assert_eq!(told.reasons("b"), "params.value added: 2");
    assert!(told.reasons("c").starts_with("input from changed"), "{}", told.reasons("c"));
}

#[test]
fn equal_content_upstream_stops_the_wave_but_for_who_reads_records() {
    let (_folder, store) = scratch();
    let mut story = Story::fork().doing("a", |context| {
        context.publish_bytes("out", b"a")?;
        context.metric("loss", f64::NAN);
        context.note("times", json!([0.1 + 0.2, {"z": 1, "a": null}]));
        Ok(())
    });
    story.fake("d").reads_records = true;
    story.tell(&store);
    assert_eq!(story.tell(&store).worked, "", "a record that was read back is the record that was written");
    let told = story.with_param("a", json!(2)).tell(&store);
    assert_eq!(told.worked, "a d", "b reads the same bytes as before; d would show a's new parameters");
}

#[test]
fn a_failure_takes_along_only_who_reads_it_and_a_panic_is_a_failure() {
    let (_folder, store) = scratch();
    let failing = Story::fork().doing("b", |context| {
        context.publish_bytes("out", b"half of it")?;
        Err(StageError::failed("loss is not finite"))
    });
    let told = failing.tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a b d", 1));
    assert_eq!(told.outcome("b"), &Outcome::Failed { message: "loss is not finite".to_owned() });
    assert_eq!(told.outcome("c"), &Outcome::Skipped { because: "`b` failed".to_owned() });

    let told = Story::fork().doing("b", |_| panic!("index 3 out of range")).tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("b", 1));
    assert_eq!(told.outcome("b"), &Outcome::Failed { message: "internal error: index 3 out of range".to_owned() });
}

#[test]
fn a_stop_interrupts_and_a_rerun_finds_the_work_folder_which_success_removes() {
    let (_folder, store) = scratch();
    let stop = Stop::new();
    let signal = stop.clone();
    let story = Story::fork().doing("b", move |context| {
        let checkpoint = context.work()?.join("checkpoint");
        if checkpoint.exists() {
            context.resumed("epoch 3", Duration::from_secs(1000));
        } else {
            crate::store::write_atomically(&checkpoint, |w| w.write_all(b"3"))?;
            signal.trip(Signal::Terminate);
        }
        if context.stop_requested() {
            return Err(StageError::Interrupted);
        }
        context.publish_bytes("out", b"b")?;
        Ok(())
    });
    let told = story.tell_until(&store, &stop);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a b", 75));
    assert_eq!(told.outcome("b"), &Outcome::Interrupted);
    assert_eq!(told.outcome("c"), &Outcome::Skipped { because: "`b` was interrupted".to_owned() });
    assert_eq!(told.outcome("d"), &Outcome::Skipped { because: "the run was stopped".to_owned() });

    let told = story.tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("b c d", 0));
    let Outcome::Ran { wall, resumed } = told.outcome("b") else { panic!("{:?}", told.outcome("b")) };
    assert_eq!(resumed.as_deref(), Some("epoch 3"));
    assert!(*wall < Duration::from_secs(1000), "of this process");
    let seconds = told.report.members[1].record.as_ref().unwrap().wall_seconds;
    assert!((1000.0..2000.0).contains(&seconds), "of both processes: {seconds}");
    assert_eq!(fs::read_dir(store.root().join("work-v1")).unwrap().count(), 0);
}

#[test]
fn two_runs_at_once_share_the_work() {
    let (_folder, store) = scratch();
    /// Passes on that a run waits.
    struct Waiter(Mutex<mpsc::Sender<()>>);
    impl Listener for Waiter {
        fn hear(&self, event: &Event) {
            if matches!(&event.kind, EventKind::StageWaiting { stage } if stage == "a") {
                self.0.lock().unwrap().send(()).unwrap();
            }
        }
    }
    let (working, is_working) = mpsc::channel();
    let (waiting, is_waiting) = mpsc::channel();
    let is_waiting = Mutex::new(is_waiting);
    let slow = Story::fork().stage("free", &[]).doing("a", move |context| {
        working.send(()).unwrap();
        // Goes on only once the other run waits for it: or fails, should that never come.
        is_waiting.lock().unwrap().recv_timeout(Duration::from_secs(60)).map_err(|_| StageError::failed("alone"))?;
        context.publish_bytes("out", b"a")?;
        Ok(())
    });
    let other = Story { log: Arc::default(), ..Story::fork().stage("free", &[]) };
    thread::scope(|scope| {
        let first = scope.spawn(|| slow.run_with(&store, &Stop::new(), &Ear::default()));
        is_working.recv().unwrap();
        let second = other.run_with(&store, &Stop::new(), &Waiter(Mutex::new(waiting)));
        assert_eq!(first.join().unwrap().ending(), Ending::Done);
        assert_eq!(second.ending(), Ending::Done);
        assert_eq!(second.members[0].outcome, Outcome::Cached, "`a` came from the other run");
    });
    check(&store);
    let mut worked = slow.log.lock().unwrap().clone();
    worked.extend(other.stages[0].log.lock().unwrap().clone());
    worked.sort();
    assert_eq!(worked.join(" "), "a b c d free", "each was made once");
}

#[test]
fn a_waiting_run_can_be_stopped() {
    let (_folder, store) = scratch();
    let told = Story::default().stage("a", &[]).tell(&store);
    let key = told.report.members[0].key.unwrap();
    fs::remove_file(store.record_path(key)).unwrap();
    let _held = store.try_lock(key).unwrap().unwrap();
    struct Stopper(Stop);
    impl Listener for Stopper {
        fn hear(&self, event: &Event) {
            if matches!(event.kind, EventKind::StageWaiting { .. }) {
                self.0.trip(Signal::Interrupt);
            }
        }
    }
    let stop = Stop::new();
    let report = Story::default().stage("a", &[]).run_with(&store, &stop, &Stopper(stop.clone()));
    assert_eq!(report.ending().exit_code(), 130);
}

#[test]
fn a_missed_expectation_is_no_failure_and_is_told_on_every_run() {
    let (_folder, store) = scratch();
    let story = Story::fork().doing("d", |context| {
        context.metric("top1_percent", 90.0);
        context.expect_missed("top1_percent: 90.0, expected 94.3");
        Ok(())
    });
    for worked in ["a b c d", ""] {
        let told = story.tell(&store);
        assert_eq!((told.worked.as_str(), told.exit_code()), (worked, 5));
        assert!(told.report.expect_missed().eq([("d", "top1_percent: 90.0, expected 94.3".to_owned())]));
    }
}

#[test]
fn a_missing_resource_is_a_wrong_input_and_a_changed_one_a_reason() {
    let (folder, store) = scratch();
    let path = folder.path().join("table.csv");
    let mut story = Story::fork();
    story.fake("d").resources = vec![("table".to_owned(), Resource::Path(path.clone()))];
    let told = story.tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a b c", 3));
    let Outcome::Failed { message } = told.outcome("d") else { panic!("{:?}", told.outcome("d")) };
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    fs::write(&path, "1").unwrap();
    assert_eq!(story.tell(&store).worked, "d");
    fs::write(&path, "2").unwrap();
    let told = story.tell(&store);
    assert_eq!(told.worked, "d");
    assert!(told.reasons("d").starts_with("resource table changed"), "{}", told.reasons("d"));
}
