//! Transforms by hand, against scikit-learn, and on vectors at the edge of meaning.

use super::*;

/// Integers that stand for vectors; the reference script fills its matrices with the same formula.
fn matrix(rows: usize, dim: usize, shift: usize) -> Embeddings {
    let value = |i: usize, j: usize| f32::from(i16::try_from((i * 7 + j * 13 + i * j * 3 + shift) % 31).unwrap() - 6);
    Embeddings::from_values(dim, (0..rows).flat_map(|i| (0..dim).map(move |j| value(i, j))).collect())
}

fn vectors(dim: usize, values: &[f32]) -> Embeddings {
    Embeddings::from_values(dim, values.to_vec())
}

fn moments(vectors: &Embeddings) -> Moments {
    let Ok(moments) = Moments::of(vectors, Length::Own);
    moments.unwrap()
}

fn principal(vectors: &Embeddings) -> Principal {
    let Ok(principal) = Principal::of(vectors, Length::Own);
    principal.unwrap()
}

fn standardized(fitted_on: &Embeddings) -> Fitted {
    let moments = moments(fitted_on);
    let Ok(spreads) = moments.spreads(fitted_on);
    Fitted::standardize(moments, &spreads)
}

/// What comes out is f32.
fn close(found: &Embeddings, wanted: &[f64]) {
    assert_eq!(found.values().len(), wanted.len());
    for (found, wanted) in found.values().iter().zip(wanted) {
        assert!((f64::from(*found) - wanted).abs() <= 2e-7 * wanted.abs().max(1.0), "found {found}, wanted {wanted}");
    }
}

/// The four corners of a rectangle about (3, 2), twice as wide as high, and a vector of zeros that has no part.
fn rectangle() -> Embeddings {
    vectors(2, &[5.0, 3.0, 5.0, 1.0, 1.0, 3.0, 0.0, 0.0, 1.0, 1.0])
}

#[test]
fn a_rectangle_by_hand() {
    let corners = rectangle();
    let found = principal(&corners);
    assert_eq!((found.moments.count, found.moments.mean.as_slice()), (4, &[3.0, 2.0][..]));
    // Variances 4 and 1, along the axes.
    let near = |found: &[f64], wanted: &[f64]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(
        near(&found.variances, &[4.0, 1.0]) && near(&found.directions, &[1.0, 0.0, 0.0, 1.0]) && near(&[found.total], &[5.0])
    );
    // (5, 1) is 2 right of the mean and 1 below; zeros stay zeros.
    let two = vectors(2, &[5.0, 1.0, 0.0, 0.0]);
    close(&Fitted::center(moments(&corners)).apply(&two), &[2.0, -1.0, 0.0, 0.0]);
    close(&standardized(&corners).apply(&two), &[1.0, -1.0, 0.0, 0.0]);
    close(&Fitted::drop_top(&found, 1).apply(&two), &[0.0, -1.0, 0.0, 0.0]);
    close(&Fitted::whiten(&found, None, 0.0).unwrap().apply(&two), &[1.0, -1.0, 0.0, 0.0]);
    close(&Fitted::whiten(&found, Some(1), 0.0).unwrap().apply(&two), &[1.0, 0.0]);
    // Half way to the mean variance of 2.5: 3.25 and 1.75. All the way: both 2.5.
    close(&Fitted::whiten(&found, None, 0.5).unwrap().apply(&two), &[2.0 / 3.25_f64.sqrt(), -1.0 / 1.75_f64.sqrt(), 0.0, 0.0]);
    close(&Fitted::whiten(&found, None, 1.0).unwrap().apply(&two), &[2.0 / 2.5_f64.sqrt(), -1.0 / 2.5_f64.sqrt(), 0.0, 0.0]);
}

