//! The `[n, dim]` matrix of f32 that crosses stages.

/// Row-major embeddings. Shape: `[rows, dim]`, f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    dim: usize,
    values: Vec<f32>,
}

impl Embeddings {
    /// An empty matrix of rows of width `dim`.
    ///
    /// # Panics
    /// If `dim` is 0: no model has embeddings without coordinates.
    pub fn new(dim: usize) -> Self {
        assert!(dim > 0, "embeddings need at least one dimension");
        Self { dim, values: Vec::new() }
    }

    /// Takes row-major values as they are.
    ///
    /// # Panics
    /// If `values` is not a whole number of rows.
    pub fn from_values(dim: usize, values: Vec<f32>) -> Self {
        assert!(dim > 0 && values.len().is_multiple_of(dim), "{} values are not rows of {dim}", values.len());
        Self { dim, values }
    }

    /// Coordinates per row.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row `i`, of length `dim`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// All rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.dim)
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Gives the values up, row by row, so that their memory can be used again.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If the row's length is not `dim`.
    pub fn push(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.dim, "a row of another width");
        self.values.extend_from_slice(row);
    }

    /// The mean of matrices of one shape, coordinate by coordinate: how the views of a prompt become one embedding.
    /// `None` of no matrix.
    ///
    /// # Panics
    /// If their shapes differ.
    pub fn mean(views: Vec<Self>) -> Option<Self> {
        let count = views.len();
        let mut views = views.into_iter();
        let mut mean = views.next()?;
        for view in views {
            assert_eq!((view.dim, view.values.len()), (mean.dim, mean.values.len()), "views of different shapes");
            mean.values.iter_mut().zip(&view.values).for_each(|(sum, value)| *sum += value);
        }
        if count > 1 {
            #[expect(clippy::cast_precision_loss, reason = "a prompt has a handful of views")]
            let scale = 1.0 / count as f32;
            mean.values.iter_mut().for_each(|value| *value *= scale);
        }
        Some(mean)
    }

    /// Matrices of as many rows side by side. `None` of no matrix.
    ///
    /// # Panics
    /// If they have different numbers of rows.
    pub fn concat(views: &[Self]) -> Option<Self> {
        let (first, rest) = views.split_first()?;
        assert!(rest.iter().all(|view| view.len() == first.len()), "views of different numbers of texts");
        let values = (0..first.len()).flat_map(|row| views.iter().flat_map(move |view| view.row(row).iter().copied()));
        Some(Self::from_values(views.iter().map(Self::dim).sum(), values.collect()))
    }

    /// The first coordinates of every row.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn cut(self, dim: usize) -> Self {
        assert!(dim <= self.dim, "rows of {} have no {dim} coordinates", self.dim);
        if dim == self.dim {
            return self;
        }
        let values = self.rows().flat_map(|row| row[..dim].iter().copied()).collect();
        Self::from_values(dim, values)
    }

    /// Scales every row to unit length; a row of zeros stays as it is.
    pub fn normalize(&mut self) {
        for row in self.values.chunks_exact_mut(self.dim) {
            let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                #[expect(clippy::cast_possible_truncation, reason = "a coordinate of a unit vector fits an f32")]
                row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
            }
        }
    }

    /// The rows with these indices, in this order; an index may repeat.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut selected = Self { dim: self.dim, values: Vec::with_capacity(indices.len() * self.dim) };
        for &i in indices {
            selected.push(self.row(i));
        }
        selected
    }
}

/// How far a vector is from another one, relative to that one's length; in f64.
pub fn relative_distance(vector: &[f32], other: &[f32]) -> f64 {
    let square = |value: f64| value * value;
    let apart: f64 = vector.iter().zip(other).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    let length: f64 = other.iter().map(|&value| square(f64::from(value))).sum();
    if apart == 0.0 { 0.0 } else { (apart / length).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn side_by_side_and_cut() {
        let (a, b) = (Embeddings::from_values(2, vec![1.0, 2.0, 3.0, 4.0]), Embeddings::from_values(1, vec![5.0, 6.0]));
        let both = Embeddings::concat(&[a, b]).expect("two views");
        assert_eq!((both.dim(), both.values()), (3, &[1.0, 2.0, 5.0, 3.0, 4.0, 6.0][..]));
        assert_eq!(both.clone().cut(3), both);
        assert_eq!(both.cut(1).values(), [1.0, 3.0]);
        assert_eq!(Embeddings::concat(&[]), None);
    }

    #[test]
    fn distances_are_relative_to_the_other_vector() {
        // 3-4-5 apart, from a vector of length 10.
        assert!((relative_distance(&[9.0, 12.0], &[6.0, 8.0]) - 0.5).abs() < 1e-12);
        assert_eq!(relative_distance(&[0.0, 0.0], &[0.0, 0.0]).to_bits(), 0.0_f64.to_bits());
        assert!(relative_distance(&[1.0, 0.0], &[0.0, 0.0]).is_infinite());
    }
}
