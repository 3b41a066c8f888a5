//! Holds maps of sixteen bits to the reference: one step at a time, and networks as a whole.

use super::super::draft::small_supernet;
use super::super::program::{Map, MapId, Program, Step};
use super::{Drawn, NAMES, Precision, Results, SHAPES, Tracked, by_engine, by_reference, in_bf16, random};
use crate::Pass;
use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeSet, sync::Arc};

/// How far a value is from the nearest of eight significant bits, at most, for its size.
const HALF: f32 = 1.0 / 256.0;

/// How far sums in `f32` of all that programs can say are apart, for the largest value.
const SUMS: f32 = 2e-4;

/// What of a program a step alone is: it reads inputs, and what it writes is the output.
fn alone(program: &Program, step: &Step) -> Program {
    let inputs: BTreeSet<MapId> = step.reads().map(|read| read.map).collect();
    let (inputs, steps) = (inputs.into_iter().collect(), vec![step.clone()]);
    Program { inputs, steps, outputs: vec![step.output()], ..program.clone() }
}

fn rounded(numbers: &[f32]) -> Vec<f32> {
    // By arithmetic that has nothing of the engine's: the unit of the last of eight bits.
    let round = |&number: &f32| {
        let unit = 2f64.powi(f64::from(number).abs().log2().floor() as i32 - 7);
        if number == 0.0 { 0.0 } else { ((f64::from(number) / unit).round_ties_even() * unit) as f32 }
    };
    numbers.iter().map(round).collect()
}

fn largest(of: &[f32]) -> f32 {
    of.iter().fold(0.1, |most, value| value.abs().max(most))
}

/// Each step of many programs, on the very numbers that the maps it reads have in the engine: what
/// it writes is the reference's, rounded once, and what it sums up over images is not rounded.
#[test]
fn each_step_computes_in_f32_and_rounds_once() {
    let device = Device::flex();
    for seed in 0..61 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // The last has nodes of more terms than are summed at a time.
        let supernet = || (small_supernet(9, 8, 10), 3);
        let (mut program, images) = if seed < 60 { random::program(&mut random) } else { supernet() };
        program.outputs = (0..program.maps.len()).collect();
        let whole = Drawn::new(program, images, &mut random);
        let program = &whole.program;
        for training in [true, false] {
            let [maps, observed, ..] = whole.results(&device, training, Tracked::Nothing, in_bf16);
            let mut rest = maps.as_slice();
            let own = |map: &Map| rest.split_off(..map.elements() * images).unwrap();
            let maps: Vec<&[f32]> = program.maps.iter().map(own).collect();
            let inputs: Vec<f32> = program.inputs.iter().flat_map(|&map| maps[map]).copied().collect();
            assert_eq!(inputs, rounded(&whole.inputs), "program {seed}: inputs");
            for norm in program.norms.iter().filter(|_| training) {
                let channel = program.maps[norm.map].pixels();
                let of_image = |image: &[f32]| image[norm.first * channel..][..channel].to_vec();
                let images: Vec<f32> =
                    maps[norm.map].chunks_exact(maps[norm.map].len() / images).flat_map(of_image).collect();
                let mean = images.iter().sum::<f32>() / images.len() as f32;
                let error = (mean - observed[norm.mean]).abs();
                assert!(
                    error < SUMS * largest(&images),
                    "program {seed}: a mean of {mean}, not {}",
                    observed[norm.mean]
                );
            }
            for (at, step) in program.steps.iter().enumerate().filter(|(_, step)| step.reads().next().is_some()) {
                let alone = alone(program, step);
                let drawn = Drawn {
                    inputs: alone.inputs.iter().flat_map(|&map| maps[map]).copied().collect(),
                    towards: rounded(&whole.towards[..program.maps[step.output()].elements() * images]),
                    program: Arc::new(alone),
                    ..whole.clone()
                };
                let expected = drawn.results(&device, training, Tracked::All, by_reference);
                let found = drawn.results(&device, training, Tracked::All, in_bf16);
                let what = format!("program {seed}, step {at}, training {training}");
                hold_step(&drawn.program, &found, &expected, &what);
            }
        }
    }
}

#[track_caller]
fn hold_step(program: &Program, found: &Results, expected: &Results, what: &str) {
    // A norm's parameters take sums over gradients that were rounded when their readers left them.
    let of_norms: BTreeSet<usize> = program
        .norms
        .iter()
        .flat_map(|norm| [norm.scale, norm.shift].map(|at| at.map_or(0..0, |at| at..at + norm.channels)))
        .flatten()
        .collect();
    let gradients = expected[2..].iter().map(|of| largest(of)).fold(0.0, f32::max);
    // What is observed of maps that others read is no matter of this step.
    for (group, name) in NAMES.into_iter().enumerate().filter(|(group, _)| *group != 1) {
        for (at, (found, expected_here)) in found[group].iter().zip(&expected[group]).enumerate() {
            let bound = match group {
                0 => SUMS * largest(&expected[0]),
                _ => SUMS * gradients,
            };
            let rounding = match group {
                0 => HALF * expected_here.abs(),
                // Readers of a map leave a rounded gradient each, and their sum is rounded.
                2 => 3.0 * HALF * largest(&expected[2]),
                3 if of_norms.contains(&at) => 3.0 * HALF * gradients,
                _ => 0.0,
            };
            let error = (found - expected_here).abs();
            assert!(error <= bound + rounding, "{what}: {name} {at} is {found} and not {expected_here}");
        }
    }
}

/// Whole networks. A rounding may decide a maximum or a sign, and norms over few values make much of
/// one: results are compared as a whole, and by their median over shapes. `significance` is how
/// much larger roundings are than those of eleven significant bits.
pub(super) fn near(device: &Device, precision: Precision, significance: f32) {
    for training in [true, false] {
        let mut errors: [Vec<f32>; 5] = Default::default();
        for (images, channels, height, width) in SHAPES {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let drawn = Drawn::new(small_supernet(channels, height, width), images, &mut random);
            let expected = drawn.results(&Device::flex(), training, Tracked::All, by_reference);
            let rounded = |pass: Pass, inputs| by_engine(Pass { precision, ..pass }, inputs);
            let found = drawn.results(device, training, Tracked::All, rounded);
            let length = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>().sqrt();
            for ((found, expected), errors) in found.iter().zip(&expected).zip(&mut errors) {
                let apart = length(&mut found.iter().zip(expected).map(|(a, b)| a - b));
                errors.push(apart / length(&mut expected.iter().copied()));
            }
        }
        for (name, (errors, tolerance)) in NAMES.into_iter().zip(errors.iter_mut().zip([0.01, 0.01, 0.05, 0.05, 0.05]))
        {
            // What is observed in evaluation is what was given.
            assert!(errors.iter().any(|error| *error > 1e-5) || name == "observed", "{name}: as precise as `f32`");
            errors.sort_by(f32::total_cmp);
            let (median, most) = (errors[errors.len() / 2], errors[errors.len() - 1]);
            let holds = median < significance * tolerance && most < 0.5;
            assert!(holds, "training {training}: {name} is off by {errors:?}");
        }
    }
}

#[test]
fn a_network_in_bf16_on_the_processor_is_near_the_reference() {
    near(&Device::flex(), Precision::Bf16, 8.0);
}
