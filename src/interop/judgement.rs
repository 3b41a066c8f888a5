//! Is what was computed what a golden file holds, as far as float32 can tell?
//!
//! A tensor is within tolerance where its relative error is. Where it is not, the file may be one
//! that no second implementation meets: a rounding that is amplified (a batch norm over two values
//! closer than its epsilon) or that turns a ReLU or a maximum over moves the file's own numbers by
//! more than the tolerance. Then the whole replay is done again with weights and images moved by
//! roundings, and a tensor may be off by a small multiple of what that moved it.

use super::golden::{GoldenError, GoldenFile};
use burn::tensor::Tensor;
use serde::Serialize;

/// Relative errors that float32 arithmetic in another order stays well below, where rounding is not
/// amplified.
pub(super) const LOGIT_TOLERANCE: f64 = 1e-5;
pub(super) const GRADIENT_TOLERANCE: f64 = 1e-4;

/// A tensor's difference is measured against its own norm, but at least against this part of its
/// part's norm: a gradient that is zero but for rounding (a bias before a batch norm) has no
/// relative error of its own.
const NORM_FLOOR: f64 = 1e-2;

/// How many times its movement a tensor may be off. The file and this replay are two draws from the
/// results that roundings lead to, the movement is the largest of a handful more: in 80 files of as
/// many networks that PyTorch computed no tensor was further off than 1.6 times, and most of those
/// outside what is stated exactly once, a ReLU that is turned or is not.
const MOVEMENTS: f64 = 2.0;

/// A tensor that needs a tolerance beyond this is not counted as judged: it says nothing that is
/// worth saying.
const WORTHLESS: f64 = 0.1;

/// How far two tensors are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// The norm of the difference, against that of the file's tensor.
    Relative,
    /// The largest difference of two numbers.
    Absolute,
}

/// Tensors that are measured together: against one norm, where the measure is relative.
pub(super) struct Part {
    pub group: &'static str,
    pub measure: Measure,
    /// The error that float32 arithmetic in another order stays well below, where the file is
    /// well-conditioned.
    pub stated: f64,
    /// Name in the file, numbers.
    pub tensors: Vec<(String, Vec<f32>)>,
}

/// A tensor that is judged by itself.
pub(super) fn one<const D: usize>(group: &'static str, stated: f64, name: &str, found: Tensor<D>) -> Part {
    Part { group, measure: Measure::Relative, stated, tensors: vec![(name.to_owned(), crate::model::host(found))] }
}

/// Numbers that are judged together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// `eval.logits`, `grad`, `after3`, …
    pub name: &'static str,
    /// The error of the group's worst tensor, the one that leaves the least of its tolerance: relative,
    /// but of a golden file of sparsestmax the largest difference of two numbers.
    pub error: f64,
    /// That tensor.
    pub worst: String,
    pub tensors: usize,
    /// What a well-conditioned file is held to.
    pub stated: f64,
    /// What the worst tensor is held to.
    pub tolerance: f64,
    /// How far the worst tensor moves with roundings of weights and images; absent where every
    /// tensor of the file is within what is stated.
    pub sensitivity: Option<f64>,
    /// Tensors that are outside what is stated, and within their own tolerance.
    pub widened: usize,
    /// Those among them whose tolerance is so wide that they say nothing.
    pub undetermined: usize,
    /// The largest error in the group, of whatever tensor.
    pub largest: f64,
}

impl Group {
    /// Whether the worst tensor is within its tolerance, and most of the group can be judged.
    pub fn is_within(&self) -> bool {
        self.error <= self.tolerance && 2 * self.undetermined <= self.tensors
    }
}

/// All tensors of a replay beside those of the file.
pub(super) struct Judgement {
    compared: Vec<Compared>,
}

struct Compared {
    group: &'static str,
    stated: f64,
    name: String,
    measure: Measure,
    /// What differences are divided by.
    norm: f64,
    found: Vec<f32>,
    error: f64,
    /// The largest distance between `found` and what a moved replay found.
    moved: Option<f64>,
}

