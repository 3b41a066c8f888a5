//! Pictures that a network makes of pictures of any size, tile by tile where they are large.

use super::{
    Complaint, ExitClass,
    destination::{Destination, OutputOptions},
    output,
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
    ops::Range,
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
    /// A picture of at most so many pixels a side is taken whole.
    pub tile: usize,
    pub device: &'a Device,
}

impl<F: Fn(Tensor<4>) -> Outputs> Made<'_, F> {
    /// Writes a PNG a picture: to `one` where it is one, else to the folder that is wished for, and
    /// says what was made. Pictures that cannot be are complained of when the others are there.
    pub fn write(
        &self,
        paths: &[PathBuf],
        one: Option<&Destination>,
        wish: &OutputOptions<'_>,
    ) -> Result<(), Complaint> {
        let folder = wish.path.display();
        if let (Some(_), [_, _, ..]) = (one, paths) {
            let message = format!("{} pictures are written to a folder, and `{folder}` is none", paths.len());
            return Err(Complaint::input(message).hint(format!("make it, or name another with `{}`", wish.option)));
        }
        if one.is_some() {
            wish.written_as("png", "a picture that a network makes")?;
        }
        // Before anything is computed.
        let places = paths.iter().map(|path| {
            let name = path.with_extension("png").file_name().map(PathBuf::from).unwrap_or_default();
            let path = wish.path.join(name);
            let inputs = wish.inputs.iter().chain(paths).cloned().collect();
            let place = one.is_none().then(|| Destination::at(&OutputOptions { path: &path, inputs, ..*wish }));
            place.transpose().map(|place| (path, place))
        });
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let alike = (1..places.len()).find(|&at| places[..at].iter().any(|(path, _)| *path == places[at].0));
        if let Some((path, _)) = alike.map(|at| &places[at]) {
            let message = format!("two pictures would both be written to `{}`", path.display());
            return Err(Complaint::input(message).hint("rename one, or give them one at a time"));
        }
        let (mut said, mut failed) = (String::new(), Vec::new());
        for (path, (place, destination)) in paths.iter().zip(&places) {
            match self.of(path) {
                Err(complaint) => failed.push(complaint),
                Ok(made) => {
                    if let Some(destination) = destination.as_ref().or(one) {
                        destination.write(&made.png())?;
                    }
                    let place = if one.is_some() { wish.path } else { place };
                    writeln!(said, "{}: {}x{} pixels, {}", path.display(), made.width, made.height, place.display())
                        .expect("writing to a string succeeds");
                }
            }
        }
        output::say(said)?;
        // The others are made all the same.
        match failed.len() {
            0 => Ok(()),
            1 => Err(failed.remove(0)),
            count => {
                let all: Vec<String> = failed.iter().map(|complaint| format!("\n  {}", complaint.message)).collect();
                let message = format!("{count} of {} pictures were not made:{}", paths.len(), all.concat());
                Err(Complaint::input(message).hinted(failed.remove(0).hint))
            }
        }
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
        let beyond = || {
            let message = format!("what the network makes of `{shown}` grows beyond what a number of 32 bits holds");
            Complaint::input(message)
        };
        let Some(reach) = self.network.network.reach().filter(|_| width.max(height) > self.tile) else {
            return self.window(&picture, [0..height, 0..width]).ok_or_else(beyond);
        };
        let mut whole: Option<Picture> = None;
        for rows in tiles(height, self.tile) {
            for columns in tiles(width, self.tile) {
                // A tile that has all that its pixels look at is as it is in the whole picture.
                let around =
                    |of: &Range<usize>, side: usize| of.start.saturating_sub(reach)..(of.end + reach).min(side);
                let window = [around(&rows, height), around(&columns, width)];
                let made = self.window(&picture, window.clone()).ok_or_else(beyond)?;
                let scale = made.width / window[1].len();
                let whole = whole.get_or_insert_with(|| Picture {
                    width: width * scale,
                    height: height * scale,
                    pixels: vec![0; 3 * width * height * scale * scale],
                    ..made.clone()
                });
                let [down, right] =
                    [rows.start - window[0].start, columns.start - window[1].start].map(|at| at * scale);
                for row in 0..rows.len() * scale {
                    let from = 3 * ((down + row) * made.width + right);
                    let to = 3 * ((rows.start * scale + row) * whole.width + columns.start * scale);
                    let length = 3 * columns.len() * scale;
                    whole.pixels[to..to + length].copy_from_slice(&made.pixels[from..from + length]);
                }
            }
        }
        whole.ok_or_else(beyond)
    }

    /// What it makes of some rows and columns of a picture; `None` of numbers that are none.
    fn window(&self, picture: &Picture, [rows, columns]: [Range<usize>; 2]) -> Option<Picture> {
        // Numbers from 0 to 1 where nothing else is said.
        let plain = Statistics { mean: vec![0.0; 3], std: vec![1.0; 3] };
        let tables = self.network.description.normalise.as_ref().unwrap_or(&plain).tables(255);
        let mut numbers = Vec::with_capacity(tables.len() * rows.len() * columns.len());
        for (channel, table) in tables.iter().enumerate() {
            for row in rows.clone() {
                let of_row = &picture.pixels[3 * (row * picture.width + columns.start)..][..3 * columns.len()];
                let values = of_row.iter().skip(channel).step_by(3);
                numbers.extend(values.map(|&value| table[usize::from(value)]));
            }
        }
        let shape = [1, tables.len(), rows.len(), columns.len()];
        let outputs = (self.of)(Tensor::from_data(TensorData::new(numbers, shape), self.device));
        let [_, _, height, width] = outputs.get(self.output).map_or([0; 4], Tensor::dims);
        let found = crate::model::host(outputs.scores(self.output));
        found.iter().all(|number| number.is_finite()).then(|| Picture::from_planes(&found, height, width))
    }
}

/// A side in tiles, as equal as can be and at most so long.
fn tiles(side: usize, tile: usize) -> impl Iterator<Item = Range<usize>> {
    let count = side.div_ceil(tile).max(1);
    (0..count).map(move |at| at * side / count..(at + 1) * side / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_side_without_overlap() {
        let begins = |side, tile| tiles(side, tile).map(|tile| (tile.start, tile.end)).collect::<Vec<_>>();
        assert_eq!(begins(10, 4), [(0, 3), (3, 6), (6, 10)]);
        assert_eq!(begins(4, 4), [(0, 4)]);
        assert_eq!(begins(5, 4), [(0, 2), (2, 5)]);
    }
}
