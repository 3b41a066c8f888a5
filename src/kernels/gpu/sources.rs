//! The CUDA C++ of the kernels that programs launch, made without a GPU.
//!
//! Kernels are not listed anywhere: the launches of plans are run as on a GPU, on one that is not
//! there, and what arrives is compiled.

use super::buffer::{Buffer, Elements};
use super::launch::Bindings;
use super::nowhere;
use super::plan::{Plan, Purpose};
use crate::program::Program;
use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use cubecl_core::{CompilationError, Compiler, CubeKernel, define_kernel};
use cubecl_cpp::shared::{CompilationOptions, CppCompiler, CppSupportedFeatures};
use cubecl_cpp::target::Cuda;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::BTreeMap;
use std::error::Error;

/// A kernel in CUDA C++.
#[derive(Debug)]
pub struct CudaSource {
    pub text: String,
    /// Bytes of shared memory, which not the text says but the launch.
    pub shared: usize,
}

/// A program cannot be had as CUDA C++.
#[derive(Debug, thiserror::Error)]
pub enum CudaSourceError {
    #[error("the program has no plan")]
    Plan(#[source] Box<dyn Error + Send + Sync>),
    #[error("`{kernel}` is not compiled to CUDA C++")]
    Kernel { kernel: String, source: CompilationError },
}

const PURPOSES: [Purpose; 4] = [
    Purpose { of_batch: true, reverse: true, inputs: true, weights: true },
    Purpose { of_batch: true, reverse: true, inputs: false, weights: true },
    Purpose { of_batch: false, reverse: true, inputs: true, weights: true },
    Purpose { of_batch: false, reverse: false, inputs: false, weights: false },
];

/// Of the arena.
const FORMATS: [FloatKind; 2] = [FloatKind::F32, FloatKind::BF16];

/// An arena of so many numbers has indices of 64 bits.
const WIDE: usize = u32::MAX as usize;

/// The kernels of all passes of programs, each for a number of images: of all purposes, in all
/// number formats, with indices of 32 and of 64 bits. A kernel is called by what tells it from all
/// others: its name, the width of indices, constants.
///
/// # Errors
/// A program that no plan can be made of, or a kernel that cubecl cannot compile.
pub fn cuda_sources<'a>(
    programs: impl IntoIterator<Item = (&'a Program, usize)>,
) -> Result<BTreeMap<String, CudaSource>, CudaSourceError> {
    let client = nowhere::client();
    let mut kernels = BTreeMap::new();
    for (program, images) in programs {
        for purpose in PURPOSES {
            let plan = Plan::new(program, images, purpose).map_err(|error| CudaSourceError::Plan(Box::new(error)))?;
            for format in FORMATS {
                for arena in [plan.arena, WIDE] {
                    run(&client, program, &plan, (images, arena, ElemType::Float(format)));
                }
            }
        }
        kernels.extend(nowhere::take(&client).into_iter().map(|kernel| (kernel.id().stable_format(), kernel)));
    }
    kernels.into_par_iter().map(|(name, kernel)| Ok((name.clone(), source(name, kernel.as_ref())?))).collect()
}

fn source(name: String, kernel: &dyn CubeKernel) -> Result<CudaSource, CudaSourceError> {
    define_kernel(kernel)
        .and_then(|defined| CppCompiler::<Cuda>::default().compile(defined, &options()))
        .map(|made| CudaSource { text: made.source, shared: made.shared_memory_size })
        .map_err(|source| CudaSourceError::Kernel { kernel: name, source })
}

/// All launches of a plan, and those that bring in what it works on and take out what it made.
fn run(client: &Client, program: &Program, plan: &Plan, (images, arena, format): (usize, usize, ElemType)) {
    let elements = Elements { client, format };
    let buffer = |numbers| Buffer::empty(client, numbers);
    let [vector, other] = [program.running.max(program.weights), program.running.max(program.mixing)].map(buffer);
    let bindings = Bindings {
        client,
        format,
        images,
        epsilon: 1e-5,
        arena: Buffer::room(client, arena, format.size()),
        numbers: buffer(plan.numbers),
        weights: buffer(program.weights),
        table: buffer(plan.table.len()),
        vectors: [vector, other],
    };
    elements.copy(&bindings.vectors[0], &bindings.vectors[1], program.running);
    elements.clear(&bindings.vectors[0]);
    elements.prepare(&bindings.numbers, &bindings.weights, &bindings.weights, plan.front);
    for &map in plan.inputs.iter().chain(&plan.seeds) {
        elements.take_in(&bindings.arena, &bindings.weights, 0, map);
    }
    plan.forward.iter().chain(&plan.reverse).for_each(|launch| launch.run(&bindings));
    let gradients = plan.input_gradients.iter().zip(&plan.inputs);
    let gradients = gradients.filter_map(|(place, (_, numbers))| Some(((*place)?, *numbers)));
    for map in plan.outputs.iter().copied().chain(gradients) {
        elements.take_out(&bindings.arena, &bindings.weights, 0, map);
    }
}

/// As cubecl's runtime has them for an H100. No kernel of ours takes what an A100 lacks.
fn options() -> CompilationOptions {
    let supports_features = CppSupportedFeatures {
        grid_constants: true,
        clusters: true,
        fast_math: true,
        fast_tanh: true,
        elect_sync: true,
        dp4a: true,
    };
    CompilationOptions { supports_features, ..CompilationOptions::default() }
}
