//! What is asked of a run: to make members again, to end at the first failure.

use super::*;

fn again(members: &[usize]) -> Manner {
    Manner { again: members.iter().copied().collect(), ..Manner::default() }
}

#[test]
fn what_is_wanted_again_is_made_again_and_what_reads_equal_bytes_is_not() {
    let (_folder, store) = scratch();
    let first = Story::fork().tell(&store);
    let told = Story::fork().tell_in(&store, &Stop::new(), &again(&[0, 1]));
    assert_eq!((told.worked.as_str(), told.exit_code(), told.warnings().len()), ("a b", 0, 0));
    assert_eq!(told.reasons("a"), "it is wanted again");
    assert_eq!(object_of(&store, &told, "d"), object_of(&store, &first, "d"));
    assert_eq!(Story::fork().tell(&store).worked, "");
}

#[test]
fn what_was_never_made_says_so_though_it_is_wanted_again() {
    let (_folder, store) = scratch();
    let told = Story::fork().tell_in(&store, &Stop::new(), &again(&[0]));
    assert_eq!((told.worked.as_str(), told.reasons("a").as_str()), ("a b c d", "never run"));
}

#[test]
fn a_stage_that_comes_to_other_bytes_is_told_and_a_failure_leaves_the_result_that_was_there() {
    let (_folder, store) = scratch();
    let sound = Story::fork().tell(&store);
    let publish =
        |text: &'static str| move |context: &mut Context<'_>| context.publish_bytes("out", text.as_bytes()).map(|_| ());
    let other = Story::fork().doing("c", publish("other")).tell_in(&store, &Stop::new(), &again(&[2]));
    assert_eq!(other.warnings(), ["made again, it has other bytes in out"]);

    let fail = |_: &mut Context<'_>| Err(StageError::failed("no"));
    let failed = Story::fork().doing("d", fail).tell_in(&store, &Stop::new(), &again(&[3]));
    assert_eq!((failed.worked.as_str(), failed.exit_code()), ("d", 1));
    let told = Story::fork().tell(&store);
    assert_eq!((told.worked.as_str(), object_of(&store, &told, "d")), ("", object_of(&store, &sound, "d")));
}

#[test]
fn where_one_alone_may_be_made_the_others_are_only_looked_up() {
    let (_folder, store) = scratch();
    let alone = |at: usize| Manner { alone: Some([at].into()), ..Manner::default() };
    let told = Story::fork().tell_in(&store, &Stop::new(), &alone(1));
    assert_eq!((told.worked.as_str(), told.exit_code()), ("", 1));
    let failed = "its result is not in the store, and it was not to be made".to_owned();
    assert_eq!(*told.outcome("a"), Outcome::Failed { message: failed });
    assert_eq!(Story::fork().tell_in(&store, &Stop::new(), &alone(0)).worked, "a");
    assert_eq!(Story::fork().tell_in(&store, &Stop::new(), &alone(1)).worked, "b");
    assert_eq!(Story::fork().tell(&store).worked, "c d");
}

#[test]
fn at_the_first_failure_nothing_more_starts_where_that_is_asked_for() {
    let (_folder, store) = scratch();
    let story = Story::fork().doing("b", |_| Err(StageError::failed("no")));
    let told = story.tell_in(&store, &Stop::new(), &Manner { fail_fast: true, ..Manner::default() });
    assert_eq!((told.worked.as_str(), told.exit_code()), ("a b", 1));
    assert_eq!(*told.outcome("d"), Outcome::Skipped { because: "another stage failed".to_owned() });
    assert_eq!(story.tell(&store).worked, "b d");
}
