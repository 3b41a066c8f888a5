use super::*;
use proptest::prelude::*;
use std::{cmp::Ordering, collections::BTreeSet};

const LEFT: u32 = 0;
const STAY: u32 = 1;
const RIGHT: u32 = 2;

fn open(game: Catch) -> CatchGames {
    game.open().unwrap()
}

/// Row and column of the first pixel of a colour in a copy's frame.
fn find(games: &CatchGames, copy: usize, colour: [u8; 3]) -> (usize, usize) {
    let space = games.space();
    let frame = &games.observe().frames[copy * space.frame()..][..space.frame()];
    let at = frame.as_chunks().0.iter().position(|&pixel| pixel == colour).unwrap();
    (at / space.width, at % space.width)
}

/// The action of whoever acts well.
fn follow(games: &CatchGames, copy: usize) -> u32 {
    let (ball, paddle) = (find(games, copy, BALL).1, find(games, copy, PADDLE).1);
    match paddle.cmp(&ball) {
        Ordering::Less => RIGHT,
        Ordering::Equal => STAY,
        Ordering::Greater => LEFT,
    }
}

#[test]
fn the_ball_falls_a_row_a_step_and_the_paddle_does_as_it_is_told() {
    let mut games = open(Catch { seed: 3, ..Catch::default() });
    assert_eq!(games.space(), Space { height: 10, width: 5, channels: 3, actions: 3 });
    let column = find(&games, 0, BALL).1;
    assert_eq!((find(&games, 0, PADDLE), games.observe().firsts[0]), ((9, 2), true));
    for (step, (action, paddle)) in
        [(0, 1), (0, 0), (0, 0), (1, 0), (2, 1), (2, 2), (2, 3), (2, 4)].into_iter().enumerate()
    {
        games.act(&[action]).unwrap();
        assert_eq!(find(&games, 0, BALL), (step + 1, column));
        assert_eq!(find(&games, 0, PADDLE), (9, paddle));
        assert_eq!((games.observe().rewards, games.observe().firsts), (&[0.0][..], &[false][..]));
    }
    games.act(&[1]).unwrap();
    assert_eq!((games.observe().rewards[0], games.observe().firsts[0]), (if column == 4 { 1.0 } else { -1.0 }, true));
    assert_eq!((find(&games, 0, BALL).0, find(&games, 0, PADDLE)), (0, (9, 2)));
}

#[test]
fn whoever_follows_the_ball_gets_all_there_is_and_whoever_stays_gets_less() {
    for (rows, columns) in [(10, 5), (3, 5), (2, 1), (2, 2)] {
        let games = || open(Catch { rows, columns, copies: 16, ..Catch::default() });
        let (mut good, mut idle) = (games(), games());
        let (mut earned, mut least) = (0.0, 0.0);
        for _ in 0..10 * (rows - 1) {
            let actions: Vec<u32> = (0..16).map(|copy| follow(&good, copy)).collect();
            good.act(&actions).unwrap();
            idle.act(&[STAY; 16]).unwrap();
            earned += good.observe().rewards.iter().sum::<f32>();
            least += idle.observe().rewards.iter().sum::<f32>();
        }
        assert_eq!(earned, 160.0);
        assert!(columns == 1 || least < earned);
    }
}

#[test]
fn a_scaled_frame_is_the_small_one_with_larger_cells() {
    let (small, large) = (open(Catch::default()), open(Catch { scale: 4, ..Catch::default() }));
    let (narrow, wide) = (small.space(), large.space());
    assert_eq!((wide.height, wide.width), (40, 20));
    let pixel = |frames: &[u8], space: Space, y: usize, x: usize| frames[3 * (y * space.width + x)..][..3].to_vec();
    for (y, x) in (0..40).flat_map(|y| (0..20).map(move |x| (y, x))) {
        let expected = pixel(small.observe().frames, narrow, y / 4, x / 4);
        assert_eq!(pixel(large.observe().frames, wide, y, x), expected, "{y} {x}");
    }
}

#[test]
fn few_levels_are_few_beginnings_and_others_are_not_among_them() {
    let played = |levels| {
        let mut games = open(Catch { rows: 2, columns: 3, levels, copies: 64, ..Catch::default() });
        let mut played = BTreeSet::new();
        for _ in 0..20 {
            let columns = (0..64).map(|copy| find(&games, copy, BALL).1);
            played.extend(games.observe().levels.iter().copied().zip(columns));
            games.act(&[STAY; 64]).unwrap();
        }
        played
    };
    let seen = played(Levels::first(4));
    assert_eq!(seen.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [0, 1, 2, 3], "a level is one beginning");
    assert!(played(Levels::after(4)).iter().all(|(level, _)| *level >= 4));
    assert_eq!(played(Levels { start: 7, count: 1 }).len(), 1);
}