impl Judgement {
    /// Compares what was computed with what the file holds.
    pub fn new(golden: &GoldenFile, parts: Vec<Part>) -> Result<Self, GoldenError> {
        let mut compared = Vec::new();
        for part in parts {
            let expected = part.tensors.iter().map(|(name, _)| golden.float(name).map(|(_, numbers)| numbers));
            let expected = expected.collect::<Result<Vec<_>, _>>()?;
            compared.extend(Compared::all(part, &expected));
        }
        Ok(Self { compared })
    }

    /// Takes in what the same replay gave when its weights and images were moved by a rounding.
    pub fn moved(&mut self, parts: Vec<Part>) {
        let tensors = parts.into_iter().flat_map(|part| part.tensors);
        for (tensor, (_, numbers)) in self.compared.iter_mut().zip(tensors) {
            let distance = tensor.measure.distance(&numbers, &tensor.found) / tensor.norm;
            tensor.moved = Some(tensor.moved.unwrap_or(0.0).max(distance));
        }
    }

    /// In the order in which they were computed.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<(Group, f64)> = Vec::new();
        for tensor in &self.compared {
            let strain = tensor.error / tensor.tolerance();
            let strain = if strain.is_nan() { f64::INFINITY } else { strain };
            let at = groups.iter().position(|(group, _)| group.name == tensor.group).unwrap_or_else(|| {
                groups.push((tensor.alone(), -1.0));
                groups.len() - 1
            });
            let (group, worst) = &mut groups[at];
            group.tensors += 1;
            group.largest = group.largest.max(tensor.error);
            group.widened += usize::from(tensor.is_widened());
            group.undetermined += usize::from(tensor.is_widened() && tensor.tolerance() > WORTHLESS);
            if strain > *worst {
                let Group { tensors, widened, undetermined, largest, .. } = *group;
                (*group, *worst) = (Group { tensors, widened, undetermined, largest, ..tensor.alone() }, strain);
            }
        }
        groups.into_iter().map(|(group, _)| group).collect()
    }
}

impl Compared {
    /// A number that is not finite is infinitely wrong.
    fn all(part: Part, expected: &[&[f32]]) -> Vec<Self> {
        let Part { group, measure, stated, tensors } = part;
        let whole = expected.iter().map(|numbers| square(numbers)).sum::<f64>().sqrt();
        let compare = |((name, found), expected): ((String, Vec<f32>), &&[f32])| {
            let norm = match measure {
                Measure::Relative => square(expected).sqrt().max(NORM_FLOOR * whole).max(f64::MIN_POSITIVE),
                Measure::Absolute => 1.0,
            };
            let error = measure.distance(&found, expected) / norm;
            let error = if error.is_finite() { error } else { f64::INFINITY };
            Self { group, stated, name, measure, norm, found, error, moved: None }
        };
        tensors.into_iter().zip(expected).map(compare).collect()
    }

    fn tolerance(&self) -> f64 {
        self.stated.max(MOVEMENTS * self.moved.unwrap_or(0.0))
    }

    fn is_widened(&self) -> bool {
        self.error > self.stated && self.error <= self.tolerance() && self.error.is_finite()
    }

    fn alone(&self) -> Group {
        Group {
            name: self.group,
            error: self.error,
            worst: self.name.clone(),
            tensors: 0,
            stated: self.stated,
            // An error that is not finite is in no tolerance, however far the tensor moves.
            tolerance: if self.error.is_finite() { self.tolerance() } else { self.stated },
            sensitivity: self.moved,
            widened: 0,
            undetermined: 0,
            largest: 0.0,
        }
    }
}

fn square(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&x| f64::from(x).powi(2)).sum()
}

