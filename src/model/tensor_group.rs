//! Named tensors laid end to end in one vector.

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
};

/// Which stretch of the vector is which tensor.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    length: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    range: Range<usize>,
}

impl Layout {
    /// Lays tensors out in the order given.
    ///
    /// # Panics
    /// If two have one name: lowering a space refuses that.
    pub fn new(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let (mut entries, mut by_name, mut length) = (Vec::new(), HashMap::new(), 0);
        for (name, shape) in tensors {
            let size: usize = shape.iter().product();
            let earlier = by_name.insert(name.clone(), entries.len());
            assert!(earlier.is_none(), "two tensors are named `{name}`");
            entries.push(Entry { name, shape, range: length..length + size });
            length += size;
        }
        Self { entries, by_name, length }
    }

    /// Numbers in all.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Name, shape and stretch of each tensor, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize], Range<usize>)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.shape.as_slice(), entry.range.clone()))
    }

    /// Where the tensor `name` begins in the vector.
    pub(super) fn start(&self, name: &str) -> Option<usize> {
        self.position(name).map(|at| self.entries[at].range.start)
    }

    /// The shape of the tensor `name`, and where it begins in the vector.
    pub(super) fn find(&self, name: &str) -> Option<(&[usize], usize)> {
        let Entry { shape, range, .. } = &self.entries[self.position(name)?];
        Some((shape, range.start))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

/// A group of tensors that are updated together: the weights, the running statistics, the alphas.
///
/// The values live on a device without autodiff; [`leaves`](Self::leaves) makes the tracked tensors
/// of one step.
#[derive(Debug, Clone)]
pub struct TensorGroup {
    layout: Arc<Layout>,
    /// `[layout.len()]`
    values: Tensor<1>,
}

impl TensorGroup {
    /// A group from numbers in the layout's order.
    ///
    /// # Panics
    /// If there are not exactly `layout.len()` numbers.
    pub fn from_host(layout: Arc<Layout>, numbers: Vec<f32>, device: &Device) -> Self {
        assert_eq!(numbers.len(), layout.len(), "a group needs a number for each place of its layout");
        let shape = [numbers.len()];
        Self { values: Tensor::from_data(TensorData::new(numbers, shape), device), layout }
    }

    /// Which stretch of the vector is which tensor.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The vector: `[layout.len()]`, never tracked.
    pub fn values(&self) -> Tensor<1> {
        self.values.clone()
    }

    /// Replaces the vector: `[layout.len()]`, untracked.
    pub fn set(&mut self, values: Tensor<1>) {
        debug_assert_eq!(values.dims(), [self.layout.len()]);
        self.values = values;
    }

    /// Replaces the vector by what `next` makes of it, who is handed the vector itself: where
    /// nobody else holds it, it can be changed in place.
    pub fn update(&mut self, next: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let nothing = Tensor::empty([0], &self.values.device());
        let values = std::mem::replace(&mut self.values, nothing);
        self.set(next(values));
    }

    /// The same tensors with other values.
    pub fn with(&self, values: Tensor<1>) -> Self {
        Self { layout: self.layout.clone(), values }
    }

    /// The vector's numbers, waiting for the device.
    pub fn to_host(&self) -> Vec<f32> {
        host(self.values.clone())
    }

    /// The tensors, untracked, for evaluation.
    pub fn views(&self) -> Views {
        Views { layout: self.layout.clone(), vector: self.values.clone(), leaves: BTreeMap::new() }
    }

    /// The tensors in an autodiff graph that gives no gradient of them.
    pub fn untracked(&self) -> Views {
        Views { vector: self.values.clone().autodiff(), ..self.views() }
    }

    /// The tensors as leaves of a new autodiff graph, one a tensor: for networks that take tensors
    /// one by one.
    pub fn leaves(&self) -> Views {
        Views { leaves: (0..self.layout.entries.len()).map(|at| (at, self.own_leaf(at))).collect(), ..self.views() }
    }

    /// The vector as one leaf of a new autodiff graph, for programs, which take it whole; and leaves
    /// of their own for some tensors, for layers between programs: the gradient of a slice of the
    /// vector would be as long as the vector.
    ///
    /// # Panics
    /// If the group has no tensor of such a name.
    pub fn leaf<'a>(&self, alone: impl IntoIterator<Item = &'a str>) -> Views {
        let of = |name| {
            let at = self.layout.position(name).expect("a network's tensors are in its group");
            (at, self.own_leaf(at))
        };
        let leaves = alone.into_iter().map(of).collect();
        Views { vector: self.values.clone().autodiff().require_grad(), leaves, ..self.views() }
    }

    fn own_leaf(&self, at: usize) -> Tensor<1> {
        self.values.clone().slice([self.layout.entries[at].range.clone()]).autodiff().require_grad()
    }

    /// Gathers the gradients of `leaves` into one vector in the layout's order, zero where the loss
    /// does not depend on a tensor. Untracked.
    pub fn gradient(&self, leaves: &Views, gradients: &Gradients) -> Tensor<1> {
        let of = |leaf: &Tensor<1>| match leaf.grad(gradients) {
            Some(gradient) => gradient.inner(),
            None => leaf.clone().inner().zeros_like(),
        };
        if self.layout.is_empty() {
            return self.values.clone();
        }
        if leaves.leaves.len() == self.layout.entries.len() {
            return Tensor::cat(leaves.leaves.values().map(of).collect(), 0);
        }
        // The vector's own is zero where a tensor is a leaf of its own.
        leaves.leaves.iter().fold(of(&leaves.vector), |gradient, (&at, leaf)| {
            gradient.slice_assign([self.layout.entries[at].range.clone()], of(leaf))
        })
    }
}

