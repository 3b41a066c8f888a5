//! The output `metrics`: a row an epoch, of a search and of a training.

use crate::train::diagnosis::{Benefit, CellCounts};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Figures by name; nothing where one was not measured, or is no number.
pub(crate) type Figures = BTreeMap<String, Option<f64>>;

/// Images that are watched during a training and not fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watched {
    HeldOut,
    Test,
    Nothing,
}

/// What an epoch came to. In the file it is flat: `train_loss`, `held_out_accuracy_percent`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Row", try_from = "Row")]
pub(crate) struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Of the weights, at the epoch's first step.
    pub learning_rate: f64,
    /// Of the examples that are fitted: `loss`, and the first measure under its name.
    pub train: Figures,
    /// Of those that are watched: `loss` and all measures.
    pub watched: BTreeMap<Watched, Figures>,
    /// Of a search.
    pub diagnosis: Option<EpochDiagnosis>,
}

/// What a search looked like after an epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EpochDiagnosis {
    /// The derived cell on one line, as is customary for its space; of a lattice its path in words.
    pub cell: Option<String>,
    /// Its number in the benchmark's table, where it has one.
    pub index: Option<usize>,
    /// Its accuracies there in per cent, trained alone, by data and images: `cifar10_test`.
    pub accuracies: Figures,
    /// What it is made of, by kind of cell.
    pub counts: IndexMap<String, CellCounts>,
    /// By alpha table, the mean of its edges' in nats.
    pub entropy: Figures,
    pub benefit: Benefits,
    /// The largest of the Hessian of the loss in the alphas.
    pub eigenvalue: Option<f64>,
    /// The supernet with the derived cells alone, by the name of the measure.
    pub discretised: Figures,
    /// How much worse that is than the whole supernet, by the measure's unit.
    pub gap: Figures,
}

/// What candidates are worth to images that the weights are fitted on, and to others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Benefits {
    pub fit: Option<Benefit>,
    pub held_out: Option<Benefit>,
}

/// An epoch as the file has it.
#[derive(Serialize, Deserialize)]
struct Row {
    epoch: usize,
    learning_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived_cell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived_counts: Option<IndexMap<String, CellCounts>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entropy: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    benefit: Option<Benefits>,
    /// All that are one number, by names that say what they are of.
    #[serde(flatten)]
    figures: Figures,
}

/// The accuracy of a derived cell that is told where there is room for one.
pub(crate) const CELL_ACCURACY: &str = "cifar10_test";

const TRAIN: &str = "train_";
/// A derived cell's accuracy: `derived_cifar10_test_percent`.
const ACCURACY: (&str, &str) = ("derived_", "_percent");
const EIGENVALUE: &str = "eigenvalue";
const DISCRETISED: &str = "discretised_";
const GAP: &str = "discretisation_gap_";

impl Watched {
    const ALL: [Self; 3] = [Self::HeldOut, Self::Test, Self::Nothing];

    /// What a figure of theirs is called: `held_out_accuracy_percent`.
    pub fn name(self) -> &'static str {
        match self {
            Self::HeldOut => "held_out",
            Self::Test => "test",
            Self::Nothing => "watched",
        }
    }

    /// Whose figure this is, and of which measure.
    fn of(figure: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|all| Some((all, figure.strip_prefix(all.name())?.strip_prefix('_')?)))
    }
}

impl Epoch {
    /// The `loss` or a measure on the examples that are fitted.
    pub fn train(&self, measure: &str) -> Option<f64> {
        self.train.get(measure).copied().flatten()
    }

    /// The `loss` or a measure on examples that are watched.
    pub fn watched(&self, examples: Watched, measure: &str) -> Option<f64> {
        self.watched.get(&examples)?.get(measure).copied().flatten()
    }

    /// Whatever is one number, by the name that it has in the file: what a rule may ask for.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let row = Row::from(self.clone());
        let index = row.derived_index.map(|index| (EpochDiagnosis::INDEX.to_owned(), index as f64));
        let own = [("epoch", row.epoch as f64), ("learning_rate", row.learning_rate)];
        let figures = row.figures.into_iter().filter_map(|(name, value)| Some((name, value?)));
        figures.chain(index).chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
    }
}

