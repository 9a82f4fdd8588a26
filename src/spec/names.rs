//! The words of a spec file for the choices that have names, and back.

use std::fmt;
use std::str::FromStr;

use super::suggest::did_you_mean;
use super::{
    Aggregate, Axis, CalibrationKind, Correction, DType, Device, Gpus, Measure, Pooling, Protocol, TaskKind, TransformKind,
};

/// A word that names no choice of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {kind}: {help}")]
pub struct UnknownName {
    /// What was expected, for example "dtype".
    pub kind: &'static str,
    pub found: String,
    /// "did you mean ...", or the whole choice.
    pub help: String,
}

/// Gives an enum its words: `ALL`, `name`, `Display` and `FromStr` from one table.
macro_rules! names {
    ($type:ident, $kind:literal, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $type {
            /// Every choice, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As written in a spec.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|choice| choice.name() == text).ok_or_else(|| UnknownName {
                    kind: $kind,
                    found: text.to_owned(),
                    help: did_you_mean(text, Self::ALL.iter().map(|choice| choice.name())),
                })
            }
        }
    };
}

names!(DType, "dtype", F32 => "f32", F16 => "f16", Bf16 => "bf16");
names!(
    Pooling,
    "pooling",
    Last => "last",
    Mean => "mean",
    WeightedMean => "weighted-mean",
    Max => "max",
    Cls => "cls",
    Own => "own",
);
names!(
    CalibrationKind,
    "calibration",
    None => "none",
    Center => "center",
    ContentFree => "content-free",
    LabelMean => "label-mean",
    ZScore => "z-score",
    Csls => "csls",
    InvertedSoftmax => "inverted-softmax",
);
names!(
    TaskKind,
    "kind of task",
    LabelSimilarity => "label-similarity",
    Sts => "sts",
    PairClassification => "pair-classification",
    LinearProbe => "linear-probe",
    Knn => "knn",
    Retrieval => "retrieval",
    Clustering => "clustering",
);
names!(
    TransformKind,
    "transform",
    Center => "center",
    Standardize => "standardize",
    DropTop => "drop-top",
    Whiten => "whiten",
);
names!(Protocol, "protocol", Mteb => "mteb", Senteval => "senteval", Trec => "trec");
names!(Aggregate, "aggregate", Pooled => "pooled", PerSubset => "per-subset");
names!(Correction, "correction", Holm => "holm", BenjaminiHochberg => "benjamini-hochberg");
names!(
    Measure,
    "metric",
    Accuracy => "accuracy",
    MacroF1 => "macro_f1",
    Spearman => "spearman",
    Pearson => "pearson",
    Ap => "ap",
    NdcgAt10 => "ndcg_at_10",
    VMeasure => "v_measure",
);
names!(
    Axis,
    "axis",
    Model => "model",
    Prompt => "prompt",
    Readout => "readout",
    Transform => "transform",
    Slice => "slice",
    Task => "task",
    Labels => "labels",
    Calibration => "calibration",
);

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(gpus) => {
                let numbers: Vec<String> = gpus.numbers().map(|number| number.to_string()).collect();
                write!(f, "cuda:{}", numbers.join(","))
            }
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for Device {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName {
            kind: "device",
            found: text.to_owned(),
            // No guess: the nearest word to `gpu` is `cpu`.
            help: "write `auto`, `cpu`, `cuda:N`, `cuda:N,M` for several, or `metal`".to_owned(),
        };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "metal" => Ok(Self::Metal),
            _ => {
                let list = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten();
                let numbers: Option<Vec<u32>> = list.split(',').map(number).collect();
                numbers.and_then(|numbers| Gpus::new(&numbers)).map(Self::Cuda).ok_or_else(unknown)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_words<T>(all: &[T])
    where
        T: Copy + fmt::Display + fmt::Debug + PartialEq + FromStr<Err = UnknownName> + serde::Serialize,
    {
        for choice in all {
            assert_eq!(serde_json::to_value(choice).unwrap(), choice.to_string());
            assert_eq!(choice.to_string().parse(), Ok(*choice));
        }
    }

    #[test]
    fn names_are_those_of_the_spec() {
        same_words(DType::ALL);
        same_words(Pooling::ALL);
        same_words(CalibrationKind::ALL);
        same_words(TransformKind::ALL);
        same_words(Axis::ALL);
        same_words(TaskKind::ALL);
        same_words(Protocol::ALL);
        same_words(Aggregate::ALL);
        same_words(Measure::ALL);
        same_words(Correction::ALL);
    }

    #[test]
    fn devices_there_and_back() {
        for text in ["auto", "cpu", "metal", "cuda:0", "cuda:12", "cuda:0,1", "cuda:3,5,63"] {
            assert_eq!(text.parse::<Device>().map(|device| device.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("cuda:2,0".parse(), "cuda:0,2".parse::<Device>());
        for wrong in [
            "",
            "cuda",
            "cuda:",
            "cuda:+1",
            "cuda:x",
            "gpu",
            "CPU",
            "cuda:64",
            "cuda:1,",
            "cuda:1,1",
            "cuda:99999999999999999999",
        ] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
        assert_eq!(
            "cuda".parse::<Device>().unwrap_err().to_string(),
            "`cuda` is no device: write `auto`, `cpu`, `cuda:N`, `cuda:N,M` for several, or `metal`"
        );
    }

    #[test]
    fn unknown_words_get_help() {
        let error = "fp16".parse::<DType>().unwrap_err();
        assert_eq!(error.to_string(), "`fp16` is no dtype: did you mean `f16`?");
        let error = "sum".parse::<Pooling>().unwrap_err();
        assert_eq!(error.to_string(), "`sum` is no pooling: write `last`, `mean`, `weighted-mean`, `max`, `cls` or `own`");
    }
}
