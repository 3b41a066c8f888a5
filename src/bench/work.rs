//! A search or a training without its data set: what a step is timed of.
//!
//! The file is a stage of a pipeline, its keys and their defaults the same, with the images that it
//! is to see said instead of a reference to a data set:
//!
//! ```yaml
//! images: {channels: 3, size: 32, classes: 10}
//! genotype: {space: darts, from: darts_v2}        # of a `retrain` or `transfer`
//! retrain: {skeleton: cifar, drop_path: 0.2}      # or `search: {space: darts}`
//! ```

use super::shipped;
use crate::{
    config::{Fields, Node, Problems},
    data::{Augment, ImageShape},
    machine,
    recipes::{self, PublishedCell, Recipe, Settings, SpaceFile},
    run::sentence,
    space::{self, SpaceError, WrittenGenotype, network::Network},
    tasks::{self, Learned, Supervision},
    train::{LearnerConfig, TrainingConfig},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What decides how long a step takes.
#[derive(Debug, Clone)]
pub struct Work {
    pub network: Network,
    /// Of classes without names.
    pub supervision: Arc<dyn Supervision>,
    pub learner: LearnerConfig,
    pub training: TrainingConfig,
    /// Decides first weights, alphas, what is drawn.
    pub seed: u64,
    /// How images are changed where they are loaded.
    pub augment: Augment,
    /// Channels, height, width of an image.
    pub shape: [usize; 3],
    pub classes: usize,
}

/// A work's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write what ships to a folder for temporary files")]
    Unpack(#[source] io::Error),
    /// All complaints, each with its place.
    #[error("`{}` is not valid", path.display())]
    Invalid { path: PathBuf, problems: Problems },
}

impl Work {
    /// The work that ships by that name.
    ///
    /// # Errors
    /// Where the system's folder for temporary files cannot be written to.
    pub fn shipped(name: &str) -> Result<Self, WorkError> {
        let shipped = shipped::unpack().map_err(WorkError::Unpack)?;
        Self::read_beside(&shipped::work_in(shipped.path(), name), shipped.path())
    }

    /// Reads the file at `path`. Spaces and genotypes that it names are found as a pipeline's at
    /// that place, else among those that ship, so that a work may lie anywhere.
    ///
    /// # Errors
    /// Where the file cannot be read, or all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, WorkError> {
        let shipped = shipped::unpack().map_err(WorkError::Unpack)?;
        Self::read_beside(path, shipped.path())
    }

    fn read_beside(path: &Path, shipped: &Path) -> Result<Self, WorkError> {
        let text = machine::read_text(path).map_err(|source| WorkError::Read { path: path.to_owned(), source })?;
        let folders = Folders { own: path.parent().unwrap_or(Path::new("")), shipped };
        let invalid = |problems| WorkError::Invalid { path: path.to_owned(), problems };
        let node = Node::parse(path, text).map_err(invalid)?;
        let mut problems = Problems::new();
        match Self::of(&node, folders, &mut problems) {
            Some(work) if problems.is_empty() => Ok(work),
            _ => Err(invalid(problems)),
        }
    }

    /// `None` after a complaint.
    fn of(node: &Node, folders: Folders<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(node, "a work", problems);
        // CIFAR-10's unless said.
        let images = recipes::images(&mut fields, 32, 10);
        let kinds = [("search", None), ("retrain", Some(&Recipe::CIFAR)), ("transfer", Some(&Recipe::IMAGENET))];
        let given: Vec<_> =
            kinds.iter().filter_map(|&(kind, recipe)| Some((kind, recipe, fields.node(kind)?))).collect();
        let work = match given[..] {
            [(_, None, keys)] => Self::search(images, keys, folders, fields.problems()),
            [(kind, Some(recipe), keys)] => {
                let nothing = Node::empty_map();
                let genotype = fields.node("genotype").unwrap_or(&nothing);
                Self::train(images, genotype, (kind, recipe, keys), folders, fields.problems())
            }
            _ => {
                let place = fields.origin().clone();
                fields.problems().add(&place, "a work has one of `search`, `retrain` and `transfer`");
                None
            }
        };
        fields.close();
        work
    }

    /// The supernet of a `search`.
    fn search(images: ImageShape, keys: &Node, folders: Folders<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(keys, "`search`", problems);
        let space = SpaceFile::read(&mut fields, folders.of_space(keys)).map(|file| file.space);
        let settings = Settings::of_search(&mut fields, space.as_ref(), tasks::KINDS);
        fields.close();
        let (settings, _) = settings?;
        let network = space?.supernet(&settings.supernet(images));
        Self::new(images, network, settings, keys, problems)
    }

    /// The network of the genotype that stands beside a `retrain` or a `transfer`.
    fn train(
        images: ImageShape,
        genotype: &Node,
        (kind, recipe, keys): (&str, &Recipe, &Node),
        folders: Folders<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = Fields::open(genotype, "`genotype`", problems);
        let file = SpaceFile::read(&mut fields, folders.of_space(genotype)).map(Arc::new);
        let published = PublishedCell::read(&mut fields, file, folders.of_genotype(genotype));
        fields.close();
        let PublishedCell { file, genotype, .. } = published?;
        let mut fields = Fields::open(keys, format!("`{kind}`"), problems);
        let settings = Settings::of_training(&mut fields, Some(&file.space), recipe, tasks::KINDS);
        fields.close();
        let settings = settings?;
        let network = file.space.discrete(&genotype, &settings.discrete(images));
        Self::new(images, network, settings, keys, problems)
    }

    fn new(
        images: ImageShape,
        network: Result<Network, SpaceError>,
        settings: Settings,
        keys: &Node,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Settings { task, feed, learner, training, .. } = settings;
        if let Err(why) = task.check(images) {
            problems.add(&keys.origin, why);
            return None;
        }
        let ImageShape { shape, classes, .. } = images;
        let (seed, augment) = (feed.seed, feed.augment);
        let Learned::FromExamples(supervision) = task.learned(&vec![String::new(); classes]) else {
            problems.add(&keys.origin, "a work is learned from examples, and its task is learned by playing");
            return None;
        };
        match network {
            Ok(network) => Some(Self { network, supervision, learner, training, seed, augment, shape, classes }),
            Err(error) => {
                problems.add_hinted(&keys.origin, sentence(&error), error.hint());
                None
            }
        }
    }
}