/// The tensors of a group for the length of one pass.
#[derive(Debug)]
pub struct Views {
    layout: Arc<Layout>,
    /// `[layout.len()]`
    vector: Tensor<1>,
    /// Of the tensors that are tracked one by one, by their place. Where those are all, the vector is
    /// untracked.
    leaves: BTreeMap<usize, Tensor<1>>,
}

impl Views {
    /// The tensor `name` with its shape, if the group has it.
    ///
    /// # Panics
    /// If its rank is not `D`: a network and its tensors come from the same lowering.
    pub fn find<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        let at = self.layout.position(name)?;
        let shape: [usize; D] =
            self.layout.entries[at].shape.as_slice().try_into().expect("a tensor has its layer's rank");
        Some(self.flat(at).reshape(shape))
    }

    /// The tensor `name` with its shape.
    ///
    /// # Panics
    /// If the group lacks it: a network and its tensors come from the same lowering.
    pub fn get<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.find(name).expect("a network's tensors are in its group")
    }

    /// Which stretch of the vector is which tensor.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The whole vector, `[layout.len()]`, as it is tracked.
    pub(super) fn vector(&self) -> Tensor<1> {
        self.vector.clone()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.layout.position(name)
    }

    /// Where a tensor stands in the vector.
    pub(super) fn stretch(&self, at: usize) -> Range<usize> {
        self.layout.entries[at].range.clone()
    }

    /// Tensors of the same names that lie as `layout` says. `taken` makes numbers of them, a range of
    /// that layout, of the vector, or of what a tensor is that is tracked by itself and begins at a place
    /// of the vector.
    pub(super) fn part(
        &self,
        layout: &Arc<Layout>,
        taken: impl Fn(Tensor<1>, Range<usize>, usize) -> Tensor<1>,
    ) -> Self {
        let vector = taken(self.vector.clone(), 0..layout.len(), 0);
        let own = layout.entries.iter().enumerate().filter_map(|(at, entry)| {
            let whole = self.layout.position(&entry.name)?;
            let leaf = self.leaves.get(&whole)?;
            Some((at, taken(leaf.clone(), entry.range.clone(), self.stretch(whole).start)))
        });
        Self { layout: layout.clone(), vector, leaves: own.collect() }
    }

    fn flat(&self, at: usize) -> Tensor<1> {
        match self.leaves.get(&at) {
            Some(leaf) => leaf.clone(),
            None => self.vector.clone().slice([self.stretch(at)]),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.layout.entries.len()
    }
}

/// A tensor's numbers, waiting for the device.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32")
}

/// Of each row the column of the largest number, the first of equal ones; waits for the device.
pub(crate) fn largest_of_rows(rows: Tensor<2>) -> Vec<usize> {
    let [_, columns] = rows.dims();
    let largest = |row: &[f32]| (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
    host(rows).chunks(columns).map(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_have_shapes_and_gradients_come_back_in_order_with_zeros_for_the_unused() {
        let device = Device::flex();
        let layout = Layout::new([("a".into(), vec![2, 2]), ("unused".into(), vec![1]), ("b".into(), vec![2])]);
        let group = TensorGroup::from_host(Arc::new(layout), vec![1., 2., 3., 4., 9., 5., 6.], &device);
        let leaves = group.leaves();
        let loss = leaves.get::<2>("a").square().sum() + leaves.get::<1>("b").sum();
        let gradient = group.gradient(&leaves, &loss.backward());
        assert_eq!(host(gradient), [2., 4., 6., 8., 0., 1., 1.]);
        assert!(leaves.find::<1>("absent").is_none());
    }
}
