//! Stand-in for [`cubecl-llvm`](https://crates.io/crates/cubecl-llvm) 0.11.3: the names `cubecl-cuda` uses, no LLVM.
//!
//! `cubecl-cuda` has two ways to make a GPU kernel: CUDA C++ through NVRTC (its `cpp` feature, which our `cuda` feature
//! turns on) and PTX through LLVM. It always compiles both, and the LLVM one downloads a build of LLVM in its build
//! script. We use the first only, so the second is replaced by types that are never reached. Should it be reached after
//! all, [`PlironCompiler::compile`](cubecl_runtime::compiler::Compiler::compile) answers with an error that says why.
//!
//! How to drop the stand-in: `DESIGN.md`, "The CUDA build".

use core::ffi::c_char;
use core::fmt;

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::{CompilationError, Compiler};
use cubecl_runtime::kernel::BufferIOAttr;

use crate::nvptx::ptx_version::PtxVersion;

/// What the real compiler emits code for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// The real crate's default; nothing here asks for it.
    #[default]
    Cpu,
    /// The only target `cubecl-cuda` asks for.
    Nvptx,
}

/// The LLVM compiler, reduced to a refusal.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// Kept because `cubecl-cuda` sets it; not read.
    pub target: LlvmTarget,
}

/// The options `cubecl-cuda` fills in; not read.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// An AMD architecture in the real crate, always `None` from `cubecl-cuda`.
    pub arch: Option<core::convert::Infallible>,
    /// The NVIDIA architecture.
    pub sm_arch: Option<SmArch>,
    /// The PTX version to emit.
    pub ptx_version: Option<PtxVersion>,
    /// Whether launch parameters are passed as grid constants.
    pub grid_constants: bool,
    /// `cubecl-cuda` ends its struct expression with `..Default::default()`: this is what is left to fill.
    pub rest: (),
}

/// A compiled PTX module. Never made here.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// NUL-terminated PTX.
    pub ptx: Vec<c_char>,
    /// Text of the kernel, for logs.
    pub ir: String,
    /// Shared memory of a launch in bytes.
    pub shared_memory_size: usize,
    /// Access mode of each buffer.
    pub io: Vec<BufferIOAttr>,
}

/// What the compiler gives back. Never made here.
#[derive(Clone, Debug)]
pub enum PlironArtifact {
    /// PTX for an NVIDIA device.
    NvptxCode(NvptxModule),
    /// The real crate has artifacts of other targets: `cubecl-cuda` matches them with `_`.
    Other,
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NvptxCode(module) => f.write_str(&module.ir),
            Self::Other => f.write_str("no artifact"),
        }
    }
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(&mut self, _: KernelDefinition, _: &PlironOptions) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic {
            reason: "this build has no LLVM compiler for CUDA; build cubecl-cuda with its `cpp` feature".to_owned(),
            backtrace: BackTrace::capture(),
        })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}

pub mod nvptx {
    //! The path at which `cubecl-cuda` finds the PTX version.

    pub mod ptx_version {
        //! The PTX version of a driver.

        use core::fmt;

        /// A PTX version. None is ever known here, so the type has no value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum PtxVersion {}

        impl PtxVersion {
            /// Always `None`: the version matters to emitted PTX only, and none is emitted.
            pub fn for_driver(_: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {}
            }
        }
    }
}

pub mod shared {
    //! The path at which `cubecl-cuda` finds what narrows a device's features.

    pub mod lowered_features {
        //! Narrowing a device's features to what LLVM lowers.

        use cubecl_core::ir::DeviceProperties;

        /// The target whose features are narrowed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA through PTX.
            Nvptx,
        }

        /// Leaves the device as it is: `cubecl-cuda` calls this for its LLVM backend only.
        pub fn restrict_features(_: &mut DeviceProperties, _: GpuTarget) {}
    }
}
