//! Agents that learn a game by playing it, from the pipeline file to the report.

use crate::scratch::Scratch;
use std::fs;

const PLAYED: &str = "
name: played
variants:
  agent:
    task: policy
    policy: {actors: 4, steps: 12, passes: 2}
    batch: 16
    weights: {optimiser: adam, learning_rate: 1e-3, epsilon: 1e-5, schedule: constant, weight_decay: 0, clip_norm: 0.5}
stages:
  game:
    prepare: {catch: {rows: 5, columns: 3, levels: 20}}
  search:
    search: {data: game, with: agent, space: rl_darts, skeleton: small, channels: 2, epochs: 6}
    runtime: {checkpoint: {every_steps: 1}}
  cell:
    derive: {search: search}
  network:
    retrain: {genotype: cell, data: game, with: agent, skeleton: small, channels: 2, epochs: 2, drop_path: 0}
  test:
    evaluate: {network: network, data: game, episodes: 10}
  report:
    report: {of: [search, cell, network, test]}
";

fn written() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("played.yaml", PLAYED);
    scratch
}

#[test]
fn an_agent_is_searched_derived_trained_and_tested_beside_chance() {
    let scratch = written();
    let ended = scratch.run(&["played.yaml"]).exits(0);
    ended.line(&["test", "seen", "unseen", "random"]);
    assert!(ended.stdout.contains("return by epoch"), "{}", ended.stdout);
    scratch.run(&["played.yaml"]).exits(0).line(&["network", "cached"]);
    for stage in ["search", "network"] {
        let (result, output) = (format!("played/{stage}"), format!("{stage}.safetensors"));
        scratch.run(&["export", &result, "--to", "safetensors", "--output", &output]).exits(0);
    }
    // What it is tested with is in the key of the test alone.
    let again = scratch.run(&["played.yaml", "--set", "test.episodes=12"]).exits(0);
    again.line(&["network", "cached"]);
    again.line(&["test", "params.episodes 10 → 12"]);
}

/// An epoch is played again whose rollout is gone: games and scales go on from its beginning.
#[test]
fn killed_at_random_moments_an_agent_comes_to_the_bits_of_an_uninterrupted_one() {
    for strategy in ["single_level", "bilevel"] {
        let scratch = written();
        let setting = format!("search.strategy={strategy}");
        let arguments = |store| ["played.yaml", "--store", store, "--set", setting.as_str()];
        scratch.run(&arguments("whole")).exits(0);
        for events in [3, 9, 20] {
            let run = scratch.start(&arguments("killed"));
            run.wait_for_any(events);
            run.kill();
        }
        let run = scratch.start(&arguments("killed"));
        run.wait_for("checkpoint_saved");
        run.kill();
        scratch.run(&arguments("killed")).exits(0).line(&["search", "resumed at"]);
        assert_eq!(scratch.outputs("whole", "search"), scratch.outputs("killed", "search"), "{strategy}");
    }
}

#[test]
fn an_episode_is_played_and_drawn_of_a_network_whose_file_says_what_it_plays() {
    let scratch = written();
    scratch.run(&["played.yaml"]).exits(0);
    for stage in ["search", "network"] {
        let (result, output) = (format!("played/{stage}"), format!("{stage}.safetensors"));
        scratch.run(&["export", &result, "--to", "safetensors", "--output", &output]).exits(0);
    }
    let play = |weights: &str, output: &str, more: &[&str]| {
        let arguments = ["predict", "--weights", weights, "--output", output, "--play"];
        scratch.run(&[arguments.as_slice(), more].concat())
    };
    for weights in ["network.safetensors", "search.safetensors"] {
        let said = play(weights, "episode.gif", &["--level", "7", "--force"]).exits(0).stdout;
        assert!(said.starts_with("catch on 5 rows and 3 columns, level 7: a return of "), "{said}");
        assert!(said.ends_with(" in 4 steps, episode.gif\n"), "{said}");
        assert!(fs::read(scratch.path("episode.gif")).unwrap().starts_with(b"GIF89a"));
    }
    let without = scratch.run(&["predict", "--weights", "network.safetensors", "--output", "x.gif"]).exits(2);
    without.line(&["this network plays: `--play`"]);
    let named = play("network.safetensors", "episode.gif", &["catch", "--force"]).exits(0).stdout;
    assert!(named.starts_with("catch on 5 rows and 3 columns"), "{named}");
    let again = |seed| {
        play("network.safetensors", "episode.gif", &["--seed", seed, "--force"]).exits(0);
        fs::read(scratch.path("episode.gif")).unwrap()
    };
    assert_eq!(again("3"), again("3"));
    for (output, more, code, said) in [
        ("episode.mp4", &[][..], 3, "an episode is written as GIF"),
        ("other.gif", &["catch:hard"], 2, "found `catch:hard`"),
        ("other.gif", &["maze"], 3, "the network sees frames of [3, 5, 3]"),
        ("other.gif", &["chess"], 2, "`game` must be `catch`, or of Procgen one of"),
        ("other.gif", &["--input", "x.png"], 2, "cannot be used with"),
    ] {
        let ended = play("network.safetensors", output, more).exits(code);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!scratch.path(output).exists());
    }
}

