//! How fast this machine multiplies matrices: what a plan's estimate of time rests on.

use std::time::{Duration, Instant};

use candle_core::{Result, Tensor};

use super::device::{Backend, dtype, stream};
use super::layers::Linear;
use crate::spec;

/// Rows and columns of the product that is timed: large enough to keep every core busy.
const SIDE: u16 = 1024;

/// How long to measure, after one product to warm up.
const PATIENCE: Duration = Duration::from_millis(100);

/// Floating-point operations per second of a square matrix product, measured for a tenth of a second; None when the device
/// or its kernel is missing. A forward pass reaches a part of it.
pub fn measured_rate(model: &spec::Model) -> Option<f64> {
    let backend = Backend::open(model.device).ok()?;
    measure(&backend, model.dtype).ok()
}

fn measure(backend: &Backend, precision: spec::DType) -> Result<f64> {
    let side = usize::from(SIDE);
    let matrix = Tensor::randn(0_f32, 1.0, (side, side), backend.device())?.to_dtype(dtype(precision))?;
    let weights = Linear::new(matrix.clone(), None, backend.device())?;
    let input = matrix.to_dtype(stream(matrix.dtype(), backend.device()))?;
    let product = || -> Result<()> {
        weights.forward(&input)?;
        backend.device().synchronize()
    };
    product()?;
    let started = Instant::now();
    // Each worker multiplies for itself, as it does in a forward pass.
    let worker = || -> Result<u32> {
        let mut products = 0;
        while started.elapsed() < PATIENCE {
            product()?;
            products += 1;
        }
        Ok(products)
    };
    let products = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..backend.workers()).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(0))).sum::<Result<u32>>()
    })?;
    Ok(2.0 * f64::from(SIDE).powi(3) * f64::from(products) / started.elapsed().as_secs_f64())
}
