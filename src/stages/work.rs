//! A search or a training without its data set: what a benchmark times a step of.
//!
//! The file is a stage of a pipeline, its keys and their defaults the same, with the images that it
//! is to see said instead of a reference to a data set:
//!
//! ```yaml
//! images: {channels: 3, size: 32, classes: 10}
//! genotype: {space: darts, from: darts_v2}        # of a `retrain` or `transfer`
//! retrain: {skeleton: cifar, drop_path: 0.2}      # or `search: {space: darts}`
//! ```

use super::{
    ImageShape, PlanContext, SpaceFile, Tells,
    genotype::{self, Published},
    hyperparameters::Recipe,
    plan_context::Answers,
    retrain, search,
    training::Settings,
};
use crate::{
    config::{Fields, Node, Problems},
    data::Augment,
    machine,
    run::sentence,
    space::{SpaceError, network::Network},
    tasks::{self, TaskSettings},
    train::{LearnerConfig, TrainingConfig},
};
use indexmap::IndexMap;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What decides how long a step takes.
#[derive(Debug, Clone)]
pub struct Work {
    pub network: Network,
    pub task: Arc<dyn TaskSettings>,
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
    /// All complaints, each with its place.
    #[error("`{}` is not valid", path.display())]
    Invalid { path: PathBuf, problems: Problems },
}

impl Work {
    /// Reads the file at `path`; spaces and genotypes that it names are found as a pipeline's at
    /// that place.
    ///
    /// # Errors
    /// Where the file cannot be read, or all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, WorkError> {
        let text = machine::read_text(path).map_err(|source| WorkError::Read { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let invalid = |problems| WorkError::Invalid { path: path.to_owned(), problems };
        let node = Node::parse(path, text).map_err(invalid)?;
        let mut problems = Problems::new();
        match Self::of(&node, folder, &mut problems) {
            Some(work) if problems.is_empty() => Ok(work),
            _ => Err(invalid(problems)),
        }
    }

    /// `None` after a complaint.
    fn of(node: &Node, folder: &Path, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(node, "a work", problems);
        // CIFAR-10's unless said.
        let images = ImageShape::read(&mut fields, 32, 10);
        let kinds = [("search", None), ("retrain", Some(&Recipe::CIFAR)), ("transfer", Some(&Recipe::IMAGENET))];
        let given: Vec<_> =
            kinds.iter().filter_map(|&(kind, recipe)| Some((kind, recipe, fields.node(kind)?))).collect();
        let work = match given[..] {
            [(_, None, keys)] => images.search(keys, folder, fields.problems()),
            [(kind, Some(recipe), keys)] => {
                let nothing = Node::empty_map();
                let genotype = fields.node("genotype").unwrap_or(&nothing);
                images.train(genotype, (kind, recipe, keys), folder, fields.problems())
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
}

impl ImageShape {
    /// The supernet of a `search`.
    fn search(&self, keys: &Node, folder: &Path, problems: &mut Problems) -> Option<Work> {
        let mut fields = Fields::open(keys, "`search`", problems);
        let read = search::settings(&mut fields, &context(folder, None));
        fields.close();
        let (file, settings, _) = read?;
        let network = file.space.supernet(&settings.supernet(self.classes, self.shape));
        self.work(network, settings, keys, problems)
    }

    /// The network of the genotype that stands beside a `retrain` or a `transfer`.
    fn train(
        &self,
        genotype: &Node,
        (kind, recipe, keys): (&str, &Recipe, &Node),
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Work> {
        let mut fields = Fields::open(genotype, "`genotype`", problems);
        let named = genotype::named(&mut fields, &context(folder, None));
        fields.close();
        let Published { file, genotype, .. } = named?;
        let mut fields = Fields::open(keys, format!("`{kind}`"), problems);
        let settings = retrain::settings(&mut fields, &context(folder, Some(file.clone())), recipe);
        fields.close();
        let settings = settings?;
        let network = file.space.discrete(&genotype, &settings.discrete(self.classes, self.shape));
        self.work(network, settings, keys, problems)
    }

    fn work(
        &self,
        network: Result<Network, SpaceError>,
        settings: Settings,
        keys: &Node,
        problems: &mut Problems,
    ) -> Option<Work> {
        let Settings { task, feed, learner, training, .. } = settings;
        let (seed, augment) = (feed.seed, feed.augment);
        match network {
            Ok(network) => {
                let (shape, classes) = (self.shape, self.classes);
                Some(Work { network, task, learner, training, seed, augment, shape, classes })
            }
            Err(error) => {
                problems.add_hinted(&keys.origin, sentence(&error), error.hint());
                None
            }
        }
    }
}

fn context(folder: &Path, inherited: Option<Arc<SpaceFile>>) -> PlanContext<'_> {
    let (data_root, inputs, tells, answers) = (Path::new(""), IndexMap::new(), Tells::default(), Answers::default());
    let tasks = tasks::KINDS;
    PlanContext {
        pipeline: "",
        folder,
        data_root,
        device: "cpu",
        memory: None,
        inherited,
        tells,
        answers,
        tasks,
        inputs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Work, String> {
        let node = Node::parse("test.yaml", text).unwrap();
        let mut problems = Problems::new();
        let work = Work::of(&node, Path::new(env!("CARGO_MANIFEST_DIR")), &mut problems);
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
