//! Where a forward pass runs and in which arithmetic.

use candle_core::{DType, Device};

use super::error::ModelError;
use crate::spec;

/// A device of this build and machine, or several of one kind.
#[derive(Clone, Debug)]
pub struct Backend {
    /// At least one.
    devices: Vec<Device>,
    name: String,
}

impl Backend {
    /// Opens a device; `auto` takes the first GPU that this build and machine have, else the CPU.
    ///
    /// # Errors
    /// A device that this build does not support or this machine does not have.
    pub fn open(device: spec::Device) -> Result<Self, ModelError> {
        match device {
            spec::Device::Cpu => Ok(Self::cpu()),
            spec::Device::Cuda(gpus) => cuda(gpus.numbers()),
            spec::Device::Metal => metal(),
            spec::Device::Auto => Ok(cuda(std::iter::once(0)).or_else(|_| metal()).unwrap_or_else(|_| Self::cpu())),
        }
    }

    fn cpu() -> Self {
        Self { devices: vec![Device::Cpu], name: "cpu".to_owned() }
    }

    /// Several stand-ins for devices that a machine may not have: what holds for them holds for those.
    #[cfg(test)]
    pub(crate) fn cpus(count: usize) -> Self {
        Self { devices: vec![Device::Cpu; count], name: "cpus".to_owned() }
    }

    /// Each device by itself.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        self.devices.iter().map(|device| Self { devices: vec![device.clone()], name: self.name.clone() })
    }

    /// `cpu`, `cuda:0`, `cuda:0,1` or `metal`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arithmetic of the kernels: what distinguishes the vectors of two devices.
    pub fn kind(&self) -> &'static str {
        match self.device() {
            Device::Cpu if cfg!(feature = "mkl") => "cpu-mkl",
            Device::Cpu if cfg!(feature = "accelerate") => "cpu-accelerate",
            Device::Cpu => "cpu",
            Device::Cuda(_) if cfg!(feature = "flash-attn") => "cuda-flash",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        }
    }

    /// Batches that are under way at once: one for each core where this program's kernels run, each on a single thread.
    pub fn workers(&self) -> usize {
        if has_own_kernels(self.device()) { rayon::current_num_threads() } else { 1 }
    }

    /// Memory of a GPU that nothing lies in, where its driver says. Units: bytes.
    pub fn free_memory(&self) -> Option<u64> {
        free_memory(self.device())
    }

    /// The first device.
    pub(super) fn device(&self) -> &Device {
        self.devices.first().unwrap_or(&Device::Cpu)
    }
}

#[cfg(feature = "cuda")]
fn free_memory(device: &Device) -> Option<u64> {
    let Device::Cuda(device) = device else { return None };
    let (free, _) = device.cuda_stream().context().mem_get_info().ok()?;
    Some(free as u64)
}

#[cfg(not(feature = "cuda"))]
const fn free_memory(_: &Device) -> Option<u64> {
    None
}

fn cuda(numbers: impl Iterator<Item = usize>) -> Result<Backend, ModelError> {
    let numbers: Vec<usize> = numbers.collect();
    let name = |numbers: &[usize]| format!("cuda:{}", numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
    if !cfg!(feature = "cuda") {
        return Err(ModelError::DeviceNotBuilt { device: name(&numbers), feature: "cuda" });
    }
    let open = |&number: &usize| {
        Device::new_cuda(number).map_err(|source| ModelError::Device {
            device: name(&[number]),
            help: "check that `nvidia-smi` lists it, or use `device = \"cpu\"`",
            source,
        })
    };
    Ok(Backend { devices: numbers.iter().map(open).collect::<Result<_, _>>()?, name: name(&numbers) })
}

fn metal() -> Result<Backend, ModelError> {
    let name = "metal".to_owned();
    if !cfg!(feature = "metal") {
        return Err(ModelError::DeviceNotBuilt { device: name, feature: "metal" });
    }
    match Device::new_metal(0) {
        Ok(device) => Ok(Backend { devices: vec![device], name }),
        Err(source) => Err(ModelError::Device { device: name, help: "use `device = \"cpu\"`", source }),
    }
}

/// candle's name for a spec's arithmetic.
pub(super) const fn dtype(dtype: spec::DType) -> DType {
    match dtype {
        spec::DType::F32 => DType::F32,
        spec::DType::F16 => DType::F16,
        spec::DType::Bf16 => DType::BF16,
    }
}

/// Whether linear layers run on the kernels of this program: on the CPU, unless a library was built in for it.
pub(super) fn has_own_kernels(device: &Device) -> bool {
    device.is_cpu() && !cfg!(any(feature = "mkl", feature = "accelerate"))
}

/// The dtype of hidden states between the linear layers of a model in `dtype`: f32 on the CPU, where half precision saves
/// no time outside of products.
pub(super) const fn stream(dtype: DType, device: &Device) -> DType {
    if matches!(device, Device::Cpu) { DType::F32 } else { dtype }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_this_build_lacks_says_how_to_get_it() {
        assert_eq!(Backend::open(spec::Device::Cpu).expect("always there").name(), "cpu");
        if !cfg!(feature = "metal") {
            let error = Backend::open(spec::Device::Metal).expect_err("not built").to_string();
            assert!(error.contains("--features metal"), "{error}");
        }
    }
}