/// scikit-learn 1.9.1, n = 24 of 5 coordinates: `PCA(3, whiten=True, svd_solver="full")` with variances over n, signs by the
/// coordinate farthest from zero; `shrunk_covariance(empirical_covariance(X), 0.25)` to the power of -1/2, and its two leading
/// eigenvectors; `StandardScaler`; the first principal component taken off.
#[test]
fn more_vectors_than_coordinates_agree_with_scikit_learn() {
    let (fitted_on, two) = (matrix(24, 5, 0), matrix(2, 5, 9));
    let found = principal(&fitted_on);
    for (found, wanted) in found.variances.iter().zip([110.431_177_538_177_24, 102.683_625_810_539_35, 85.139_280_404_386_94]) {
        assert!((found - wanted).abs() < 1e-10, "found {found}, wanted {wanted}");
    }
    close(
        &Fitted::whiten(&found, Some(3), 0.0).unwrap().apply(&two),
        &[
            -0.5875277965024674,
            -1.4274646747845607,
            -0.2081083803110941,
            -0.9117751140888478,
            0.7539706040544274,
            1.6469774994030915,
        ],
    );
    close(
        &Fitted::whiten(&found, None, 0.25).unwrap().apply(&two),
        &[
            -0.573949731448582,
            0.8197053368470395,
            -1.1930670948115663,
            0.0952574032420569,
            1.4991968438542176,
            0.1982678300192155,
            -1.5794993267577562,
            0.10849941941750223,
            -1.3570283383857775,
            0.14325019198516611,
        ],
    );
    close(
        &Fitted::whiten(&found, Some(2), 0.25).unwrap().apply(&two),
        &[-0.6078631008902041, -1.4660064559818833, -0.9433331520038916, 0.7743279344766744],
    );
    close(
        &standardized(&fitted_on).apply(&two),
        &[
            -0.6086826781429059,
            0.7120747788049905,
            -1.2800602395463543,
            0.21132828628184042,
            1.5902874219797636,
            0.1487890991015992,
            -1.633583316082037,
            0.1882441528744638,
            -1.407356459706724,
            0.2231149517404445,
        ],
    );
    close(
        &Fitted::drop_top(&found, 1).apply(&two),
        &[
            -1.559497149153982,
            9.18232146976483,
            -12.342793629184495,
            3.141241927101224,
            10.597980986759787,
            7.684189705959889,
            -10.268362120709211,
            0.10010116645209144,
            -11.205929490553558,
            -3.256544434859131,
        ],
    );
}

/// The same of 4 vectors of 7 coordinates, whose covariance has rank 3: `np.linalg.svd` of the centred vectors, and the shrunk
/// covariance of all 7 coordinates.
#[test]
fn fewer_vectors_than_coordinates_agree_with_scikit_learn() {
    let (fitted_on, two) = (matrix(4, 7, 0), matrix(2, 7, 9));
    let found = principal(&fitted_on);
    assert_eq!(found.variances.len(), 3);
    for (found, wanted) in found.variances.iter().zip([252.92048958722674, 134.67855432481616, 86.52595608795708]) {
        assert!((found - wanted).abs() < 1e-10, "found {found}, wanted {wanted}");
    }
    let whitened = Fitted::whiten(&found, None, 0.0).unwrap();
    let wanted = [
        -0.5017290488368666,
        -0.5126258202784009,
        -0.33602669962315684,
        0.6608119100229158,
        -1.2609944499699601,
        0.2776315931482505,
    ];
    close(&whitened.apply(&two), &wanted);
    // More directions than there are: all of them.
    close(&Fitted::whiten(&found, Some(5), 0.0).unwrap().apply(&two), &wanted);
    close(
        &Fitted::whiten(&found, None, 0.1).unwrap().apply(&two),
        &[
            -1.2070716046369367,
            3.0526554032488513,
            -2.7160821852834536,
            -0.9461146699905504,
            5.196588249449038,
            0.7665383209601483,
            1.7455071565250118,
            1.1596422647627316,
            -1.7209869960675415,
            -0.6472556367095139,
            -3.691145181250109,
            -2.617413821892078,
            -0.7415429784401834,
            0.5085579446657958,
        ],
    );
}

/// The same of unit vectors: 24 of 5 coordinates, onto two.
#[test]
fn vectors_are_scaled_first_where_the_readout_does() {
    let Ok(found) = Principal::of(&matrix(24, 5, 0), Length::Unit);
    let fitted = Fitted::whiten(&found.unwrap(), Some(2), 0.0).unwrap();
    let wanted = [0.882513270959943, -0.9533688898535098, 0.9828579075967362, -0.06120560346146268];
    close(&fitted.apply(&matrix(2, 5, 9)), &wanted);
    let longer = matrix(2, 5, 9).values().iter().map(|value| 8.0 * value).collect();
    assert_eq!(fitted.apply(&Embeddings::from_values(5, longer)), fitted.apply(&matrix(2, 5, 9)));
}

/// Whitened on themselves, vectors have covariance one.
#[test]
fn whitened_vectors_have_unit_variance_and_no_correlation() {
    for (rows, dim) in [(2100, 40), (30, 40), (41, 40), (40, 40)] {
        let own = Embeddings::from_values(dim, noise(rows * dim));
        let found = principal(&own);
        let rank = dim.min(rows - 1);
        assert_eq!(found.variances.len(), rank);
        let white = Fitted::whiten(&found, None, 0.0).unwrap().apply(&own);
        for i in 0..rank {
            for j in 0..rank {
                let sum: f64 = white.rows().map(|row| f64::from(row[i]) * f64::from(row[j])).sum();
                let wanted = if i == j { 1.0 } else { 0.0 };
                assert!((sum / crate::stats::number(rows) - wanted).abs() < 1e-5, "{rows} x {dim}: {i}, {j}");
            }
        }
    }
}