impl Measure {
    /// Infinite between tensors of unequal length, and where a number is none.
    fn distance(self, a: &[f32], b: &[f32]) -> f64 {
        if a.len() != b.len() {
            return f64::INFINITY;
        }
        let differences = a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b));
        let distance = match self {
            Self::Relative => differences.map(|difference| difference.powi(2)).sum::<f64>().sqrt(),
            Self::Absolute => differences.map(f64::abs).max_by(f64::total_cmp).unwrap_or(0.0),
        };
        if distance.is_nan() { f64::INFINITY } else { distance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(tensors: &[(&str, &[f32])]) -> Part {
        let tensors = tensors.iter().map(|(name, numbers)| ((*name).to_owned(), numbers.to_vec())).collect();
        Part { group: "grad", measure: Measure::Relative, stated: 1e-4, tensors }
    }

    fn judged(found: &[(&str, &[f32])], expected: &[&[f32]], moved: &[&[(&str, &[f32])]]) -> Group {
        let mut judgement = Judgement { compared: Compared::all(part(found), expected) };
        for tensors in moved {
            judgement.moved(vec![part(tensors)]);
        }
        judgement.groups().remove(0)
    }

    #[test]
    fn the_worst_tensor_is_named_and_rounding_of_a_zero_gradient_is_not_an_error() {
        let found: [(&str, &[f32]); 2] = [("large", &[1.0, 2.0]), ("zero but for rounding", &[1e-8])];
        let group = judged(&found, &[&[1.0, 2.001], &[-1e-8]], &[]);
        assert_eq!((group.worst.as_str(), group.tensors, group.sensitivity), ("large", 2, None));
        assert!((group.error - 0.001 / 5_f64.sqrt()).abs() < 1e-5, "{}", group.error);
        assert!(!group.is_within());
    }

    #[test]
    fn a_tensor_may_be_off_by_a_few_times_what_a_rounding_moves_it() {
        let found: [(&str, &[f32]); 2] = [("fickle", &[1.0]), ("steady", &[1.0])];
        let moved: [&[(&str, &[f32])]; 2] =
            [&[("fickle", &[1.001]), ("steady", &[1.0])], &[("fickle", &[1.0005]), ("steady", &[1.0])]];
        let group = judged(&found, &[&[1.0015], &[1.0]], &moved);
        assert!(group.is_within(), "{group:?}");
        assert_eq!((group.worst.as_str(), group.widened, group.undetermined, group.stated), ("fickle", 1, 0, 1e-4));
        assert!((group.sensitivity.unwrap() - 1e-3).abs() < 1e-5 && (group.tolerance - 2e-3).abs() < 1e-4, "{group:?}");
        assert!(!judged(&found, &[&[1.003], &[1.0]], &moved).is_within(), "three times is too far");
        let group = judged(&found, &[&[1.0], &[1.001]], &moved);
        assert!(
            !group.is_within() && group.worst == "steady",
            "what does not move is held to what is stated: {group:?}"
        );
    }

    #[test]
    fn a_group_that_moves_as_a_whole_cannot_be_judged() {
        let moved: &[(&str, &[f32])] = &[("a", &[1.5]), ("b", &[1.0]), ("c", &[1.0])];
        let steady = judged(&[("a", &[1.0]), ("b", &[1.0]), ("c", &[1.0])], &[&[1.9], &[1.0], &[1.0]], &[moved]);
        assert!(steady.is_within() && steady.undetermined == 1, "two of three say something: {steady:?}");
        let alone = judged(&[("a", &[1.0])], &[&[1.9]], &[&[("a", &[1.5])]]);
        assert!(!alone.is_within() && alone.undetermined == 1, "{alone:?}");
    }

    #[test]
    fn what_is_not_finite_is_never_within_tolerance() {
        assert!(!judged(&[("loss", &[f32::NAN])], &[&[1.0]], &[]).is_within());
        assert!(!judged(&[("loss", &[f32::NAN])], &[&[1.0]], &[&[("loss", &[1.0])]]).is_within());
        assert!(!judged(&[("loss", &[1.0, 2.0])], &[&[1.0]], &[]).is_within(), "of another length");
    }
}
