//! What a server answers: vectors as lists of numbers or as base64, in any order.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};

use super::error::WrongAnswer;
use crate::embeddings::Embeddings;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    index: u64,
    embedding: Vector,
}

/// `None` is text that is no vector.
struct Vector(Option<Vec<f32>>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumbersOrBase64;
        impl<'de> Visitor<'de> for NumbersOrBase64 {
            type Value = Vector;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers, or base64")
            }

            fn visit_str<E>(self, text: &str) -> Result<Vector, E> {
                let bytes = BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len().is_multiple_of(4));
                let number = |bytes: &[u8]| bytes.try_into().map_or(f32::NAN, f32::from_le_bytes);
                Ok(Vector(bytes.map(|bytes| bytes.chunks_exact(4).map(number).collect())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vector, A::Error> {
                let mut vector = Vec::new();
                // JSON has no word for a number that is not finite; servers write null.
                while let Some(number) = numbers.next_element::<Option<f32>>()? {
                    vector.push(number.unwrap_or(f32::NAN));
                }
                Ok(Vector(Some(vector)))
            }
        }
        deserializer.deserialize_any(NumbersOrBase64)
    }
}

/// The vectors of an answer in the order of the texts. Shape: `[texts, width]`; without `width`, that of the first vector.
pub(super) fn read(bytes: &[u8], texts: usize, width: Option<usize>) -> Result<Embeddings, WrongAnswer> {
    let answer: Answer = serde_json::from_slice(bytes)?;
    if answer.data.len() != texts {
        return Err(WrongAnswer::Count { found: answer.data.len(), wanted: texts });
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for Entry { index, embedding } in answer.data {
        let at = usize::try_from(index).ok().filter(|at| *at < texts && vectors[*at].is_none());
        let at = at.ok_or(WrongAnswer::Index { found: index, last: texts.saturating_sub(1) })?;
        vectors[at] = Some(embedding.0.ok_or(WrongAnswer::Base64 { index: at })?);
    }
    let wanted = width.or_else(|| vectors.first()?.as_ref().map(Vec::len)).unwrap_or_default();
    if wanted == 0 {
        return Err(WrongAnswer::Empty { index: 0 });
    }
    let mut matrix = Embeddings::new(wanted);
    for (index, vector) in vectors.into_iter().flatten().enumerate() {
        if vector.len() != wanted {
            return Err(WrongAnswer::Width { found: vector.len(), wanted });
        }
        if vector.iter().any(|number| !number.is_finite()) {
            return Err(WrongAnswer::NotFinite { index });
        }
        matrix.push(&vector);
    }
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn answer(data: &Value) -> Result<Vec<f32>, String> {
        let bytes = json!({ "object": "list", "data": data, "usage": null }).to_string();
        read(bytes.as_bytes(), 2, Some(2)).map(|matrix| matrix.values().to_vec()).map_err(|error| error.to_string())
    }

    fn entry(index: u64, embedding: &Value) -> Value {
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    }

    #[test]
    fn numbers_and_base64_in_any_order() {
        let text = BASE64_STANDARD.encode([1.5_f32, -2.0].iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>());
        let data = json!([entry(1, &json!([0.25, 1])), entry(0, &json!(text))]);
        assert_eq!(answer(&data), Ok(vec![1.5, -2.0, 0.25, 1.0]));
        let free = read(json!({ "data": [entry(0, &json!([1, 2, 3]))] }).to_string().as_bytes(), 1, None);
        assert_eq!(free.map(|matrix| matrix.dim()).ok(), Some(3));
    }

    #[test]
    fn wrong_answers_say_what_is_wrong() {
        let good = entry(0, &json!([1, 2]));
        let wrong = |second: Value| answer(&json!([good, second])).expect_err("wrong");
        assert_eq!(answer(&json!([good])), Err("it has 1 vectors for 2 texts".to_owned()));
        assert!(wrong(entry(0, &json!([1, 2]))).contains("0 comes twice"));
        assert!(wrong(entry(2, &json!([1, 2]))).contains("2 comes twice or is beyond"));
        assert!(wrong(entry(u64::MAX, &json!([1, 2]))).contains("beyond"));
        assert!(wrong(entry(1, &json!([1]))).starts_with("its vectors have 1 numbers where 2 are expected"));
        assert!(wrong(entry(1, &json!([]))).starts_with("its vectors have 0 numbers"));
        let empty = read(json!({ "data": [entry(0, &json!([]))] }).to_string().as_bytes(), 1, None);
        assert!(matches!(empty, Err(WrongAnswer::Empty { index: 0 })));
        assert_eq!(wrong(entry(1, &json!([1, null]))), "vector 1 has a number that is not finite");
        assert_eq!(wrong(entry(1, &json!([1, 1e300]))), "vector 1 has a number that is not finite");
        assert_eq!(wrong(entry(1, &json!("AAAA"))), "vector 1 is text, but not base64 of 32-bit floats");
        assert_eq!(wrong(entry(1, &json!("no!"))), "vector 1 is text, but not base64 of 32-bit floats");
        for shape in [json!({}), json!({ "index": 1 }), json!({ "index": -1, "embedding": [1, 2] }), json!([1, 2])] {
            assert_eq!(wrong(shape), "the JSON is broken or of another shape");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), texts in 0_usize..4) {
            let _ = read(&bytes, texts, None);
        }

        /// An answer with bytes replaced is refused, or has the asked shape.
        #[test]
        fn no_damaged_answer_panics(at in 0_usize..200, piece in "[\\[\\]{}\",:0-9eE.n-]{0,6}", cut in 0_usize..20) {
            let mut bytes = json!({ "data": [entry(0, &json!([1.5, -2e-3])), entry(1, &json!("AAAAAAAAAAA="))] }).to_string().into_bytes();
            let start = at % bytes.len();
            let end = (start + cut).min(bytes.len());
            bytes.splice(start..end, piece.bytes());
            if let Ok(matrix) = read(&bytes, 2, Some(2)) {
                prop_assert_eq!((matrix.len(), matrix.dim()), (2, 2));
                prop_assert!(matrix.values().iter().all(|number| number.is_finite()));
            }
        }
    }
}