/// Numbers without a pattern.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.0 - 0.3
    };
    (0..count).map(|_| next()).collect()
}

/// Texts a handful at a time, last ones first.
struct Backwards<'a>(&'a Embeddings);

impl Texts for Backwards<'_> {
    type Error = std::convert::Infallible;

    fn count(&self) -> usize {
        self.0.len()
    }

    fn width(&self) -> usize {
        self.0.dim()
    }

    fn visit(&self, take: &mut dyn FnMut(&[usize], &Embeddings)) -> Result<(), Self::Error> {
        let order: Vec<usize> = (0..self.0.len()).rev().collect();
        order.chunks(7).for_each(|block| take(block, &self.0.select(block)));
        Ok(())
    }
}

#[test]
fn threads_and_blocks_change_nothing() {
    let own = Embeddings::from_values(24, noise(3000 * 24));
    let fit = || Fitted::whiten(&principal(&own), None, 0.1).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (one, many) = (pool.install(|| fit().apply(&own)), fit().apply(&own));
    assert_eq!(one, many);
    let some = [0, 47, 48, 2999];
    assert_eq!(fit().apply(&own.select(&some)), many.select(&some));
    let by = fit();
    let Ok(()) = Transformed { texts: &Backwards(&own), by: &by }.visit(&mut |positions, block| {
        assert_eq!(*block, many.select(positions));
    });
}

#[test]
fn one_text_has_a_mean_and_nothing_else() {
    let (one, two) = (vectors(3, &[1.0, 2.0, 3.0]), vectors(3, &[1.0, 2.0, 3.0, 2.0, 2.0, 1.0]));
    let found = principal(&one);
    assert!(found.variances.is_empty());
    let centred = [0.0, 0.0, 0.0, 1.0, 0.0, -2.0];
    close(&Fitted::center(moments(&one)).apply(&two), &centred);
    close(&standardized(&one).apply(&two), &centred);
    close(&Fitted::drop_top(&found, 2).apply(&two), &centred);
    assert_eq!(Fitted::whiten(&found, None, 0.0).err(), Some(TransformError::NoVariance { texts: 1 }));
    assert_eq!(Fitted::whiten(&found, Some(2), 0.5).err(), Some(TransformError::NoVariance { texts: 1 }));
}

#[test]
fn equal_vectors_have_no_variance_and_no_direction_left() {
    // Their mean is not a sum that comes out even.
    let same = vectors(3, &[0.1, 0.7, -0.3].repeat(1000));
    for length in [Length::Own, Length::Unit] {
        let Ok(found) = Principal::of(&same, length);
        let found = found.unwrap();
        assert!(found.variances.is_empty(), "{:?}", found.variances);
        let centred = Fitted::center(found.moments.clone()).apply(&same);
        assert!(centred.values().iter().all(|&value| value == 0.0));
        assert!(Fitted::whiten(&found, None, 0.1).is_err());
        let spreads = found.moments.spreads(&same).unwrap();
        assert!(spreads.iter().all(Option::is_none), "{spreads:?}");
    }
}

#[test]
fn directions_that_do_not_vary_are_left_out() {
    // Along (1, 1, 0) alone.
    let line = vectors(3, &[1.0, 1.0, 5.0, 2.0, 2.0, 5.0, 6.0, 6.0, 5.0, 3.0, 3.0, 5.0]);
    let found = principal(&line);
    assert_eq!(found.variances.len(), 1);
    // Mean 3, variance (4 + 1 + 9) / 4 = 3.5 on each of the two coordinates: 7 along the line.
    assert!((found.variances[0] - 7.0).abs() < 1e-12);
    let white = Fitted::whiten(&found, Some(3), 0.0).unwrap();
    assert_eq!(white.width(), 1);
    // (4, 4) is a step of (1, 1) from the mean; (4, 2) is as far along the line as the mean, and has nothing else left.
    close(&white.apply(&vectors(3, &[4.0, 4.0, 5.0, 4.0, 2.0, 5.0])), &[(2.0_f64 / 7.0).sqrt(), 0.0]);
    close(&Fitted::drop_top(&found, 9).apply(&line), &[0.0; 12]);
}

#[test]
fn what_cannot_be_fitted_says_why() {
    let refused = |vectors: &Embeddings| -> TransformError {
        let Ok(found) = Principal::of(vectors, Length::Unit);
        found.map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(&Embeddings::new(3)), TransformError::NoVectors { texts: 0 });
    assert_eq!(refused(&vectors(2, &[0.0; 4])), TransformError::NoVectors { texts: 2 });
    for bad in [f32::NAN, f32::INFINITY] {
        assert_eq!(refused(&vectors(2, &[1.0, 2.0, 3.0, bad])), TransformError::NotFinite { row: 1 });
    }
}
