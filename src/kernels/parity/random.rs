//! Programs drawn at random: everything that a program can say, on small and odd shapes.

use crate::program::{
    Activation, Branch, Dense, Depthwise, Frame, Map, Norm, PoolKind, PoolStep, Program, Read, Step, Term,
};
use rand::{Rng, RngExt};

struct Draw<'a, R> {
    rng: &'a mut R,
    program: Program,
    images: usize,
}

/// A program, and how many images it is to see.
pub(super) fn program(rng: &mut impl Rng) -> (Program, usize) {
    let images = [1, 2, 3, 5][rng.random_range(0..4)];
    let side = |rng: &mut _| RngExt::random_range(rng, 4..12);
    let input = |rng: &mut _| {
        let channels = RngExt::random_range(rng, 1..5);
        Map { channels, height: side(rng), width: side(rng), statistics: false }
    };
    let maps: Vec<Map> = (0..rng.random_range(1..4)).map(|_| input(rng)).collect();
    let inputs = (0..maps.len()).collect();
    let program = Program { maps, inputs, mixing: 3, factors: 2, ..Program::default() };
    let mut draw = Draw { rng, program, images };
    for _ in 0..draw.rng.random_range(3..9) {
        match draw.rng.random_range(0..5) {
            0 => draw.pool(),
            1 => draw.combine(),
            _ => draw.convolve(),
        }
    }
    draw.heads();
    (draw.program, images)
}