/// Where what a work names is looked for.
#[derive(Clone, Copy)]
struct Folders<'a> {
    /// Of the work's file.
    own: &'a Path,
    /// Of what the program brings along.
    shipped: &'a Path,
}

impl<'a> Folders<'a> {
    /// The folder beside which the space that `keys` names is found: the work's own, unless only
    /// the other one has it.
    fn of_space(self, keys: &Node) -> &'a Path {
        self.that_has(keys, "space", |name, folder| space::find(name, folder).is_ok())
    }

    fn of_genotype(self, keys: &Node) -> &'a Path {
        self.that_has(keys, "from", |name, folder| WrittenGenotype::find(name, folder).is_ok())
    }

    fn that_has(self, keys: &Node, key: &str, has: impl Fn(&str, &Path) -> bool) -> &'a Path {
        let name = keys.get(key).and_then(Node::as_text).unwrap_or_default();
        if !has(name, self.own) && has(name, self.shipped) { self.shipped } else { self.own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Work, String> {
        let node = Node::parse("test.yaml", text).unwrap();
        let mut problems = Problems::new();
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let work = Work::of(&node, Folders { own, shipped: own }, &mut problems);
        let said: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
        work.filter(|_| said.is_empty()).ok_or(said.join("\n"))
    }

    #[test]
    fn a_work_is_a_stage_with_its_images() {
        let work = read(
            "{images: {channels: 1, size: 8, classes: 4}, search: {space: nas_bench_201, channels: 4, size: 1, seed: 7}}",
        )
        .unwrap();
        assert_eq!((work.shape, work.classes, work.seed), ([1, 8, 8], 4, 7));
        assert_eq!(work.network.alphas.len(), 1);
        let work = read(
            "{genotype: {space: darts, from: darts_v2}, retrain: {skeleton: cifar, channels: 4, size: 3, drop_path: 0.1}}",
        )
        .unwrap();
        assert_eq!((work.shape, work.classes, work.training.drop_path), ([3, 32, 32], 10, 0.1));
        assert!(work.network.alphas.is_empty() && work.network.auxiliary.is_some());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let search = "search: {space: nas_bench_201}";
        for (wrong, said) in [
            ("{}".to_owned(), "a work has one of `search`, `retrain` and `transfer`"),
            (format!("{{{search}, retrain: {{skeleton: cifar}}}}"), "a work has one of"),
            ("{retrain: {skeleton: cifar}}".to_owned(), "`genotype` lacks the key `space`"),
            (format!("{{{search}, images: {{sides: 32}}}}"), "unknown key `sides` in `images`"),
            (format!("{{{search}, genotype: {{}}}}"), "unknown key `genotype`"),
            ("{search: {space: darts, bach: 3}}".to_owned(), "unknown key `bach` in `search`"),
        ] {
            let problems = read(&wrong).unwrap_err();
            assert!(problems.contains(said), "{wrong}: {problems}");
        }
    }
}
