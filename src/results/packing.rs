//! Whole numbers as text of one width each: what baselines keep of every sample, small and the same on every machine.

/// Digits of a packed number.
pub(super) const BASE: u32 = 36;

/// Digits that one of so many numbers needs.
fn width(known: usize) -> usize {
    let mut width = 1;
    let mut reach = BASE as usize;
    while reach < known {
        reach = reach.saturating_mul(BASE as usize);
        width += 1;
    }
    width
}

/// Numbers below `known`.
pub(super) fn pack(numbers: &[usize], known: usize) -> String {
    let width = width(known);
    let mut text = String::with_capacity(numbers.len() * width);
    for &number in numbers {
        for place in (0..width).rev() {
            let digit = number / (BASE as usize).pow(u32::try_from(place).unwrap_or(0)) % BASE as usize;
            text.extend(u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, BASE)));
        }
    }
    text
}

/// None for what is no list of numbers below `known`.
pub(super) fn unpack(text: &str, known: usize) -> Option<Vec<usize>> {
    let width = width(known);
    let number = |digits: &[u8]| {
        let number = digits.iter().try_fold(0, |sum, &digit| Some(sum * BASE + char::from(digit).to_digit(BASE)?))?;
        usize::try_from(number).ok().filter(|&number| number < known)
    };
    text.len().is_multiple_of(width).then(|| text.as_bytes().chunks(width).map(number).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_pack_and_unpack() {
        for known in [1, 2, 36, 37, 1296, 1297] {
            let labels: Vec<usize> = (0..known).rev().collect();
            assert_eq!(unpack(&pack(&labels, known), known), Some(labels), "{known}");
        }
        assert_eq!(pack(&[0, 5, 10], 11), "05a");
        assert_eq!(unpack("05b", 11), None);
        assert_eq!(unpack("0 5", 11), None);
        assert_eq!(unpack("055", 37), None);
    }
}
