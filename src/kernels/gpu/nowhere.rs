//! A GPU that is not there: it has no memory and runs nothing, but keeps the kernels that are
//! launched on it.

use cubecl::client::Client;
use cubecl::dry_run::LaunchMode;
use cubecl::server::{
    BufferBinding, CopyDescriptor, CubeCount, Handle, IoError, KernelArguments, MemoryLayout, MemoryLayoutDescriptor,
    MemoryLayoutPolicy, ProfileError, ProfilingToken, Server, ServerCommunication, ServerError, ServerStorage,
    ServerUtilities,
};
use cubecl_core::bytes::Bytes;
use cubecl_core::cmma::MatrixLayout;
use cubecl_core::device::{DeviceId, DeviceService, ServerUtilitiesHandle, ServiceId};
use cubecl_core::environment::stream::StreamId;
use cubecl_core::future::DynFut;
use cubecl_core::ir::{
    ContiguousElements, DeviceIdentity, DeviceProperties, HardwareProperties, MemoryDeviceProperties, MmaProperties,
    TargetProperties, VectorSize,
};
use cubecl_core::profile::{ProfileDuration, TimingMethod};
use cubecl_core::{CubeKernel, StreamMemoryReport};
use cubecl_cpp::cuda::mma::manual::contiguous_elements_cuda;
use cubecl_runtime::logging::ServerLogger;
use cubecl_runtime::memory_management::{ManagedMemoryHandle, MemoryAllocationMode};
use cubecl_runtime::storage::{ComputeStorage, ManagedResource, StorageHandle, StorageId};
use std::sync::{Arc, Mutex, PoisonError};

/// Kernels in the order of their launches, until they are taken.
static LAUNCHED: Mutex<Vec<Box<dyn CubeKernel>>> = Mutex::new(Vec::new());

pub(super) fn client() -> Client {
    Client::load::<Nowhere>(DeviceId::new(0, 0))
}

/// What was launched so far, each launch.
pub(super) fn take(client: &Client) -> Vec<Box<dyn CubeKernel>> {
    // It waits for the launches, and does nothing else here.
    client.flush().expect("nothing fails that does nothing");
    std::mem::take(&mut LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner))
}

#[derive(Debug)]
struct Nowhere {
    utilities: Arc<ServerUtilities>,
}

impl DeviceService for Nowhere {
    fn init(device: DeviceId) -> Self {
        let service = ServiceId::of::<Self>(device);
        let logger = Arc::new(ServerLogger::default());
        let (utilities, _) = ServerUtilities::init(service, "nowhere", properties(), target(), logger, Unplaced);
        Self { utilities: Arc::new(utilities) }
    }

    fn utilities(&self) -> ServerUtilitiesHandle {
        self.utilities.clone()
    }
}

/// An H100's, as far as kernels without tensor cores ask for it.
fn properties() -> DeviceProperties {
    let hardware = HardwareProperties {
        load_width: 128,
        vector_register_count: None,
        plane_size_min: 32,
        plane_size_max: 32,
        max_bindings: 1024,
        max_shared_memory_size: 227 << 10,
        max_cube_count: (i32::MAX as u32, 65_535, 65_535),
        max_units_per_cube: 1024,
        max_cube_dim: (1024, 1024, 64),
        num_streaming_multiprocessors: Some(132),
        num_cpu_cores: None,
        last_level_cache_size: None,
        num_tensor_cores: None,
        min_tensor_cores_dim: None,
        max_vector_size: VectorSize::MAX,
        cube_mma_reserved_shared_memory: 0,
    };
    let identity = DeviceIdentity { name: "nowhere".into(), fingerprint: "ptx_sm90".into(), physical: None };
    let memory = MemoryDeviceProperties::new(16 << 30, 512);
    let mut properties = DeviceProperties::new(Default::default(), memory, hardware, TimingMethod::Device, identity);
    cubecl_cpp::register_supported_types(&mut properties);
    properties
}