#[test]
fn other_seeds_and_other_copies_play_other_levels() {
    let first = open(Catch { copies: 8, ..Catch::default() });
    let second = open(Catch { copies: 8, seed: 1, ..Catch::default() });
    let levels: BTreeSet<u32> = first.levels.iter().chain(&second.levels).copied().collect();
    assert_eq!(levels.len(), 16);
}

#[test]
fn what_cannot_be_is_refused_before_anything_moves() {
    let said = |game: Catch| game.open().unwrap_err().to_string();
    let game = Catch::default();
    assert_eq!(said(Catch { rows: 1, ..game.clone() }), "`rows` must be from 2 to 512, found `1`");
    assert_eq!(said(Catch { rows: 3, columns: 6, ..game.clone() }), "`columns` must be from 1 to 5, found `6`");
    assert_eq!(said(Catch { scale: 52, ..game.clone() }), "`scale` must be from 1 to 51, found `52`");
    assert_eq!(said(Catch { copies: 0, ..game.clone() }), "`copies` must be from 1 to 4096, found `0`");
    let large = Catch { rows: 512, columns: 512, copies: 4096, ..game.clone() };
    assert_eq!(said(large), "`copies` must be from 1 to 1365, found `4096`");
    assert!(said(Catch { levels: Levels::first(0), ..game.clone() }).starts_with("`levels` must be"));
    let mut games = open(Catch { copies: 2, ..game });
    let before = games.frames.clone();
    assert_eq!(games.act(&[1]).unwrap_err().to_string(), "expected an action for each of 2 copies, found 1");
    assert_eq!(games.act(&[0, 3]).unwrap_err().to_string(), "the action of copy 1 is 3, expected one below 3");
    assert_eq!(games.frames, before);
}

#[test]
fn a_state_that_is_of_something_else_or_damaged_changes_nothing() {
    let of = |game: Catch| open(game).save().unwrap();
    let game = Catch::default();
    let mut games = open(game.clone());
    let before = games.save().unwrap();
    let mut refused = |state: &[u8]| games.restore(state).unwrap_err().to_string();
    let other = refused(&of(Catch { columns: 3, ..game.clone() }));
    assert!(other.starts_with("the saved state is of `catch` with 10 rows and 3 columns at scale 1 on "), "{other}");
    assert!(refused(&of(Catch { levels: Levels::first(9), ..game.clone() })).contains("on 9 levels from 0, expected"));
    assert!(refused(&of(Catch { copies: 2, ..game })).contains("of 2 copies, expected 1"));
    // Those that have their checksum and were made by somebody else.
    let of = games.of();
    let text = serde_json::to_string(&games.copies[0]).unwrap();
    let mut forged = |from: &str, to: &str| {
        assert!(text.contains(from));
        let mut body = Vec::new();
        state::push(&mut body, text.replace(from, to).as_bytes());
        games.restore(&state::pack(&of, 1, &body)).unwrap_err().to_string()
    };
    for (from, to) in [("row\":0", "row\":9"), ("paddle\":2", "paddle\":5"), ("reward\":0", "reward\":7")] {
        assert!(forged(from, to).contains("is where none can be"));
    }
    assert!(forged("row", "cow").contains("damaged: unknown field `cow`"));
    assert_eq!(games.save().unwrap(), before);
}

proptest! {
    #[test]
    fn what_is_restored_goes_on_as_if_never_interrupted(
        rows in 2usize..6, columns in 1usize..4, seed: u64, other: u64,
        actions in prop::collection::vec([0u32..3, 0u32..3, 0u32..3], 1..30), saved in any::<prop::sample::Index>(),
    ) {
        let game = Catch { rows, columns: columns.min(2 * rows - 1), copies: 3, seed, levels: Levels::first(7), scale: 2 };
        let (mut whole, mut resumed) = (open(game.clone()), open(Catch { seed: other, ..game }));
        let saved = saved.index(actions.len());
        for (step, actions) in actions.iter().enumerate() {
            if step == saved {
                resumed.restore(&whole.save().unwrap()).unwrap();
            }
            if step >= saved {
                prop_assert_eq!(whole.observe(), resumed.observe());
                resumed.act(actions).unwrap();
            }
            whole.act(actions).unwrap();
        }
        prop_assert_eq!(whole.observe(), resumed.observe());
    }
}