impl<R: Rng> Draw<'_, R> {
    fn chance(&mut self, one_in: usize) -> bool {
        self.rng.random_range(0..one_in) == 0
    }

    fn weights(&mut self, count: usize) -> usize {
        self.program.weights += count;
        self.program.weights - count
    }

    fn map(&mut self, channels: usize, [height, width]: [usize; 2]) -> usize {
        self.program.maps.push(Map { channels, height, width, statistics: false });
        self.program.maps.len() - 1
    }

    fn sides(&self, map: usize) -> [usize; 2] {
        [self.program.maps[map].height, self.program.maps[map].width]
    }

    /// Some channels of a map with these sides.
    fn read(&mut self, sides: [usize; 2], most: usize) -> Read {
        let fitting: Vec<usize> = (0..self.program.maps.len()).filter(|&map| self.sides(map) == sides).collect();
        let map = fitting[self.rng.random_range(0..fitting.len())];
        let all = self.program.maps[map].channels;
        let (first, channels) = if self.chance(3) || all > most {
            let channels = self.rng.random_range(1..=all.min(most));
            (self.rng.random_range(0..=all - channels), channels)
        } else {
            (0, all)
        };
        // Statistics of a handful of values magnify every rounding.
        let norm = (!self.chance(3) && self.images * sides[0] * sides[1] >= 16).then(|| {
            let earlier = self
                .program
                .norms
                .iter()
                .position(|norm| (norm.map, norm.first, norm.channels) == (map, first, channels));
            if let Some(earlier) = earlier.filter(|_| self.rng.random_range(0..2) == 0) {
                return earlier;
            }
            let affine = self.rng.random_range(0..2) == 0;
            self.program.maps[map].statistics = true;
            let (scale, shift) =
                if affine { (Some(self.weights(channels)), Some(self.weights(channels))) } else { (None, None) };
            let mean = self.program.running;
            self.program.running += 2 * channels;
            self.program.norms.push(Norm { map, first, channels, scale, shift, mean, variance: mean + channels });
            self.program.norms.len() - 1
        });
        let activation = if self.chance(2) { Activation::Relu } else { Activation::None };
        Read { map, first, channels, norm, activation }
    }

    fn source(&mut self, sides: [usize; 2]) -> Vec<Read> {
        let parts = 1 + usize::from(self.chance(3));
        (0..parts).map(|_| self.read(sides, 24)).collect()
    }

    fn some_sides(&mut self) -> [usize; 2] {
        let map = self.rng.random_range(0..self.program.maps.len());
        self.sides(map)
    }

    fn frame(&mut self, sides: [usize; 2], stride: usize, largest: usize) -> Frame {
        let kernel = [self.rng.random_range(1..=largest), self.rng.random_range(1..=largest)];
        let dilation = [1 + usize::from(self.chance(3)); 2];
        let inside = isize::from(self.chance(4) && sides.iter().all(|side| *side > 2));
        let start = |axis: usize| {
            let middle = (((kernel[axis] - 1) * dilation[axis]) / 2) as isize;
            if kernel[axis] == 1 { inside } else { -middle }
        };
        Frame { kernel, stride: [stride; 2], start: [start(0), start(1)], dilation }
    }

    fn convolve(&mut self) {
        let (sides, stride) = (self.some_sides(), 1 + usize::from(self.chance(3)));
        let to = sides.map(|side: usize| (side - 1).max(1).div_ceil(stride));
        let mut branches: Vec<Branch> = Vec::new();
        let mut first = 0;
        for _ in 0..self.rng.random_range(1..5) {
            let source = self.source(sides);
            let inputs: usize = source.iter().map(|read| read.channels).sum();
            let kind = self.rng.random_range(0..3);
            let frame = self.frame(sides, stride, 5);
            let depthwise = (kind != 0).then(|| Depthwise { weight: self.weights(inputs * frame.taps()), frame });
            let (dense, channels) = if kind == 1 {
                (None, inputs)
            } else {
                let divisors: Vec<usize> = (1..=inputs).filter(|groups| inputs.is_multiple_of(*groups)).collect();
                let groups =
                    if kind == 0 && self.chance(2) { divisors[self.rng.random_range(0..divisors.len())] } else { 1 };
                let wide = if self.chance(6) { 70 } else { 6 };
                let channels = groups * self.rng.random_range(1..=wide);
                let frame = if kind == 0 { frame } else { Frame::PIXEL };
                let weight = self.weights(channels * inputs / groups * frame.taps());
                let bias = self.chance(3).then(|| self.weights(channels));
                (Some(Dense { weight, bias, frame, groups }), channels)
            };
            branches.push(Branch { source, depthwise, dense, first, channels });
            first += channels;
        }
        let output = self.map(first, to);
        self.program.steps.push(Step::Convolve { branches, output });
    }

    fn pool(&mut self) {
        let (sides, stride) = (self.some_sides(), 1 + usize::from(self.chance(2)));
        let to = sides.map(|side: usize| (side - 1).max(1).div_ceil(stride));
        let (source, frame) = (self.source(sides), self.frame(sides, stride, 3));
        let channels = source.iter().map(|read| read.channels).sum();
        let kind = if self.chance(2) { PoolKind::Max } else { PoolKind::Mean };
        let output = self.map(channels, to);
        self.program.steps.push(Step::Pool { pool: PoolStep { source, frame, kind }, output });
    }

    fn combine(&mut self) {
        let sides = self.some_sides();
        let channels = self.rng.random_range(1..9);
        let mut terms = Vec::new();
        for _ in 0..self.rng.random_range(0..6) {
            let read = self.read(sides, channels);
            let spread = if read.channels > 1 {
                1 + self.rng.random_range(0..=(channels - 1) / (read.channels - 1) - 1)
            } else {
                1
            };
            let at = self.rng.random_range(0..=channels - 1 - (read.channels - 1) * spread);
            let weight = (!self.chance(3)).then(|| self.rng.random_range(0..self.program.mixing));
            let factor = self.chance(3).then(|| self.rng.random_range(0..self.program.factors));
            terms.push(Term { read, at, spread, weight, factor });
        }
        let output = self.map(channels, sides);
        self.program.steps.push(Step::Combine { terms, output });
    }

    /// Scores of the last maps: a product as large as a map, and a mean behind which a product
    /// stands.
    fn heads(&mut self) {
        for kernel_as_large_as_the_map in [true, false] {
            let last = self.program.maps.len() - 1;
            let sides = self.sides(last);
            let mut read = self.read(sides, 24);
            let whole = Frame { kernel: sides, ..Frame::PIXEL };
            let mut frame = whole;
            if !kernel_as_large_as_the_map {
                let pool = PoolStep { source: vec![read], frame: whole, kind: PoolKind::Mean };
                let output = self.map(read.channels, [1, 1]);
                self.program.steps.push(Step::Pool { pool, output });
                read =
                    Read { map: output, first: 0, channels: read.channels, norm: None, activation: Activation::None };
                frame = Frame::PIXEL;
            }
            let weight = self.weights(3 * read.channels * frame.taps());
            let dense = Dense { weight, bias: Some(self.weights(3)), frame, groups: 1 };
            let branch = Branch { source: vec![read], depthwise: None, dense: Some(dense), first: 0, channels: 3 };
            let output = self.map(3, [1, 1]);
            self.program.steps.push(Step::Convolve { branches: vec![branch], output });
            self.program.outputs.push(output);
        }
    }
}
