//! Whether a program can be executed.

use super::{Branch, Depthwise, Frame, MapId, PoolStep, Program, Read, Step, Term};

/// A program that no engine must be given: a fault of whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step} of a program: {what}")]
pub struct ProgramError {
    pub step: usize,
    pub what: String,
}

impl Program {
    /// Checks what engines rely on: sizes fit, offsets lie in their vectors, maps are written once,
    /// whole, and before they are read.
    ///
    /// # Errors
    /// The first step that is at fault.
    pub fn check(&self) -> Result<(), ProgramError> {
        let mut written = vec![false; self.maps.len()];
        for &map in &self.inputs {
            if let Some(written) = written.get_mut(map) {
                *written = true;
            }
        }
        for (step, operator) in self.steps.iter().enumerate() {
            let output = operator.output();
            let fault = self.step_fault(operator, &written);
            let twice = written.get(output).is_none_or(|written| *written);
            let fault = fault.or_else(|| twice.then(|| format!("map {output} is written twice or is none")));
            if let Some(what) = fault {
                return Err(ProgramError { step, what });
            }
            written[output] = true;
        }
        let absent = self.outputs.iter().find(|&&map| !written.get(map).is_some_and(|written| *written));
        match absent {
            Some(map) => Err(ProgramError { step: self.steps.len(), what: format!("output {map} is never written") }),
            None => Ok(()),
        }
    }

    fn step_fault(&self, step: &Step, written: &[bool]) -> Option<String> {
        match step {
            Step::Convolve { branches, output } => {
                let mut next = 0;
                for branch in branches {
                    if branch.first != next {
                        return Some(format!("a branch begins at channel {} and not at {next}", branch.first));
                    }
                    next += branch.channels;
                    if let Some(fault) = self.branch_fault(branch, *output, written) {
                        return Some(fault);
                    }
                }
                (next != self.maps.get(*output)?.channels).then(|| format!("branches write {next} channels"))
            }
            Step::Pool { pool, output } => self.pool_fault(pool, *output, written),
            Step::Combine { terms, output } => terms.iter().find_map(|term| self.term_fault(term, *output, written)),
        }
    }

    fn read_fault(&self, read: &Read, written: &[bool]) -> Option<String> {
        if !written.get(read.map).is_some_and(|written| *written) {
            return Some(format!("map {} is read before it is written", read.map));
        }
        let map = self.maps[read.map];
        if read.channels == 0 || read.first + read.channels > map.channels {
            return Some(format!("map {} has no channels {} to {}", read.map, read.first, read.first + read.channels));
        }
        let norm = self.norms.get(read.norm?);
        let fits = norm.is_some_and(|norm| {
            (norm.map, norm.first, norm.channels) == (read.map, read.first, read.channels)
                && map.statistics
                && norm.scale.is_none_or(|at| at + norm.channels <= self.weights)
                && norm.shift.is_none_or(|at| at + norm.channels <= self.weights)
                && norm.mean.max(norm.variance) + norm.channels <= self.running
        });
        (!fits).then(|| format!("the norm of map {} does not cover what is read", read.map))
    }

    /// Sides of what a source reads, which all its parts must share.
    fn sides(&self, source: &[Read], written: &[bool]) -> Result<(usize, [usize; 2]), String> {
        if let Some(fault) = source.iter().find_map(|read| self.read_fault(read, written)) {
            return Err(fault);
        }
        let sides = |read: &Read| self.maps[read.map].sides();
        match source.first().map(sides) {
            Some(first) if source.iter().all(|read| sides(read) == first) => {
                Ok((source.iter().map(|read| read.channels).sum(), first))
            }
            _ => Err("the parts of a source have different sides, or there is none".to_owned()),
        }
    }

    fn branch_fault(&self, branch: &Branch, output: MapId, written: &[bool]) -> Option<String> {
        let (inputs, sides) = match self.sides(&branch.source, written) {
            Ok(found) => found,
            Err(fault) => return Some(fault),
        };
        let beyond = |depthwise: &Depthwise| depthwise.weight + inputs * depthwise.frame.taps() > self.weights;
        if branch.depthwise.as_ref().is_some_and(beyond) {
            return Some("a depthwise filter lies outside of the weights".to_owned());
        }
        let frame = match (&branch.depthwise, &branch.dense) {
            (None, None) => return Some("a branch convolves nothing".to_owned()),
            (Some(_), None) if branch.channels != inputs => {
                return Some("a depthwise branch changes its width".to_owned());
            }
            (Some(depthwise), None) => depthwise.frame,
            (depthwise, Some(dense)) => {
                let groups = dense.groups;
                if groups == 0 || !inputs.is_multiple_of(groups) || !branch.channels.is_multiple_of(groups) {
                    return Some(format!("{groups} groups do not divide {inputs} and {} channels", branch.channels));
                }
                if dense.weight + branch.channels * inputs / groups * dense.frame.taps() > self.weights
                    || dense.bias.is_some_and(|at| at + branch.channels > self.weights)
                {
                    return Some("a dense filter lies outside of the weights".to_owned());
                }
                match depthwise {
                    Some(_) if dense.frame != Frame::PIXEL || groups != 1 => {
                        return Some("a dense filter behind a depthwise one is more than a product".to_owned());
                    }
                    Some(depthwise) => depthwise.frame,
                    None => dense.frame,
                }
            }
        };
        self.frame_fault(&frame, sides, output)
    }

