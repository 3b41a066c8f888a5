//! Pictures that a network makes of pictures, each whole and of any size.

use super::{
    Complaint, ExitClass,
    destination::{Destination, OutputOptions},
};
use crate::{
    data::{Picture, Statistics},
    interop::trained::TrainedNetwork,
    model::Outputs,
    tasks,
};
use burn::tensor::{Device, Tensor, TensorData};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// The output of the network that is a picture, where its task has one.
pub(super) fn output(network: &TrainedNetwork) -> Option<&'static str> {
    let task = network.description.task.as_deref()?;
    (tasks::kind(tasks::KINDS, task)?.plain)().picture()
}

/// What makes them.
pub(super) struct Made<'a, F> {
    pub network: &'a TrainedNetwork,
    pub output: &'static str,
    /// Computes outputs.
    pub of: &'a F,
    pub device: &'a Device,
}

impl<F: Fn(Tensor<4>) -> Outputs> Made<'_, F> {
    /// Writes a PNG a picture: to `one` where it is one, else to the folder that is wished for.
    /// Says what was made.
    pub fn write(
        &self,
        paths: &[PathBuf],
        one: Option<&Destination>,
        wish: &OutputOptions<'_>,
    ) -> Result<String, Complaint> {
        let folder = wish.path.display();
        if let (Some(_), [_, _, ..]) = (one, paths) {
            let message = format!("{} pictures are written to a folder, and `{folder}` is none", paths.len());
            return Err(Complaint::input(message).hint(format!("make it, or name another with `{}`", wish.option)));
        }
        // Before anything is computed.
        let places = paths.iter().map(|path| {
            let name = path.with_extension("png").file_name().map(PathBuf::from).unwrap_or_default();
            let path = wish.path.join(name);
            let inputs = wish.inputs.clone();
            let place = one.is_none().then(|| Destination::at(&OutputOptions { path: &path, inputs, ..*wish }));
            place.transpose().map(|place| (path, place))
        });
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let alike = (1..places.len()).find(|&at| places[..at].iter().any(|(path, _)| *path == places[at].0));
        if let Some((path, _)) = alike.map(|at| &places[at]) {
            let message = format!("two pictures would both be written to `{}`", path.display());
            return Err(Complaint::input(message).hint("rename one, or give them one at a time"));
        }
        let mut said = String::new();
        for (path, (place, destination)) in paths.iter().zip(&places) {
            let made = self.of(path)?;
            if let Some(destination) = destination.as_ref().or(one) {
                destination.write(&made.png())?;
            }
            let place = if one.is_some() { wish.path } else { place };
            writeln!(said, "{}: {}x{} pixels, {}", path.display(), made.width, made.height, place.display())
                .expect("writing to a string succeeds");
        }
        Ok(said)
    }

    fn of(&self, path: &Path) -> Result<Picture, Complaint> {
        let shown = path.display();
        let picture =
            Picture::open(path).map_err(|error| Complaint::caused(ExitClass::Input, &error).hinted(error.hint()))?;
        let Picture { width, height, .. } = picture;
        self.network.network.resized([height, width], false).map_err(|error| {
            Complaint::input(format!("the network cannot read `{shown}`, {width}x{height} pixels: {error}"))
                .hinted(error.hint())
        })?;
        // Numbers from 0 to 1 where nothing else is said.
        let plain = Statistics { mean: vec![0.0; 3], std: vec![1.0; 3] };
        let tables = self.network.description.normalise.as_ref().unwrap_or(&plain).tables(255);
        let of_channel = |(channel, table): (usize, &[f32; 256])| {
            let values = picture.pixels.iter().skip(channel).step_by(3);
            values.map(|&value| table[usize::from(value)]).collect::<Vec<f32>>()
        };
        let numbers: Vec<f32> = tables.iter().enumerate().flat_map(of_channel).collect();
        let input = Tensor::from_data(TensorData::new(numbers, [1, tables.len(), height, width]), self.device);
        let outputs = (self.of)(input);
        let [_, _, height, width] = outputs.get(self.output).map_or([0; 4], Tensor::dims);
        let found = crate::model::host(outputs.scores(self.output));
        if found.iter().any(|number| !number.is_finite()) {
            return Err(Complaint::input(format!(
                "what the network makes of `{shown}` grows beyond what a number of 32 bits holds"
            )));
        }
        Ok(Picture::from_planes(&found, height, width))
    }
}