impl EpochDiagnosis {
    /// The figure of a derived cell's number in the table.
    pub const INDEX: &str = "derived_index";

    /// The figure of how much worse derived cells are, by the unit of the measure.
    pub fn gap_figure(unit: &str) -> String {
        format!("{GAP}{unit}")
    }

    /// The figure of a derived cell that is in its benchmark's table under `name`: `cifar10_test`.
    pub fn accuracy_figure(name: &str) -> String {
        let (before, behind) = ACCURACY;
        format!("{before}{name}{behind}")
    }
}

impl From<Epoch> for Row {
    fn from(Epoch { epoch, learning_rate, train, watched, diagnosis }: Epoch) -> Self {
        let mut figures = Figures::new();
        let mut tell = |name: &dyn Fn(&str) -> String, of: Figures| {
            figures.extend(of.into_iter().map(|(key, value)| (name(&key), value)));
        };
        tell(&|measure| format!("{TRAIN}{measure}"), train);
        for (examples, of) in watched {
            tell(&|measure| format!("{}_{measure}", examples.name()), of);
        }
        let (mut derived_cell, mut derived_index) = (None, None);
        let (mut derived_counts, mut table_entropy, mut benefits) = (None, None, None);
        if let Some(found) = diagnosis {
            let EpochDiagnosis { cell, index, accuracies, counts, entropy, benefit, eigenvalue, discretised, gap } =
                found;
            tell(&EpochDiagnosis::accuracy_figure, accuracies);
            tell(&|measure| format!("{DISCRETISED}{measure}"), discretised);
            tell(&EpochDiagnosis::gap_figure, gap);
            figures.insert(EIGENVALUE.to_owned(), eigenvalue);
            (derived_cell, derived_index) = (cell, index);
            (derived_counts, table_entropy, benefits) = (Some(counts), Some(entropy), Some(benefit));
        }
        Self {
            epoch,
            learning_rate,
            derived_cell,
            derived_index,
            derived_counts,
            entropy: table_entropy,
            benefit: benefits,
            figures,
        }
    }
}

impl TryFrom<Row> for Epoch {
    type Error = String;

