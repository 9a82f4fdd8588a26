//! Non-linearities of the feed-forward part, computed in f32 whatever the model's dtype.

use candle_core::{DType, Result, Tensor};

use super::description::Activation;

impl Activation {
    /// `activation(x)`, or `activation(gate) * x` where there is a gate; in the dtype of `x`.
    pub(super) fn apply(self, gate: Option<&Tensor>, x: &Tensor) -> Result<Tensor> {
        let input = gate.unwrap_or(x).to_dtype(DType::F32)?;
        let output = match self {
            Self::Silu => input.silu()?,
            Self::Gelu => input.gelu_erf()?,
            Self::GeluTanh => input.gelu()?,
            Self::Relu => input.relu()?,
        };
        let output = if gate.is_some() { (output * x.to_dtype(DType::F32)?)? } else { output };
        output.to_dtype(x.dtype())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn activations_have_their_textbook_values() {
        let x = Tensor::new(&[-1.0_f32, 0.0, 1.0, 3.0], &Device::Cpu).expect("tensor");
        // x * sigmoid(x), x * Phi(x), its tanh approximation, max(x, 0).
        for (activation, wanted) in [
            (Activation::Silu, [-0.268_941, 0.0, 0.731_059, 2.857_722]),
            (Activation::Gelu, [-0.158_655, 0.0, 0.841_345, 2.995_95]),
            (Activation::GeluTanh, [-0.158_808, 0.0, 0.841_192, 2.996_363]),
            (Activation::Relu, [0.0, 0.0, 1.0, 3.0]),
        ] {
            let found: Vec<f32> = activation.apply(None, &x).and_then(|y| y.to_vec1()).expect("values");
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 2e-6, "{activation:?}: {found} is not {wanted}");
            }
        }
        let gated: Vec<f32> = Activation::Relu.apply(Some(&x), &x).and_then(|y| y.to_vec1()).expect("values");
        assert_eq!(gated, [0.0, 0.0, 1.0, 9.0]);
    }
}
