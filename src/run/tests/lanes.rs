//! Members side by side.

use super::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Barrier, Condvar};

fn lanes(count: usize) -> Manner {
    let pool = |_| ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    Manner { lanes: (0..count).map(pool).collect::<Vec<ThreadPool>>(), ..Manner::default() }
}

fn side_by_side(story: &Story, store: &Store, count: usize) -> Told {
    story.tell_in(store, &Stop::new(), &lanes(count))
}

/// What `doing` of a member does, after which it publishes as others do.
fn publish(context: &mut Context<'_>) -> Result<(), StageError> {
    context.publish_bytes("out", context.member().to_owned().as_bytes()).map(|_| ())
}

#[test]
fn lanes_come_to_the_same_bytes_in_the_same_order() {
    let (_folder, store) = scratch();
    let one = Story::fork().tell(&store);
    for count in 1..4 {
        let (_folder, other) = scratch();
        let many = side_by_side(&Story::fork(), &other, count);
        let digests = |told: &Told| -> Vec<_> {
            let of = |member: &MemberReport| (member.name.clone(), member.record.as_ref().unwrap().outputs.clone());
            told.report.members.iter().map(of).collect()
        };
        assert_eq!(digests(&one), digests(&many));
        assert_eq!(side_by_side(&Story::fork(), &other, count).worked, "");
    }
}

#[test]
fn as_many_work_at_once_as_there_are_lanes() {
    let (_folder, store) = scratch();
    let (meet, most) = (Arc::new(Barrier::new(3)), Arc::new(Mutex::new((0, 0))));
    let mut story = Story::default();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let (meet, most) = (meet.clone(), most.clone());
        story = story.stage(name, &[]).doing(name, move |context| {
            let mut counted = most.lock().unwrap();
            *counted = (counted.0 + 1, counted.1.max(counted.0 + 1));
            drop(counted);
            // Alone none of them would come any further.
            meet.wait();
            most.lock().unwrap().0 -= 1;
            publish(context)
        });
    }
    assert_eq!(side_by_side(&story, &store, 3).exit_code(), 0);
    assert_eq!(most.lock().unwrap().1, 3);
}

#[test]
fn of_equal_work_one_does_it_and_the_others_find_it_without_a_word_of_waiting() {
    let (_folder, store) = scratch();
    let mut story = Story::default();
    for name in ["a", "b", "c"] {
        story = story.stage(name, &[]).doing(name, |context| {
            thread::sleep(Duration::from_millis(150));
            context.publish_bytes("out", b"equal").map(|_| ())
        });
        story.fake(name).params = json!({});
    }
    let told = side_by_side(&story, &store, 3);
    let ran = told.report.members.iter().filter(|member| matches!(member.outcome, Outcome::Ran { .. })).count();
    assert_eq!((ran, told.exit_code()), (1, 0));
    let waits = told.events.iter().filter(|event| matches!(event, EventKind::StageWaiting { .. })).count();
    assert_eq!(waits, 0);
}

#[test]
fn a_gpu_is_for_one_member_at_a_time_and_each_is_used() {
    let (_folder, store) = scratch();
    let (used, both) = (Arc::new(Mutex::new(Vec::<String>::new())), Arc::new((Mutex::new(0), Condvar::new())));
    let mut story = Story::default();
    for name in ["a", "b", "c", "d"] {
        let (used, both) = (used.clone(), both.clone());
        story = story.stage(name, &[]).doing(name, move |context| {
            let device = context.runtime().device().to_owned();
            {
                let mut used = used.lock().unwrap();
                assert!(!used.contains(&device), "{device} is used already");
                used.push(device.clone());
            }
            // The first two go on once both are here.
            let (count, changed) = &*both;
            *count.lock().unwrap() += 1;
            changed.notify_all();
            drop(changed.wait_while(count.lock().unwrap(), |count| *count < 2).unwrap());
            used.lock().unwrap().retain(|other| *other != device);
            publish(context)
        });
    }
    for member in &mut story.members {
        member.runtime.devices = vec!["cuda:0".to_owned(), "cuda:1".to_owned()];
    }
    let told = side_by_side(&story, &store, 4);
    assert_eq!(told.exit_code(), 0, "{:?}", told.report);
}

#[test]
fn a_stop_ends_all_lanes_and_nothing_more_starts() {
    let (_folder, store) = scratch();
    let (stop, meet) = (Stop::new(), Arc::new(Barrier::new(2)));
    let mut story = Story::default();
    for name in ["a", "b", "c"] {
        let (stop, meet) = (stop.clone(), meet.clone());
        story = story.stage(name, &[]).doing(name, move |context| {
            meet.wait();
            stop.trip(Signal::Terminate);
            if context.stop_requested() { Err(StageError::Interrupted) } else { Ok(()) }
        });
    }
    let told = story.tell_in(&store, &stop, &lanes(2));
    assert_eq!((told.exit_code(), told.report.stopped), (75, Some(Signal::Terminate)));
    assert_eq!((told.outcome("a"), told.outcome("b")), (&Outcome::Interrupted, &Outcome::Interrupted));
    assert_eq!(*told.outcome("c"), Outcome::Skipped { because: "the run was stopped".to_owned() });
}

#[test]
fn two_that_read_one_damaged_object_at_once_are_both_healed() {
    let (_folder, store) = scratch();
    let story = || Story::default().stage("a", &[]).stage("b", &["a"]).stage("c", &["a"]);
    let sound = story().tell(&store);
    let path = object_of(&store, &sound, "a");
    for round in 0..20 {
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"b:").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let told = story().with_param("b", json!(round)).with_param("c", json!(round));
        let told = side_by_side(&told, &store, 2);
        assert_eq!(told.exit_code(), 0, "{:?}", told.report);
        assert_eq!(object_of(&store, &told, "b"), object_of(&store, &sound, "b"));
        assert_eq!(object_of(&store, &told, "c"), object_of(&store, &sound, "c"));
    }
}
