//! Holds the loops to scalar ones, with every kind of vector that the machine has.

use super::depthwise::{Window, correlate, spread, weight_sums};
use super::outer::{Gradient, outer};
use super::product::{Entry, Input, Output, Panels, product};
use super::tiles::{self, PRODUCTS, Place};
use super::vector::levels;
use super::{LANES, Lanes, Pixels, Walk, elementwise, sums, windows};
use crate::cpu::{
    element::{Bf16, Element},
    prologue::Prologue,
    winograd,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `pixels` of values in -1 to 1.
fn values(seed: u64, pixels: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..pixels * LANES).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn lanes(seed: u64, count: usize) -> Vec<Lanes> {
    values(seed, count).as_chunks().0.iter().map(|lanes| Lanes(*lanes)).collect()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let bound = 1e-5 * expected.abs().max(4.0);
        assert!((f64::from(*found) - expected).abs() <= bound, "value {at}: {found}, not {expected}");
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Whole and partial tiles, steps, and rows that are one row.
fn walks() -> Vec<Walk> {
    let walk = |rows, width, from: [usize; 2], to: [usize; 2]| {
        let [from, to] = [from, to].map(|[pitch, step]| Pixels { image: 0, pitch, step });
        Walk { images: 1, rows, width, from, to }
    };
    vec![
        walk(1, 1, [9, 1], [9, 1]),
        walk(3, 23, [30, 1], [23, 1]),
        walk(4, 8, [8, 1], [8, 1]),
        walk(2, 7, [40, 2], [9, 1]),
        walk(2, 12, [14, 1], [30, 2]),
    ]
}

/// Pixels that a walk spans, with room for windows.
const ROOM: usize = 180;

/// Every pixel of a walk: where it is read and where it is written.
fn pixels(walk: Walk) -> impl Iterator<Item = (usize, usize)> {
    let place = |pixels: Pixels, row: usize, x: usize| row * pixels.pitch + x * pixels.step;
    let all = (0..walk.rows).flat_map(move |row| (0..walk.width).map(move |x| (row, x)));
    all.map(move |(row, x)| (place(walk.from, row, x), place(walk.to, row, x)))
}

#[test]
fn products_and_their_gradients_are_those_of_scalar_loops() {
    levels::each(|| {
        for (case, walk) in walks().into_iter().enumerate() {
            for blocks in [1, 2, 3, 4, 5, 9] {
                for each in [1, 4] {
                    product_case(walk, blocks, each, case % 2 == 0);
                }
            }
        }
    });
}

/// `each` is how many channels an image has, where images share a vector, else 1.
fn product_case(walk: Walk, blocks: usize, each: usize, accumulate: bool) {
    let channels = if each == 1 { [16, 3] } else { [4, 3] };
    let entries = [(0, channels[0]), (7, channels[1])].map(|(pixel, channels)| Entry { pixel, channels });
    let (weights, bias) = (lanes(1, 19 * blocks), lanes(2, blocks));
    let weight = |entry: usize, channel: usize, block: usize| weights[(entry * channels[0] + channel) * blocks + block];
    let panels = Panels::pack(1, entries.to_vec(), blocks, |_, entry, channel, first, to| {
        to.iter_mut().enumerate().for_each(|(at, to)| *to = weight(entry, channel, first + at).0);
    });
    let (input, start) = (values(3, ROOM), values(4, ROOM * blocks));
    let read = |pixel: usize, channel: usize, lane: usize| match each {
        1 => input[pixel * LANES + channel],
        _ => input[pixel * LANES + lane - lane % each + channel],
    };
    let mut expected = wide(&start);
    let (mut out, given) =
        (start.clone(), Input { values: &input, layer: 0, width: if each == 1 { LANES } else { each } });
    for (from, to) in pixels(walk) {
        for (block, lane) in (0..blocks).flat_map(|block| (0..LANES).map(move |lane| (block, lane))) {
            let sum = &mut expected[(block * ROOM + to) * LANES + lane];
            *sum = if accumulate { *sum } else { 0.0 } + f64::from(bias[block].0[lane]);
            for (entry, Entry { pixel, channels }) in entries.iter().enumerate() {
                for channel in 0..*channels {
                    let weight = weight(entry, channel, block).0[lane];
                    *sum += f64::from(weight) * f64::from(read(from + pixel, channel, lane));
                }
            }
        }
    }
    let output = Output { values: &mut out, block: ROOM * LANES, layer: 0 };
    product(&panels, Some(&bias), given, output, walk, accumulate);
    assert_close(&out, &expected);

    let mut found = values(5, channels[1] * blocks);
    let mut expected = wide(&found);
    for (from, to) in pixels(walk) {
        for (at, sum) in expected.iter_mut().enumerate() {
            let (channel, block, lane) = (at / (blocks * LANES), at / LANES % blocks, at % LANES);
            let gradient = start[(block * ROOM + to) * LANES + lane];
            *sum += f64::from(read(from, channel, lane)) * f64::from(gradient);
        }
    }
    let gradient = Gradient { values: &start, blocks, block: ROOM * LANES, layer: 0 };
    outer(1, channels[1], given, gradient, walk, &mut found, 0);
    assert_close(&found, &expected);
}

#[test]
#[should_panic(expected = "values of 1600")]
fn pixels_past_the_input_are_refused() {
    let panels = Panels::pack(1, vec![Entry { pixel: 7, channels: 1 }], 1, |_, _, _, _, _| {});
    let walk = Walk { images: 1, rows: 1, width: 100, from: Pixels::of(100), to: Pixels::of(100) };
    let (input, mut out) = (values(1, 100), values(2, 100));
    let input = Input { values: &input, layer: 0, width: LANES };
    product(&panels, None, input, Output { values: &mut out, block: 0, layer: 0 }, walk, false);
}

#[test]
fn windows_and_their_gradients_are_those_of_scalar_loops() {
    levels::each(|| {
        for walk in walks() {
            for (kernel, apart) in [([3, 3], 1), ([3, 3], 2), ([5, 5], 1), ([2, 5], 2), ([1, 7], 1), ([1, 1], 1)] {
                window_case(walk, Window { kernel, first: 2, apart: [11, apart] });
            }
        }
    });
}

fn window_case(walk: Walk, window: Window) {
    let taps = window.taps();
    let (input, weights, start) = (values(1, ROOM), lanes(2, taps), values(3, ROOM));
    let [mut out, mut sums, mut back] = [start.clone(), values(4, taps), values(5, ROOM)];
    let [mut of_out, mut of_sums, mut of_back] = [wide(&out), wide(&sums), wide(&back)];
    for (from, to) in pixels(walk) {
        for (tap, lane) in (0..taps).flat_map(|tap| (0..LANES).map(move |lane| (tap, lane))) {
            let (read, written) = ((from + window.tap(tap)) * LANES + lane, to * LANES + lane);
            of_out[written] += f64::from(weights[tap].0[lane]) * f64::from(input[read]);
            of_sums[tap * LANES + lane] += f64::from(start[written]) * f64::from(input[read]);
            of_back[read] += f64::from(weights[tap].0[lane]) * f64::from(start[written]);
        }
    }
    correlate(&input, &weights, &window, walk, &mut out, true);
    weight_sums(&input, &start, &window, walk, &mut sums);
    spread(&start, &weights, &window, walk, &mut back);
    assert_close(&out, &of_out);
    assert_close(&sums, &of_sums);
    assert_close(&back, &of_back);

    // Few different values, so that several taps have the maximum.
    let input: Vec<f32> = input.iter().map(|value| (value * 4.0).round()).collect();
    let mut taken = vec![0.0; ROOM * LANES];
    let mut expected = wide(&taken);
    windows::maximum(&input, &window, walk, &mut out);
    windows::add_to_first(&start, &out, &input, &window, walk, &mut taken);
    for (from, to) in pixels(walk) {
        for lane in 0..LANES {
            let read = |tap: usize| (from + window.tap(tap)) * LANES + lane;
            let most = (0..taps).map(|tap| input[read(tap)]).fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(out[to * LANES + lane], most);
            let first = (0..taps).find(|tap| input[read(*tap)] == most).unwrap();
            expected[read(first)] += f64::from(start[to * LANES + lane]);
        }
    }
    assert_close(&taken, &expected);
}

#[test]
fn what_is_no_number_wins_and_stays() {
    levels::each(|| {
        let mut input = values(1, 3);
        input[LANES] = f32::NAN;
        let window = Window { kernel: [1, 3], first: 0, apart: [0, 1] };
        let walk = Walk { images: 1, rows: 1, width: 1, from: Pixels::of(1), to: Pixels::of(1) };
        let mut out = values(2, 1);
        windows::maximum(&input, &window, walk, &mut out);
        assert!(out[0].is_nan() && out[1..].iter().all(|out| !out.is_nan()));
        let relu = Prologue { least: 0.0, ..Prologue::NONE };
        elementwise::through(&input[LANES..], &relu, &Lanes::ONE, walk, &mut out, false);
        assert!(out[0].is_nan() && out[1..].iter().all(|out| *out >= 0.0));
    });
}

#[test]
fn tiles_are_convolutions_of_three_by_three() {
    levels::each(|| {
        for sides in [[4, 4], [8, 12], [5, 7], [3, 10]] {
            let pixels = sides[0] * sides[1];
            let (map, weights, of_taps) = (values(1, pixels), values(2, 9), lanes(2, 9));
            let along = |start: isize| -> Vec<[isize; 2]> {
                let along = |axis: usize| (0..sides[axis]).step_by(4).map(move |at| at as isize + start);
                along(0).flat_map(|y| along(1).map(move |x| [y, x])).collect()
            };
            let (from, to) = (along(-1), along(0));
            let place = |tiles| Place { sides, pitch: sides[1], first: 0, tiles };
            let layer = to.len() * LANES;
            let [mut inputs, mut adjoints] = [1, 1].map(|_| vec![0.0; PRODUCTS * layer]);
            tiles::inputs(&map, place(&from), &mut inputs, layer);
            tiles::adjoints(&map, place(&to), &mut adjoints, layer);
            let u = winograd::weights(std::array::from_fn(|tap| of_taps[tap]));
            let products: Vec<f32> =
                inputs.iter().enumerate().map(|(at, input)| input * u[at / layer].0[at % LANES]).collect();
            let (mut out, bias) = (values(3, pixels), Lanes::all(0.5));
            let mut expected = wide(&out);
            let mut of_weights = vec![0.0; 9 * LANES];
            tiles::outputs(&products, layer, &bias, place(&to), &mut out, true);
            for at in 0..pixels * 9 * LANES {
                let (pixel, tap, lane) = (at / (9 * LANES), at / LANES % 9, at % LANES);
                let [y, x] = [pixel / sides[1] + tap / 3, pixel % sides[1] + tap % 3].map(|at| at.wrapping_sub(1));
                if y < sides[0] && x < sides[1] {
                    let input = f64::from(map[(y * sides[1] + x) * LANES + lane]);
                    expected[pixel * LANES + lane] += input * f64::from(weights[tap * LANES + lane]);
                    of_weights[tap * LANES + lane] += input * f64::from(map[pixel * LANES + lane]);
                }
            }
            expected.iter_mut().for_each(|expected| *expected += 0.5);
            assert_close(&out, &expected);

            // The gradients of the weights, of a gradient that is the map itself.
            let sum = |product: usize, lane: usize| -> f32 {
                let places = (product * layer + lane..(product + 1) * layer).step_by(LANES);
                places.map(|at| inputs[at] * adjoints[at]).sum()
            };
            let of_u = |product| Lanes(std::array::from_fn(|lane| sum(product, lane)));
            let found = winograd::weight_gradient(std::array::from_fn(of_u));
            assert_close(found.map(|lanes| lanes.0).as_flattened(), &of_weights);
        }
    });
}

#[test]
fn sums_of_maps_are_those_of_scalar_loops() {
    levels::each(|| {
        for walk in walks() {
            let (x, z, start) = (values(1, ROOM), values(2, ROOM), values(3, ROOM));
            let [factor, offset, scale] = [4, 5, 6].map(|seed| lanes(seed, 1)[0]);
            let before = Prologue { factor, offset, least: 0.0 };
            let [mut through, mut passed] = [start.clone(), start.clone()];
            let [mut of_through, mut of_passed] = [wide(&start), wide(&start)];
            for (from, to) in pixels(walk) {
                for lane in 0..LANES {
                    let (from, to) = (from * LANES + lane, to * LANES + lane);
                    let y = |x: f32| f64::from(x.mul_add(factor.0[lane], offset.0[lane]).max(0.0));
                    of_through[to] += y(x[from]) * f64::from(scale.0[lane]);
                    let gradient = f64::from(x[from]) * f64::from(scale.0[lane]);
                    of_passed[to] = if y(z[to]) > 0.0 { gradient } else { 0.0 };
                }
            }
            elementwise::through(&x, &before, &scale, walk, &mut through, true);
            elementwise::pass(&x, &z, &before, &scale, walk, &mut passed, false);
            assert_close(&through, &of_through);
            assert_close(&passed, &of_passed);
        }
        for count in 0..=9 {
            let planes: Vec<(Lanes, Vec<f32>)> = (0..count).map(|at| (lanes(at, 1)[0], values(at + 20, 21))).collect();
            let terms: Vec<(Lanes, &[f32])> = planes.iter().map(|(factor, x)| (*factor, x.as_slice())).collect();
            let (mut out, mut rounded, shift) = (values(7, 21), vec![Bf16::default(); 21 * LANES], lanes(8, 1)[0]);
            let of = |at: usize| {
                let sum: f64 = terms.iter().map(|(a, x)| f64::from(a.0[at % LANES]) * f64::from(x[at])).sum();
                sum + f64::from(shift.0[at % LANES])
            };
            let expected: Vec<f64> = (0..out.len()).map(of).collect();
            elementwise::weighted_sum(&shift, &terms, &mut out);
            assert_close(&out, &expected);
            elementwise::weighted_sum(&shift, &terms, &mut rounded);
            assert_eq!(rounded, out.iter().map(|out| Bf16::of(*out)).collect::<Vec<_>>());
        }
    });
}

#[test]
fn sums_of_lanes_are_exact_far_from_zero() {
    levels::each(|| {
        for (pixels, centre) in [(1, 0.0), (7, 3.0), (1030, -5000.0), (256, 1.0)] {
            let x: Vec<f32> = values(1, pixels).iter().map(|x| x + centre).collect();
            let (z, mean) = (values(2, pixels), lanes(3, 1)[0]);
            let moments = sums::moments(&x);
            let (first, [products, _]) = sums::weighted_sums(&z, [(&z, &mean), (&x, &mean)]);
            for lane in 0..LANES {
                let of = |of: &[f32]| -> Vec<f64> { wide(of).into_iter().skip(lane).step_by(LANES).collect() };
                let (x, z) = (of(&x), of(&z));
                let about = x.iter().sum::<f64>() / pixels as f64;
                let squares: f64 = x.iter().map(|x| (x - about).powi(2)).sum();
                let [count, mean_of, squares_of] = moments.lane(lane);
                assert_eq!(count, pixels as f64);
                assert!((mean_of - about).abs() <= 1e-7 * about.abs().max(1.0), "{mean_of} {about}");
                assert!((squares_of - squares).abs() <= 1e-5 * squares + 1e-9, "{squares_of} {squares}");
                let product: f64 = z.iter().map(|z| z * (z - f64::from(mean.0[lane]))).sum();
                let bound = 1e-6 * (pixels as f64 + 1.0);
                assert!((first[lane] - z.iter().sum::<f64>()).abs() <= bound);
                assert!((products[lane] - product).abs() <= bound, "{} {product}", products[lane]);
            }
        }
    });
}

/// What is read and written as `bf16` is computed as in `f32`, and rounded once.
#[test]
fn loops_over_bf16_are_those_over_the_same_numbers() {
    let narrow = |values: &[f32]| -> Vec<Bf16> { values.iter().map(|value| Bf16::of(*value)).collect() };
    levels::each(|| {
        for walk in walks() {
            let [x, z, start] = [1, 2, 3].map(|seed| narrow(&values(seed, ROOM)));
            let [wide_x, wide_z, wide_start] =
                [&x, &z, &start].map(|values| values.iter().map(|value| value.value()).collect::<Vec<f32>>());
            let [factor, offset, scale] = [4, 5, 6].map(|seed| lanes(seed, 1)[0]);
            let before = Prologue { factor, offset, least: 0.0 };
            let [mut out, mut wide] = [0; 2].map(|_| values(7, ROOM));
            elementwise::through(&x, &before, &scale, walk, &mut out, true);
            elementwise::through(&wide_x, &before, &scale, walk, &mut wide, true);
            assert_eq!(out, wide);
            let (mut out, mut wide) = (start.clone(), wide_start.clone());
            elementwise::pass(&x, &z, &before, &scale, walk, &mut out, true);
            elementwise::pass(&wide_x, &wide_z, &before, &scale, walk, &mut wide, true);
            assert_eq!(out, narrow(&wide));
            assert_eq!(sums::moments(&x), sums::moments(&wide_x));
            let found = sums::weighted_sums(&x, [(&z, &factor), (&start, &offset)]);
            assert_eq!(found, sums::weighted_sums(&wide_x, [(&wide_z, &factor), (&wide_start, &offset)]));
        }
        // Ties, what is no number, what is not finite, and what is less than the least normal one.
        let special = [
            0x3f80_8000,
            0x3f81_8000,
            0xbf80_8001,
            0x7f80_0000,
            0xff80_0000,
            0x7f80_0001,
            0xffff_ffff,
            0x7f7f_ffff,
            0x0000_8000,
            0x0001_8000,
            0x8000_8001,
            0x007f_ffff,
            0x0080_0000,
            0x3f80_7fff,
            0x4000_0000,
            0x0000_0000,
        ];
        let special = special.map(f32::from_bits);
        let mut out = [Bf16::default(); LANES];
        elementwise::write(&special, &mut out, false);
        assert_eq!(out, special.map(Bf16::of));
    });
}
