//! What a report is made of: blocks of worded content, the same for Markdown and HTML.

use super::plot::Drawing;

/// One block of a report. All prose is inline Markdown: whoever words it escapes what others wrote.
#[derive(Clone, Debug)]
pub enum Block {
    /// Title (level 1), section (2), part of a section (3) or its detail (4).
    Heading(u8, String),
    Paragraph(String),
    Bullets(Vec<String>),
    Table(Table),
    Figure(Figure),
    Examples(Vec<Example>),
    /// Verbatim lines.
    Fenced {
        language: &'static str,
        text: String,
    },
}

impl Block {
    /// The same block one level down, when it is a heading.
    pub fn deeper(self) -> Self {
        match self {
            Self::Heading(level, title) => Self::Heading(level + 1, title),
            other => other,
        }
    }

    /// Whether it is a table without a row, or a list without an item.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Table(table) => table.rows.is_empty(),
            Self::Bullets(items) => items.is_empty(),
            Self::Paragraph(words) => words.trim().is_empty(),
            Self::Heading(..) | Self::Figure(_) | Self::Examples(_) | Self::Fenced { .. } => false,
        }
    }

    /// A table with these columns and rows.
    pub fn table(columns: Vec<Column>, rows: Vec<Vec<String>>) -> Self {
        Self::Table(Table { columns, rows })
    }
}

/// Rows of inline Markdown.
#[derive(Clone, Debug)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
}

/// A column's head and how its cells are aligned.
#[derive(Clone, Debug)]
pub struct Column {
    pub title: String,
    pub align: Align,
}

impl Column {
    /// A column of words.
    pub fn words(title: impl Into<String>) -> Self {
        Self { title: title.into(), align: Align::Left }
    }

    /// A column of numbers.
    pub fn numbers(title: impl Into<String>) -> Self {
        Self { title: title.into(), align: Align::Right }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A drawing with the file it goes to and the words under it.
#[derive(Clone, Debug)]
pub struct Figure {
    /// File name beside `report.md`.
    pub file: String,
    /// What a reader who cannot see the figure should know: plain text.
    pub alt: String,
    /// Inline Markdown.
    pub caption: String,
    pub drawing: Drawing,
}

/// One sample shown in full: what was expected, what came out, the text, the scores.
#[derive(Clone, Debug)]
pub struct Example {
    pub verdict: String,
    pub text: String,
    pub scores: String,
}
