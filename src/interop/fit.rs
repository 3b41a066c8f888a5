//! What would have to be said otherwise for a file's tensors to fit: the hint of a mismatch.

use super::{
    description::{Candidate, Description},
    state::{State, Unmatched, seen_classes, seen_colours},
};
use crate::space::network::{FeatureMap, Network, TensorSpec};
use std::collections::BTreeSet;

/// Numbers of cells that are tried: published networks have 20 at most, a segment 5.
const MOST_CELLS: usize = 40;

/// ``the tensors fit with `--channels 4 --layers 5` ``, or nothing where no network near by fits.
pub(super) fn suggestion(description: &Description, chosen: &Candidate, state: &State<'_>) -> Option<String> {
    let open = Description { skeleton: None, ..description.clone() };
    let others = open.skeletons(&chosen.space).into_iter().filter(|name| *name != chosen.skeleton);
    let others = others.map(|skeleton| Candidate { skeleton, ..chosen.clone() });
    for candidate in std::iter::once(chosen.clone()).chain(others) {
        let Some(size) = fitting_size(description, &candidate, state) else { continue };
        let sized = Description { size: Some(size), ..description.clone() };
        let Some(fitting) = fitting_widths(&sized, &candidate, state) else { continue };
        let mut flags = Vec::new();
        if candidate.skeleton != chosen.skeleton {
            flags.push(format!("--skeleton {}", candidate.skeleton));
        }
        for (flag, said, fits) in [
            ("channels", description.channels, fitting.channels),
            ("layers", description.size, fitting.size),
            ("classes", description.classes, fitting.classes),
        ] {
            flags.extend(fits.filter(|_| said != fits).map(|fits| format!("--{flag} {fits}")));
        }
        return match (description.input, fitting.input) {
            (Some([found, ..]), Some([needed, ..])) if found != needed => {
                Some(format!("the weights are for images of {needed} channels, these have {found}"))
            }
            _ if flags.is_empty() => None,
            _ => Some(format!("the tensors fit with `{}`", flags.join(" "))),
        };
    }
    None
}

/// The number of cells at which the network's names are the file's.
fn fitting_size(description: &Description, candidate: &Candidate, state: &State<'_>) -> Option<usize> {
    let sizes = description.size.into_iter().chain(1..=MOST_CELLS);
    sizes.into_iter().find(|&size| {
        let described = Description { size: Some(size), ..description.clone() };
        let Some(network) = lower(&described, candidate, false) else { return false };
        let named = network.tensors().iter().all(|spec| state.get(&spec.name).is_some());
        let auxiliary = lower(&described, candidate, true);
        let networks: Vec<&Network> = [Some(&network), auxiliary.as_ref()].into_iter().flatten().collect();
        named && state.check_strangers(&networks, Unmatched::OfTheNetwork).is_ok()
    })
}

/// The description with the width, the classes and the image's channels at which every shape is the
/// file's.
fn fitting_widths(description: &Description, candidate: &Candidate, state: &State<'_>) -> Option<Description> {
    let network = lower(description, candidate, false)?;
    let mut fitting = description.clone();
    if let (Some([_, height, width]), Some(colours)) = (description.input, seen_colours(&network, state)) {
        fitting.input = Some([colours, height, width]);
    }
    fitting.classes = seen_classes(&network, state).or(fitting.classes);
    // Widths are proportional to that of the first cell, nearly all: each tensor proposes one.
    let channels = description.channels?;
    let proposals: BTreeSet<usize> = network
        .tensors()
        .iter()
        .filter_map(|spec| {
            let (expected, found) = (*spec.shape.first()?, *state.get(&spec.name)?.shape.first()?);
            (expected > 0 && channels * found % expected == 0).then(|| channels * found / expected)
        })
        .collect();
    std::iter::once(channels).chain(proposals).find_map(|channels| {
        let fitting = Description { channels: Some(channels), ..fitting.clone() };
        let network = lower(&fitting, candidate, false)?;
        let fits = |spec: TensorSpec| state.get(&spec.name).is_some_and(|stored| stored.shape == spec.shape);
        network.tensors().into_iter().all(fits).then_some(fitting)
    })
}

fn lower(description: &Description, candidate: &Candidate, auxiliary: bool) -> Option<Network> {
    let [channels, height, width] = description.input?;
    let input = FeatureMap { channels, height, width };
    description.lower(candidate, description.classes?, input, auxiliary).ok()
}