    /// A window that steps outside of the map altogether would be a wrong size somewhere.
    fn frame_fault(&self, frame: &Frame, sides: [usize; 2], output: MapId) -> Option<String> {
        let Some(map) = self.maps.get(output) else { return Some(format!("there is no map {output}")) };
        map.sides().into_iter().enumerate().find_map(|(axis, outputs)| {
            let (stride, dilation) = (frame.stride[axis] as isize, frame.dilation[axis] as isize);
            let reach = (frame.kernel[axis] as isize - 1) * dilation;
            let last = (outputs as isize - 1) * stride + frame.start[axis];
            let fits = outputs > 0 && frame.kernel[axis] > 0 && stride > 0 && dilation > 0;
            let touches = frame.start[axis] + reach >= 0 && last < sides[axis] as isize;
            (!fits || !touches).then(|| format!("{outputs} windows of {frame:?} do not fit {} pixels", sides[axis]))
        })
    }

    fn pool_fault(&self, pool: &PoolStep, output: MapId, written: &[bool]) -> Option<String> {
        let (channels, sides) = match self.sides(&pool.source, written) {
            Ok(found) => found,
            Err(fault) => return Some(fault),
        };
        if self.maps.get(output)?.channels != channels {
            return Some("a pool changes its width".to_owned());
        }
        self.frame_fault(&pool.frame, sides, output)
    }

    fn term_fault(&self, term: &Term, output: MapId, written: &[bool]) -> Option<String> {
        if let Some(fault) = self.read_fault(&term.read, written) {
            return Some(fault);
        }
        let (from, to) = (self.maps[term.read.map], self.maps.get(output)?);
        let last = term.at + (term.read.channels - 1) * term.spread;
        let fits = from.sides() == to.sides()
            && last < to.channels
            && term.spread > 0
            && term.weight.is_none_or(|at| at < self.mixing)
            && term.factor.is_none_or(|row| row < self.factors);
        (!fits).then(|| format!("a term of map {} does not fit map {output}", term.read.map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Activation, Dense, Map, Norm};

    /// A 1x1 convolution of three channels to two, and a node of its norm.
    fn program() -> Program {
        let map = |channels, statistics| Map { channels, height: 4, width: 4, statistics };
        let read = |map, channels, norm| Read { map, first: 0, channels, norm, activation: Activation::None };
        let dense = Dense { weight: 0, bias: None, frame: Frame::PIXEL, groups: 1 };
        let source = vec![read(0, 3, None)];
        let branch = Branch { source, depthwise: None, dense: Some(dense), first: 0, channels: 2 };
        let term = Term { read: read(1, 2, Some(0)), at: 0, spread: 1, weight: Some(0), factor: None };
        Program {
            maps: vec![map(3, false), map(2, true), map(2, false)],
            norms: vec![Norm { map: 1, first: 0, channels: 2, scale: None, shift: None, mean: 0, variance: 2 }],
            steps: vec![
                Step::Convolve { branches: vec![branch], output: 1 },
                Step::Combine { terms: vec![term], output: 2 },
            ],
            outputs: vec![2],
            weights: 6,
            mixing: 1,
            running: 4,
            factors: 0,
            inputs: vec![0],
        }
    }

    #[test]
    fn what_no_engine_must_be_given_is_refused_with_its_step() {
        assert_eq!(program().check(), Ok(()));
        type Wrong = (fn(&mut Program), usize, &'static str);
        let wrongs: [Wrong; 9] = [
            (|program| program.steps.swap(0, 1), 0, "read before it is written"),
            (|program| program.weights = 5, 0, "outside of the weights"),
            (|program| program.maps[1].channels = 3, 0, "branches write 2 channels"),
            (|program| program.maps[1].statistics = false, 1, "does not cover"),
            (|program| program.running = 3, 1, "does not cover"),
            (|program| program.mixing = 0, 1, "does not fit map 2"),
            (|program| program.maps[2].height = 3, 1, "does not fit map 2"),
            (|program| program.steps.extend_from_within(1..), 2, "written twice"),
            (|program| program.outputs = vec![3], 2, "never written"),
        ];
        for (wrong, step, what) in wrongs {
            let mut program = program();
            wrong(&mut program);
            let error = program.check().unwrap_err();
            assert!(error.step == step && error.what.contains(what), "{error}");
        }
    }
}