    fn try_from(row: Row) -> Result<Self, String> {
        let Row { epoch, learning_rate, derived_cell, derived_index, derived_counts, entropy, benefit, figures } = row;
        let mut found = EpochDiagnosis {
            cell: derived_cell,
            index: derived_index,
            counts: derived_counts.unwrap_or_default(),
            entropy: entropy.unwrap_or_default(),
            benefit: benefit.unwrap_or_default(),
            ..EpochDiagnosis::default()
        };
        let mut read = Self { epoch, learning_rate, ..Self::default() };
        for (name, value) in figures {
            let accuracy = || name.strip_prefix(ACCURACY.0)?.strip_suffix(ACCURACY.1);
            let (of, key) = if let Some(measure) = name.strip_prefix(TRAIN) {
                (&mut read.train, measure)
            } else if let Some((examples, measure)) = Watched::of(&name) {
                (read.watched.entry(examples).or_default(), measure)
            } else if let Some(accuracy) = accuracy() {
                (&mut found.accuracies, accuracy)
            } else if let Some(measure) = name.strip_prefix(DISCRETISED) {
                (&mut found.discretised, measure)
            } else if let Some(unit) = name.strip_prefix(GAP) {
                (&mut found.gap, unit)
            } else if name == EIGENVALUE {
                found.eigenvalue = value;
                continue;
            } else {
                return Err(format!("epoch {epoch} has an unknown figure `{name}`"));
            };
            of.insert(key.to_owned(), value);
        }
        Ok(Self { diagnosis: (found != EpochDiagnosis::default()).then_some(found), ..read })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::sorted_bytes;

    /// An epoch of a search and two of a training, as they were written before rows had a type.
    const WRITTEN: &str = r#"[
  {
    "benefit": {
      "fit": {
        "learnable": 0.0384877510368824,
        "parameter_free": 0.028094914741814137
      },
      "held_out": {
        "learnable": -0.009942447145779928,
        "parameter_free": 0.019906869701420266
      }
    },
    "derived_cell": "|skip_connect~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_1x1~2|",
    "derived_cifar100_test_percent": 58.1133,
    "derived_cifar100_valid_percent": 58.5533,
    "derived_cifar10_test_percent": 87.6467,
    "derived_cifar10_valid_percent": 84.108,
    "derived_counts": {
      "cell": {
        "learnable": 2,
        "operations": {
          "avg_pool_3x3": 1,
          "none": 0,
          "nor_conv_1x1": 2,
          "nor_conv_3x3": 0,
          "skip_connect": 3
        },
        "parameter_free": 4
      }
    },
    "derived_imagenet16_120_test_percent": 29.6111,
    "derived_imagenet16_120_valid_percent": 30.3,
    "derived_index": 11129,
    "discretisation_gap_percent": 64.25591098748262,
    "discretised_accuracy_percent": 11.265646731571627,
    "eigenvalue": 0.0451,
    "entropy": {
      "arch_parameters": 1.6086530780989257
    },
    "epoch": 4,
    "held_out_accuracy_percent": 75.52155771905424,
    "held_out_loss": 0.9327177411160317,
    "held_out_top5_percent": 96.24478442280946,
    "learning_rate": 0.047329659842615016,
    "train_accuracy_percent": 84.56189151599443,
    "train_loss": 0.48055130686813
  },
  {
    "epoch": 1,
    "learning_rate": 0.05,
    "test_accuracy_percent": null,
    "test_loss": null,
    "test_top5_percent": null,
    "train_accuracy_percent": 2.9596412556053813,
    "train_loss": 6.342572360616094
  },
  {
    "epoch": 5,
    "learning_rate": 0.04172826515897146,
    "test_accuracy_percent": 7.641921397379913,
    "test_loss": 4.30847124241325,
    "test_top5_percent": 24.344978165938866,
    "train_accuracy_percent": 11.031390134529149,
    "train_loss": 5.1060095218265005
  }
]
"#;

    fn read(text: &str) -> Result<Vec<Epoch>, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_written_as_they_were_read_to_the_byte() {
        let epochs = read(WRITTEN).unwrap();
        assert_eq!(String::from_utf8(sorted_bytes(&epochs)).unwrap(), WRITTEN);
        let [searched, passed_by, looked_at] = &epochs[..] else { panic!("three epochs") };
        let found = searched.diagnosis.as_ref().unwrap();
        assert_eq!((searched.train("loss").is_some(), found.gap.len(), found.accuracies.len()), (true, 1, 6));
        assert_eq!(searched.figures()["eigenvalue"], 0.0451);
        assert_eq!(passed_by.watched(Watched::Test, "accuracy_percent"), None);
        assert!(looked_at.watched(Watched::Test, "accuracy_percent").is_some() && looked_at.diagnosis.is_none());
    }

    #[test]
    fn what_an_older_row_lacks_is_absent() {
        let old =
            r#"[{"epoch": 1, "learning_rate": 0.1, "train_loss": 2, "derived_counts": {}, "entropy": {"a": 1.5}}]"#;
        let epochs = read(old).unwrap();
        let found = epochs[0].diagnosis.as_ref().unwrap();
        assert_eq!((found.entropy["a"], found.eigenvalue, found.benefit), (Some(1.5), None, Benefits::default()));
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for (entry, said) in [
            (r#""sharpness": 0.5"#, "epoch 1 has an unknown figure `sharpness`"),
            (r#""sharpness": {"mean": 0.5}"#, "invalid type: map, expected f64"),
            (r#""benefit": {"fit": null, "test": null}"#, "unknown field `test`"),
            (r#""derived_counts": [1]"#, "invalid type: sequence, expected a map"),
        ] {
            let error = read(&format!(r#"[{{"epoch": 1, "learning_rate": 0.1, {entry}}}]"#)).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        assert!(read("[{}]").unwrap_err().starts_with("missing field `epoch`"));
    }
}
