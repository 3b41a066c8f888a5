//! Channel means and standard deviations: given, published, or measured.

use crate::DataError;

/// How the channel statistics of a data set are chosen. Reads as `measured`, `cifar10_darts`, … or
/// `{mean: […], std: […]}`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Of the training images of the data set at hand.
    Measured,
    /// CIFAR-10 in the DARTS code (quark0/darts, `cnn/utils.py`); the PC-DARTS scripts use it for
    /// CIFAR-100 too.
    Cifar10Darts,
    /// CIFAR-10 in NAS-Bench-201 (D-X-Y/AutoDL-Projects).
    #[serde(rename = "cifar10_nas_bench_201")]
    Cifar10NasBench201,
    /// CIFAR-100 in NAS-Bench-201 (D-X-Y/AutoDL-Projects).
    #[serde(rename = "cifar100_nas_bench_201")]
    Cifar100NasBench201,
    /// ImageNet, of DARTS, PC-DARTS and torchvision alike.
    Imagenet,
    /// A number a channel, on the scale on which white is 1.
    #[serde(untagged)]
    Given { mean: Vec<f32>, std: Vec<f32> },
}

/// Mean and standard deviation a channel, on the scale on which white is 1.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl Normalise {
    /// The choices that are one word, with their words.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("measured", Self::Measured),
        ("cifar10_darts", Self::Cifar10Darts),
        ("cifar10_nas_bench_201", Self::Cifar10NasBench201),
        ("cifar100_nas_bench_201", Self::Cifar100NasBench201),
        ("imagenet", Self::Imagenet),
    ];

    /// The numbers where they need no images; `None` where they are measured.
    pub fn constants(&self) -> Option<Statistics> {
        let of_255 = |values: [f32; 3]| values.map(|value| value / 255.0).to_vec();
        let statistics = match self {
            Self::Measured => return None,
            Self::Imagenet => Statistics { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] },
            Self::Cifar10Darts => Statistics {
                mean: vec![0.491_399_68, 0.482_158_27, 0.446_531_24],
                std: vec![0.247_032_33, 0.243_485_05, 0.261_587_68],
            },
            Self::Cifar10NasBench201 => {
                Statistics { mean: of_255([125.3, 123.0, 113.9]), std: of_255([63.0, 62.1, 66.7]) }
            }
            Self::Cifar100NasBench201 => {
                Statistics { mean: of_255([129.3, 124.1, 112.4]), std: of_255([68.2, 65.4, 70.4]) }
            }
            Self::Given { mean, std } => Statistics { mean: mean.clone(), std: std.clone() },
        };
        Some(statistics)
    }
}

impl Statistics {
    /// For each channel, what each pixel value becomes: (value / white − mean) / std, in the order
    /// and precision of torchvision's `ToTensor` and `Normalize`.
    pub fn tables(&self, white: u8) -> Vec<[f32; 256]> {
        let table =
            |(&mean, &std): (&f32, &f32)| std::array::from_fn(|value| (value as f32 / f32::from(white) - mean) / std);
        self.mean.iter().zip(&self.std).map(table).collect()
    }

    /// # Errors
    /// Where they do not fit so many channels.
    pub(crate) fn checked(self, channels: usize) -> Result<Self, DataError> {
        match self.check(channels) {
            Ok(()) => Ok(self),
            Err((expected, found)) => Err(DataError::Setting { setting: "normalise", expected, found }),
        }
    }

    /// Says what was expected and what was found.
    pub(crate) fn check(&self, channels: usize) -> Result<(), (String, String)> {
        if self.mean.len() != channels || self.std.len() != channels {
            let found = format!("{} means and {} deviations", self.mean.len(), self.std.len());
            return Err((format!("a mean and a deviation for each of {channels} channels"), found));
        }
        let fits =
            self.mean.iter().all(|mean| mean.is_finite()) && self.std.iter().all(|std| *std > 0.0 && std.is_finite());
        if fits {
            return Ok(());
        }
        Err(("finite means, and deviations above 0".to_owned(), format!("{:?} and {:?}", self.mean, self.std)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Images;
    use crate::Raw;

    fn raw() -> Raw {
        Raw {
            name: "test",
            shape: [2, 1, 2],
            white: 16,
            classes: vec!["a".to_owned()],
            train: Images { pixels: vec![0, 16, 4, 4, 16, 0, 4, 8], labels: vec![0, 0] },
            test: Images { pixels: vec![16, 16, 16, 16], labels: vec![0] },
            provenance: String::new(),
        }
    }

    #[test]
    fn statistics_are_of_the_training_images_channel_by_channel() {
        let statistics = Statistics::measured(&raw());
        assert_eq!(statistics.mean, [0.5, 0.3125]);
        // Second channel: 4, 4, 4, 8 have variance 3.
        assert_eq!(statistics.std, [0.5, 3_f32.sqrt() / 16.0]);
        let tables = statistics.tables(16);
        assert_eq!((tables[0][0], tables[0][16], tables[0][8]), (-1.0, 1.0, 0.0));
    }

    #[test]
    fn published_constants_fit_three_channels_only() {
        let error = Normalise::Cifar10Darts.resolve(&raw()).unwrap_err();
        let text = "`normalise` must be a mean and a deviation for each of 2 channels, found 3 means and 3 deviations";
        assert_eq!(error.to_string(), text);
        let mut colour = raw();
        colour.shape = [3, 1, 1];
        let of = |normalise: Normalise| normalise.resolve(&colour).unwrap();
        assert_eq!(of(Normalise::Cifar10Darts).mean[0].to_string(), "0.49139968");
        assert!((of(Normalise::Cifar10NasBench201).mean[0] - 0.491_37).abs() < 1e-5);
        assert!((of(Normalise::Cifar100NasBench201).std[2] - 0.276_08).abs() < 1e-5);
    }

    #[test]
    fn a_deviation_of_zero_is_refused() {
        let flat = Normalise::Given { mean: vec![0.0, 0.0], std: vec![1.0, 0.0] };
        assert!(flat.resolve(&raw()).is_err());
        let mut black = raw();
        black.train.pixels.fill(0);
        assert!(Normalise::Measured.resolve(&black).is_err());
    }

    #[test]
    fn each_choice_is_written_as_it_is_read() {
        for (word, choice) in Normalise::NAMED {
            assert_eq!(serde_json::to_value(&choice).unwrap(), word);
        }
        let given = Normalise::Given { mean: vec![0.5], std: vec![0.25] };
        assert_eq!(serde_json::to_string(&given).unwrap(), r#"{"mean":[0.5],"std":[0.25]}"#);
    }
}