#[test]
fn threads_do_not_change_how_an_agent_plays() {
    let scratch = written();
    for threads in ["1", "3"] {
        let setting = format!("runtime.threads={threads}");
        scratch.run(&["played.yaml", "--store", threads, "--set", &setting]).exits(0);
    }
    assert_eq!(scratch.outputs("1", "retrain"), scratch.outputs("3", "retrain"));
    assert_eq!(scratch.outputs("1", "evaluate"), scratch.outputs("3", "evaluate"));
}

#[test]
fn what_cannot_be_played_or_learned_so_is_said_with_its_place() {
    for (edit, said) in [
        (["task: policy\n    policy: {actors: 4, steps: 12, passes: 2}", "task: classification"], "`classification`"),
        (["{catch: {rows: 5, columns: 3, levels: 20}}", "{synthetic: {train: 20, test: 4}}"], "is learned by playing"),
        (["{catch: {rows: 5,", "{catch: {rows: 1,"], "`rows`"),
        (["columns: 3", "columns: 30"], "`columns`"),
        (["batch: 16", "batch: 100"], "`batch`"),
        (["passes: 2", "paces: 2"], "`paces`"),
        (
            [
                "actors: 4, steps: 12, passes: 2}\n    batch: 16",
                "actors: 1, steps: 12}\n    strategy: bilevel\n    batch: 4",
            ],
            "half of the actors",
        ),
        (["epochs: 2, drop_path: 0", "epochs: 2, drop_path: 0, augment: {flip: true}"], "`flip`"),
        (["{catch: {rows: 5, columns: 3, levels: 20}}", "{procgen: {game: coinrum}}"], "coinrun"),
        (["{catch: {rows: 5, columns: 3, levels: 20}}", "{procgen: {game: coinrun}}"], "procgen"),
    ] {
        let scratch = written();
        scratch.edit("played.yaml", &[(edit[0], edit[1])]);
        let ended = scratch.run(&["played.yaml", "--set", "data.root=."]).exits(3);
        assert!(ended.stderr.contains(said) && ended.stdout.is_empty(), "{said}: {}", ended.stderr);
    }
}

#[test]
fn an_agent_that_is_tested_on_another_game_is_refused_before_it_learns() {
    let scratch = written();
    let other = "  other: {prepare: {catch: {rows: 6, columns: 4}}}\n  test:";
    scratch
        .edit("played.yaml", &[("  test:", other), ("network: network, data: game", "network: network, data: other")]);
    let ended = scratch.run(&["played.yaml"]).exits(3);
    ended.line(&["the network learns from frames of [3, 5, 3] with 3 actions, and is to be"]);
    assert!(ended.stdout.is_empty());
}

/// The frames of an epoch are kept until it ends.
#[test]
fn a_rollout_that_has_no_room_in_memory_is_refused_before_it_is_played() {
    let scratch = written();
    let sizes = ["variants.agent.policy={actors: 4096, steps: 65536}", "game.catch={rows: 64, columns: 64, scale: 8}"];
    let ended = scratch.run(&["played.yaml", "--set", sizes[0], "--set", sizes[1]]).exits(3);
    assert!(ended.stderr.contains("GB of memory, and there are"), "{}", ended.stderr);
}
