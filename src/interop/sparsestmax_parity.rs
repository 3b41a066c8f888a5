//! Replays a golden file of sparsestmax: rows of alphas, and what they become at several radii. The
//! loss is the sum of what comes out, each number times a weight of its own.

use super::{
    golden::{GoldenError, GoldenFile},
    judgement::{Measure, Part},
    roundings::Roundings,
};
use crate::{
    model::{Layout, Relaxation, TensorGroup, host},
    space::network::AlphaTable,
};
use burn::tensor::{Device, Tensor};
use std::sync::Arc;

/// The kind of such a file.
pub(super) const KIND: &str = "sparsestmax";

/// Weights are 1 in sum, and the direction of a push divides by a distance that may be small: errors
/// are told as they are.
const OUT_TOLERANCE: f64 = 1e-5;
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// Tables of alphas, each a tensor `TABLE.z`, with `TABLE.rI.out` at radius I.
pub(super) struct SparsestmaxFile<'a> {
    golden: &'a GoldenFile,
    radii: Vec<f64>,
    tables: Vec<&'a str>,
}

impl<'a> SparsestmaxFile<'a> {
    /// # Errors
    /// Where it has no table, or no radii from 0 to 1.
    pub fn open(golden: &'a GoldenFile) -> Result<Self, GoldenError> {
        let radii = golden.metadata.get("radii").and_then(|said| serde_json::from_value::<Vec<f64>>(said.clone()).ok());
        let radii = radii.filter(|radii| !radii.is_empty() && radii.iter().all(|radius| (0.0..=1.0).contains(radius)));
        let radii = radii.ok_or_else(|| golden.content("its metadata lack `radii`, a list of numbers from 0 to 1"))?;
        let tables = golden.tensors.iter().filter_map(|(name, _)| name.strip_suffix(".z"));
        let tables: Vec<&str> = tables.filter(|name| !name.ends_with(".grad")).collect();
        match tables.is_empty() {
            true => Err(golden.content("it lacks a table of alphas, which would be a tensor `NAME.z`")),
            false => Ok(Self { golden, radii, tables }),
        }
    }

    /// `sparsestmax of k19 and k4 at 6 radii, errors absolute`
    pub fn describe(&self) -> String {
        format!("sparsestmax of {} at {} radii, errors absolute", self.tables.join(" and "), self.radii.len())
    }

    /// Computes everything that the file holds, with every number that comes in moved by a rounding if
    /// asked.
    pub fn replay(&self, device: &Device, mut roundings: Option<Roundings>) -> Result<Vec<Part>, GoldenError> {
        let mut parts = Vec::new();
        for name in &self.tables {
            let mut z = self.golden.tensor::<2>(&format!("{name}.z"), device)?;
            let [rows, columns] = z.dims();
            let by: Tensor<2> = self.golden.tensor_of(&format!("{name}.weights"), [rows, columns], device)?;
            if let Some(roundings) = &mut roundings {
                z = roundings.moved(z);
            }
            let layout = Layout::new([(KIND.to_owned(), vec![rows, columns])]);
            let alphas = TensorGroup::from_host(Arc::new(layout), host(z), device);
            let table = AlphaTable {
                label: KIND.to_owned(),
                candidates: vec![vec![String::new(); columns]; rows],
                ..AlphaTable::default()
            };
            for (at, &radius) in self.radii.iter().enumerate() {
                let leaves = alphas.leaves();
                let out = Relaxation::Sparsestmax { radius }.weights(std::slice::from_ref(&table), &leaves).remove(0);
                let gradients = (out.clone() * by.clone().autodiff()).sum().backward();
                let part = |group, stated, name, numbers| Part {
                    group,
                    measure: Measure::Absolute,
                    stated,
                    tensors: vec![(name, numbers)],
                };
                let gradient = alphas.gradient(&leaves, &gradients);
                parts.push(part("out", OUT_TOLERANCE, format!("{name}.r{at}.out"), host(out.inner())));
                parts.push(part("grad", GRADIENT_TOLERANCE, format!("{name}.r{at}.grad.z"), host(gradient)));
            }
        }
        Ok(parts)
    }
}
