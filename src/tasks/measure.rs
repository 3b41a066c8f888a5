//! What a person reads of how well a network does.

/// A figure of outputs: a sum over examples, divided by their number.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Measure {
    /// In files, its unit as the last word: `accuracy_percent`.
    pub name: &'static str,
    /// In sentences and tables: `accuracy`.
    pub words: &'static str,
    /// `%`, `dB`; empty of a pure number.
    pub unit: &'static str,
    pub better: Better,
    /// What the mean is multiplied with: 100 of a share in per cent.
    pub scale: f64,
    /// Whether it is among a stage's results. If not, it is kept epoch by epoch all the same.
    pub told: bool,
}

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
}

/// What every task has: the mean loss of an example.
pub const LOSS: Measure =
    Measure { name: "loss", words: "loss", unit: "", better: Better::Lower, scale: 1.0, told: true };

impl Measure {
    /// Its unit as files write it: `percent`.
    pub fn unit_word(&self) -> &'static str {
        self.name.rsplit('_').next().unwrap_or(self.name)
    }

    /// How much worse `found` is than `reference`; negative where it is better.
    pub fn worse_by(&self, reference: f64, found: f64) -> f64 {
        match self.better {
            Better::Higher => reference - found,
            Better::Lower => found - reference,
        }
    }
}