fn target() -> TargetProperties {
    TargetProperties {
        mma: MmaProperties {
            register_size_bits: 32,
            const_plane_size: 32,
            register_layout_a: MatrixLayout::RowMajor,
            register_layout_b: MatrixLayout::ColMajor,
            register_layout_acc: MatrixLayout::RowMajor,
            register_duplication_a: 1,
            register_duplication_b: 1,
            register_duplication_acc: 1,
            contiguous_elements: ContiguousElements::new(contiguous_elements_cuda),
        },
    }
}

/// Buffers have a size and no place.
struct Unplaced;

impl MemoryLayoutPolicy for Unplaced {
    fn apply(
        &self,
        service: ServiceId,
        stream: StreamId,
        descriptors: &[MemoryLayoutDescriptor],
    ) -> (Handle, Vec<MemoryLayout>) {
        let bytes = |descriptor: &MemoryLayoutDescriptor| {
            (descriptor.shape.iter().product::<usize>() * descriptor.elem_size) as u64
        };
        let handle = Handle::new(service, stream, descriptors.iter().map(bytes).sum());
        // Every buffer of a pass is a vector.
        let layout = |descriptor| MemoryLayout::new(Handle::new(service, stream, bytes(descriptor)), [1]);
        (handle, descriptors.iter().map(layout).collect())
    }
}

impl Server for Nowhere {
    unsafe fn launch(
        &mut self,
        kernel: Box<dyn CubeKernel>,
        _: CubeCount,
        _: KernelArguments,
        _: StreamId,
        _: LaunchMode,
    ) {
        LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner).push(kernel);
    }

    fn initialize_memory(&mut self, _: ManagedMemoryHandle, _: u64, _: StreamId) -> Result<(), ServerError> {
        Ok(())
    }

    fn logger(&self) -> Arc<ServerLogger> {
        self.utilities.logger.clone()
    }

    fn utilities(&self) -> Arc<ServerUtilities> {
        self.utilities.clone()
    }

    fn read(&mut self, _: Vec<CopyDescriptor>, _: StreamId) -> DynFut<Result<Vec<Bytes>, ServerError>> {
        Box::pin(async { Err(refused()) })
    }

    fn write(&mut self, _: Vec<(CopyDescriptor, Bytes)>, _: StreamId) {}

    fn sync(&mut self, _: Vec<BufferBinding>, _: StreamId) -> DynFut<Result<(), ServerError>> {
        Box::pin(async { Ok(()) })
    }

    fn check(&mut self, _: Vec<BufferBinding>, _: StreamId) -> Result<(), ServerError> {
        Ok(())
    }

    fn flush(&mut self, _: StreamId) -> Result<(), ServerError> {
        Ok(())
    }

    fn memory_report(&mut self, _: StreamId) -> Option<StreamMemoryReport> {
        None
    }

    fn memory_cleanup(&mut self, _: StreamId) -> Result<(), ServerError> {
        Ok(())
    }

    fn start_profile(&mut self, _: StreamId) -> Result<ProfilingToken, ServerError> {
        Err(refused())
    }

    fn end_profile(&mut self, _: StreamId, _: ProfilingToken) -> Result<ProfileDuration, ProfileError> {
        Err((&refused()).into())
    }

    fn allocation_mode(&mut self, _: MemoryAllocationMode, _: StreamId) {}
}

impl ServerCommunication for Nowhere {}

impl ServerStorage for Nowhere {
    type Storage = NoStorage;

    fn get_resource(&mut self, _: BufferBinding, _: StreamId) -> Result<ManagedResource<()>, ServerError> {
        Err(refused())
    }
}

fn refused() -> ServerError {
    ServerError::graph_state("this GPU keeps kernels and has no memory")
}

struct NoStorage;

impl ComputeStorage for NoStorage {
    type Resource = ();

    fn alignment(&self) -> usize {
        1
    }

    fn get(&mut self, _: &StorageHandle) -> Result<(), IoError> {
        Ok(())
    }

    fn alloc(&mut self, size: u64) -> Result<StorageHandle, IoError> {
        let utilization = cubecl_runtime::storage::StorageUtilization { offset: 0, size };
        Ok(StorageHandle::new(StorageId::new(), utilization))
    }

    fn dealloc(&mut self, _: StorageId) {}

    fn flush(&mut self) {}

    fn bytes_allocated(&self) -> u64 {
        0
    }
}
