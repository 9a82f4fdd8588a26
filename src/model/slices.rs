//! Tensors of the CPU as the slices that kernels work on.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, WithDType, bail};

/// What `read` makes of a contiguous CPU tensor's values.
pub(super) fn slice_of<T: WithDType, R>(tensor: &Tensor, read: impl FnOnce(&[T]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        bail!("a kernel of the CPU wants a contiguous tensor there")
    };
    Ok(read(&T::cpu_storage_as_slice(storage)?[start..end]))
}

/// Changes a contiguous f32 CPU tensor, whose owner gives it away.
pub(super) fn in_place(tensor: Tensor, change: impl Fn(&mut [f32]) -> Result<()>) -> Result<Tensor> {
    tensor.inplace_op1(&Change(change))?;
    Ok(tensor)
}

struct Change<F>(F);

impl<F: Fn(&mut [f32]) -> Result<()>> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("a kernel of the CPU wants a contiguous f32 tensor")
        };
        (self.0)(&mut values[start..end])
    }
}
