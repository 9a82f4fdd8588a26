//! What cells say of single samples, column by column: there may be millions.

/// One sample under one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRow {
    pub gold: usize,
    pub predicted: usize,
    pub gold_rank: usize,
    pub margin: Option<f64>,
    pub gold_margin: Option<f64>,
    pub tied: bool,
    /// Tokens of the rendered text as embedded (over all views of a fused prompt).
    pub tokens: usize,
    /// Tokens that truncation removed (over all views of a fused prompt).
    pub cut: usize,
}

/// The rows of one cell, in half the memory of a list of them. Counts and labels are below 2³².
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleRows {
    gold: Vec<u32>,
    predicted: Vec<u32>,
    gold_rank: Vec<u32>,
    tokens: Vec<u32>,
    cut: Vec<u32>,
    /// 0 where there is none.
    margin: Vec<f64>,
    /// 0 where there is none.
    gold_margin: Vec<f64>,
    flags: Vec<u8>,
}

/// What a sample's flags say.
const TIED: u8 = 1;
const MARGIN: u8 = 2;
const GOLD_MARGIN: u8 = 4;

impl SampleRow {
    /// Whether it is tied, and which margins it has.
    pub(super) fn flags(&self) -> u8 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        flag(self.tied, TIED) | flag(self.margin.is_some(), MARGIN) | flag(self.gold_margin.is_some(), GOLD_MARGIN)
    }

    /// The row with no more than its flags say.
    pub(super) fn flagged(self, flags: u8) -> Self {
        let set = |flag: u8| flags & flag != 0;
        Self {
            margin: self.margin.filter(|_| set(MARGIN)),
            gold_margin: self.gold_margin.filter(|_| set(GOLD_MARGIN)),
            tied: set(TIED),
            ..self
        }
    }
}

impl SampleRows {
    /// Memory of one row. Unit: bytes.
    pub const BYTES: usize = 5 * size_of::<u32>() + 2 * size_of::<f64>() + 1;

    /// Number of samples.
    pub const fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// The row of one sample.
    pub fn get(&self, sample: usize) -> Option<SampleRow> {
        let flags = *self.flags.get(sample)?;
        let count = |column: &Vec<u32>| column.get(sample).map_or(0, |&count| count as usize);
        let row = SampleRow {
            gold: count(&self.gold),
            predicted: count(&self.predicted),
            gold_rank: count(&self.gold_rank),
            margin: self.margin.get(sample).copied(),
            gold_margin: self.gold_margin.get(sample).copied(),
            tied: false,
            tokens: count(&self.tokens),
            cut: count(&self.cut),
        };
        Some(row.flagged(flags))
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = SampleRow> + Clone {
        // Every place below the length has a row.
        (0..self.len()).map(|sample| self.get(sample).unwrap_or(NOTHING))
    }

    /// Adds the row of the next sample.
    pub fn push(&mut self, row: SampleRow) {
        let counts = [
            (&mut self.gold, row.gold),
            (&mut self.predicted, row.predicted),
            (&mut self.gold_rank, row.gold_rank),
            (&mut self.tokens, row.tokens),
            (&mut self.cut, row.cut),
        ];
        counts.into_iter().for_each(|(column, count)| column.push(u32::try_from(count).unwrap_or(u32::MAX)));
        self.margin.push(row.margin.unwrap_or(0.0));
        self.gold_margin.push(row.gold_margin.unwrap_or(0.0));
        self.flags.push(row.flags());
    }

    fn reserve(&mut self, rows: usize) {
        let Self { gold, predicted, gold_rank, tokens, cut, margin, gold_margin, flags } = self;
        [gold, predicted, gold_rank, tokens, cut].into_iter().for_each(|column| column.reserve(rows));
        [margin, gold_margin].into_iter().for_each(|column| column.reserve(rows));
        flags.reserve(rows);
    }
}

/// A row that says nothing.
const NOTHING: SampleRow =
    SampleRow { gold: 0, predicted: 0, gold_rank: 0, margin: None, gold_margin: None, tied: false, tokens: 0, cut: 0 };

impl FromIterator<SampleRow> for SampleRows {
    fn from_iter<I: IntoIterator<Item = SampleRow>>(rows: I) -> Self {
        let (rows, mut all) = (rows.into_iter(), Self::default());
        all.reserve(rows.size_hint().0);
        rows.for_each(|row| all.push(row));
        all
    }
}

impl From<Vec<SampleRow>> for SampleRows {
    fn from(rows: Vec<SampleRow>) -> Self {
        rows.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_put_in() {
        let some = SampleRow {
            gold: 1,
            predicted: 2,
            gold_rank: 3,
            margin: Some(0.0),
            gold_margin: Some(-0.5),
            tied: true,
            tokens: 9,
            cut: 4,
        };
        let none = SampleRow { margin: None, gold_margin: None, tied: false, ..some };
        let odd = SampleRow { margin: Some(f64::INFINITY), ..none };
        let rows = SampleRows::from(vec![some, none, odd]);
        assert_eq!(rows.iter().collect::<Vec<_>>(), [some, none, odd]);
        assert_eq!((rows.len(), rows.get(1), rows.get(3)), (3, Some(none), None));
        assert!(SampleRows::default().is_empty());
    }
}
