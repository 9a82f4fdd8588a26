//! The columns of every table: one list that writing, reading and the documentation share.

use polars::prelude::DataType;

/// One Parquet file of a result folder.
pub(super) struct Layout {
    pub file: &'static str,
    pub columns: &'static [ColumnLayout],
}

/// One column.
pub(super) struct ColumnLayout {
    pub name: &'static str,
    pub kind: Kind,
    pub nulls: Nulls,
    /// The first [`super::FORMAT`] in which every folder has it. In an older one it may be absent: all null.
    pub since: u32,
}

impl ColumnLayout {
    const fn since(self, format: u32) -> Self {
        Self { since: format, ..self }
    }
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Count,
    Flag,
    Number,
    Numbers,
}

/// Whether a column may hold nulls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Never,
    Allowed,
}

impl Kind {
    pub(super) fn dtype(self) -> DataType {
        match self {
            Self::Text => DataType::String,
            Self::Count => DataType::UInt64,
            Self::Flag => DataType::Boolean,
            Self::Number => DataType::Float64,
            Self::Numbers => DataType::List(Box::new(DataType::Float64)),
        }
    }
}

const fn column(name: &'static str, kind: Kind) -> ColumnLayout {
    ColumnLayout { name, kind, nulls: Nulls::Never, since: 1 }
}

const fn optional(name: &'static str, kind: Kind) -> ColumnLayout {
    ColumnLayout { name, kind, nulls: Nulls::Allowed, since: 1 }
}

pub(super) const CELLS: Layout = Layout {
    file: "cells.parquet",
    columns: &[
        column("cell", Kind::Text),
        column("model", Kind::Text),
        column("prompt", Kind::Text),
        column("readout", Kind::Text),
        column("transform", Kind::Text).since(2),
        column("slice", Kind::Text),
        column("task", Kind::Text).since(2),
        column("labels", Kind::Text),
        column("calibration", Kind::Text),
        column("status", Kind::Text),
        optional("reason", Kind::Text),
        optional("metric", Kind::Text),
        optional("label", Kind::Text),
        optional("value", Kind::Number),
        optional("low", Kind::Number),
        optional("high", Kind::Number),
        optional("n", Kind::Count),
    ],
};

pub(super) const PREDICTIONS: Layout = Layout {
    file: "predictions.parquet",
    columns: &[
        column("cell", Kind::Text),
        column("sample", Kind::Text),
        column("index", Kind::Count),
        optional("gold", Kind::Text),
        optional("gold_score", Kind::Number).since(2),
        optional("predicted", Kind::Text),
        optional("gold_rank", Kind::Count),
        optional("margin", Kind::Number),
        optional("gold_margin", Kind::Number),
        optional("tied", Kind::Flag),
        column("tokens", Kind::Count),
        column("cut", Kind::Count),
        column("scores", Kind::Numbers),
    ],
};

pub(super) const CONFUSION: Layout = Layout {
    file: "confusion.parquet",
    columns: &[
        column("cell", Kind::Text),
        column("gold", Kind::Text),
        column("predicted", Kind::Text),
        column("count", Kind::Count),
    ],
};

pub(super) const PLACES: Layout = Layout {
    file: "places.parquet",
    columns: &[
        column("cell", Kind::Text),
        column("index", Kind::Count),
        column("x", Kind::Number),
        column("y", Kind::Number),
        column("x_share", Kind::Number),
        column("y_share", Kind::Number),
    ],
};

/// Texts that were cut to fit.
pub(super) const CUTS: Layout = Layout {
    file: "cuts.parquet",
    columns: &[
        column("model", Kind::Text),
        column("prompt", Kind::Text),
        column("slice", Kind::Text),
        column("view", Kind::Count),
        column("index", Kind::Count),
        column("of", Kind::Text),
        column("start", Kind::Count),
        column("end", Kind::Count),
    ],
};

pub(super) const SAMPLES: Layout = Layout {
    file: "samples.parquet",
    columns: &[
        column("slice", Kind::Text),
        column("index", Kind::Count),
        column("sample", Kind::Text),
        column("text", Kind::Text),
        optional("partner", Kind::Text).since(2),
        optional("gold", Kind::Text),
        optional("gold_score", Kind::Number).since(2),
        optional("group", Kind::Text).since(2),
        optional("subset", Kind::Text).since(2),
    ],
};
