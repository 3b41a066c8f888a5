//! `darts-run bench --work …`: how fast this machine does a kind of work.

mod loader;
mod step;

use super::{Complaint, ExitClass, parity::KernelChoice, path, run::invalid};
use crate::{
    bench::{BenchError, WorkError},
    kernels::Precision,
};
use clap::{Args, ValueEnum};
use std::{num::NonZeroUsize, path::PathBuf};

#[derive(Args, Debug)]
pub(super) struct BenchArguments {
    /// What to measure: `loader` (picture files into batches); `nb201`, `darts`, `retrain` or a
    /// file of your own (a step of a search or a training; benches/works shows how such a file
    /// looks). Several may be given
    #[arg(long, value_name = "WORK", num_args = 1.., required = true)]
    work: Vec<String>,
    /// Images a batch; several may be given [default: 64, of the loader 32]
    #[arg(long, value_name = "N", num_args = 1..)]
    batch: Vec<NonZeroUsize>,
    /// Threads; all cores without it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// What is timed: batches of the loader [default: 25], steps [default: 5]
    #[arg(long, value_name = "K")]
    steps: Option<NonZeroUsize>,
    /// Steps before those that are timed
    #[arg(long, value_name = "W", default_value = "2")]
    warm: usize,
    /// `cpu`, `cuda` or `cuda:INDEX`
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Whose operators compute a step
    #[arg(long, value_enum, default_value = "native")]
    kernels: KernelChoice,
    /// Number format of feature maps between kernels; weights, sums and optimisers are f32 in any
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionChoice,
    /// Steps on images that are loaded and changed meanwhile too, and what that costs
    #[arg(long)]
    with_data: bool,
    /// Of the loader: folder of class folders of JPEG and PNG files, or one with such a `train` in
    /// it; `--with-data`: folder of CIFAR-10's binary files. Without it, pictures are drawn
    #[arg(long, value_name = "FOLDER", value_parser = path())]
    data: Option<PathBuf>,
    /// Where a step's time goes: operator by operator, against the most that this machine does (of
    /// the CPU)
    #[arg(long, conflicts_with = "with_data")]
    profile: bool,
    /// One JSON object a configuration, each on a line, instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionChoice {
    F32,
    /// Half the memory and half the traffic; on `cuda`
    Bf16,
}

impl From<PrecisionChoice> for Precision {
    fn from(choice: PrecisionChoice) -> Self {
        match choice {
            PrecisionChoice::F32 => Self::F32,
            PrecisionChoice::Bf16 => Self::Bf16,
        }
    }
}

impl BenchArguments {
    fn batches(&self, default: usize) -> Vec<usize> {
        if self.batch.is_empty() { vec![default] } else { self.batch.iter().map(|batch| batch.get()).collect() }
    }
}

const LOADER: &str = "loader";

pub(super) fn run(arguments: &BenchArguments) -> Result<u8, Complaint> {
    if !arguments.work.iter().any(|work| work == LOADER) {
        return step::run(arguments);
    }
    if arguments.work.len() > 1 {
        return Err(Complaint::usage("`loader` is measured by itself"));
    }
    loader::run(arguments)
}

fn complaint(error: &BenchError) -> Complaint {
    let class = match error {
        BenchError::Data(_)
        | BenchError::TooLarge(_)
        | BenchError::TooFew { .. }
        | BenchError::Images { .. }
        | BenchError::Open(_) => ExitClass::Input,
        BenchError::Pictures(_)
        | BenchError::Threads { .. }
        | BenchError::Task(_)
        | BenchError::Device(_)
        | BenchError::Diverged { .. } => ExitClass::Failed,
        BenchError::Unprofiled | BenchError::Precision(_) => ExitClass::Usage,
    };
    let complaint = Complaint::caused(class, error);
    match error {
        BenchError::Data(error) => complaint.hinted(error.hint()),
        BenchError::TooFew { .. } | BenchError::TooLarge(_) => complaint.hint("lower `--batch`"),
        BenchError::Pictures(_) => complaint.hint("`--data FOLDER` measures with pictures of your own"),
        BenchError::Threads { .. } => complaint.hint("lower `--threads`"),
        BenchError::Images { .. } => complaint.hint("without `--data`, pictures are drawn as the work wants them"),
        BenchError::Diverged { .. } => complaint.hint("lower the work's `learning_rate`"),
        BenchError::Unprofiled => complaint.hint("leave out `--profile`, or take `--device cpu --kernels native`"),
        BenchError::Precision(_) => complaint.hint("take `--kernels native` on `cpu` or `cuda`, or no `--precision`"),
        BenchError::Open(_) | BenchError::Task(_) | BenchError::Device(_) => complaint,
    }
}

fn unreadable(error: &WorkError) -> Complaint {
    match error {
        WorkError::Invalid { problems, .. } => invalid(problems),
        WorkError::Read { .. } => Complaint::caused(ExitClass::Input, error),
        WorkError::Unpack(_) => Complaint::caused(ExitClass::Failed, error),
    }
}
