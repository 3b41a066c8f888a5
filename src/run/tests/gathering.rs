//! Stages that go on with those of their inputs that are there, and stages that read a part of
//! them.

use super::*;

/// `a` to `d`, each read by `A` to `D`, all of which `all` gathers.
fn gathered() -> Story {
    let mut story = Story::default();
    for (name, reader) in [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")] {
        story = story.stage(name, &[]).stage(reader, &[name]);
    }
    story = story.stage("all", &["A", "B", "C", "D"]).stage("after", &["all"]);
    story.fake("all").gathers = true;
    story.doing("all", |context| {
        let there: Vec<&str> = context.inputs("from").iter().map(|input| input.member.as_str()).collect();
        let lacks = context.missing("from").iter().map(|missing| format!("{}: {}", missing.member, missing.why()));
        let text = format!("{}; {}", there.join(" "), lacks.collect::<Vec<_>>().join(", "));
        context.publish_bytes("out", text.as_bytes())?;
        Ok(())
    })
}

fn failing(story: Story, name: &str, message: &'static str) -> Story {
    story.doing(name, move |_| Err(StageError::failed(message)))
}

fn text(store: &Store, told: &Told) -> String {
    fs::read_to_string(object_of(store, told, "all")).unwrap()
}

#[test]
fn a_failure_does_not_take_along_who_gathers_but_is_told_there_and_by_the_exit_code() {
    let (_folder, store) = scratch();
    let story = failing(gathered(), "b", "the loss is NaN");
    let told = story.tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a A b c C d D all after", 1));
    assert_eq!(told.outcome("B"), &Outcome::Skipped { because: "`b` failed".to_owned() });
    assert_eq!(text(&store, &told), "A C D; B: `b` failed: the loss is NaN");
    // Nothing changed: what failed is tried again, the rest is there.
    let again = story.tell(&store);
    assert_eq!((again.worked.as_str(), again.exit_code()), ("b", 1));
    assert_eq!(again.outcome("all"), &Outcome::Cached);
    // Another failure is another result.
    let other = failing(gathered(), "b", "the disk is full").tell(&store);
    assert_eq!(other.worked, "b all after");
    assert_eq!(other.reasons("all"), "B is missing for another reason");
    // Mended, all of it is gathered.
    let mended = gathered().tell(&store);
    assert_eq!((mended.worked.as_str(), mended.exit_code()), ("b B all after", 0));
    assert_eq!(mended.reasons("all"), "B was missing");
    assert_eq!(text(&store, &mended), "A B C D; ");
    // And back, by a change that makes it fail as before: the result without it is still known.
    let back = failing(gathered(), "b", "the loss is NaN").with_param("b", json!(2)).tell(&store);
    assert_eq!((back.worked.as_str(), back.outcome("all")), ("b", &Outcome::Cached));
}

#[test]
fn who_gathers_nothing_is_skipped() {
    let (_folder, store) = scratch();
    let story = ["a", "b", "c", "d"].into_iter().fold(gathered(), |story, name| failing(story, name, "no"));
    let told = story.tell(&store);
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a b c d", 1));
    let because = "none of 4 members is there: `A` was skipped".to_owned();
    assert_eq!(told.outcome("all"), &Outcome::Skipped { because });
    assert_eq!(told.outcome("after"), &Outcome::Skipped { because: "`all` was skipped".to_owned() });
}

#[test]
fn an_interrupted_run_gathers_nothing_though_some_is_there() {
    let (_folder, store) = scratch();
    for last in ["b", "d"] {
        let stop = Stop::new();
        let signal = stop.clone();
        let story = failing(gathered(), "a", "no").doing(last, move |context| {
            signal.trip(Signal::Terminate);
            if context.stop_requested() { Err(StageError::Interrupted) } else { Ok(()) }
        });
        let told = story.tell_until(&store, &stop);
        assert_eq!(told.exit_code(), 75);
        assert!(matches!(told.outcome("all"), Outcome::Skipped { .. }), "{:?}", told.outcome("all"));
        assert!(!told.worked.contains("all"), "{}", told.worked);
    }
}

#[test]
fn who_reads_some_outputs_does_not_run_again_for_the_others_and_is_not_given_them() {
    let (_folder, store) = scratch();
    let mut story = Story::fork().doing("a", |context| {
        context.publish_bytes("out", b"a")?;
        let key = context.key().to_string();
        context.publish_bytes("more", key.as_bytes())?;
        Ok(())
    });
    story.fake("b").reads = Some(&["out"]);
    story = story.doing("b", |context| {
        let input = context.input("from")?;
        assert!(input.output("out").is_ok());
        assert_eq!(input.output("more").unwrap_err().to_string(), "stage `a` has no output `more`");
        context.publish_bytes("out", b"b")?;
        Ok(())
    });
    assert_eq!(story.tell(&store).exit_code(), 0);
    assert_eq!(story.with_param("a", json!(2)).tell(&store).worked, "a d", "d reads all of a");
}
