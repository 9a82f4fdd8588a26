//! "Did you mean": the known word nearest to an unknown one.

/// The word of `among` that `found` is most likely a misspelling of, if one is near enough: at most a third of the
/// longer word's characters differ (insertions, deletions, substitutions and swaps; case does not count). The first of
/// equally near words.
pub fn suggest<'a>(found: &str, among: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted = found.to_lowercase();
    let length = wanted.chars().count();
    among
        .filter_map(|word| {
            let known = word.to_lowercase();
            let longer = length.max(known.chars().count());
            // The difference in length is a lower bound of the distance, and a cheap one.
            if longer.saturating_sub(length.min(known.chars().count())) * 3 > longer {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&wanted, &known);
            (distance * 3 <= longer).then_some((distance, word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word.to_owned())
}

/// "did you mean `x`?", or all the words when none is near.
pub(super) fn did_you_mean<'a>(found: &str, among: impl Iterator<Item = &'a str> + Clone) -> String {
    match suggest(found, among.clone()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("write {}", one_of(among)),
    }
}

/// "`a`, `b` or `c`".
pub(super) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_only() {
        let dtypes = ["f32", "f16", "bf16"];
        let near = |found| suggest(found, dtypes.into_iter());
        assert_eq!(near("fp16").as_deref(), Some("f16"));
        assert_eq!(near("BF16").as_deref(), Some("bf16"));
        assert_eq!(near("f8"), None);
        assert_eq!(near("float"), None);
        assert_eq!(suggest("休闲益趣", ["亲子儿童", "休闲益智"].into_iter()).as_deref(), Some("休闲益智"));
        assert_eq!(suggest("tempalte", ["truncate", "template"].into_iter()).as_deref(), Some("template"));
        assert_eq!(suggest("", ["a"].into_iter()), None);
    }

    #[test]
    fn all_words_when_none_is_near() {
        assert_eq!(did_you_mean("int8", ["f32", "f16", "bf16"].into_iter()), "write `f32`, `f16` or `bf16`");
        assert_eq!(did_you_mean("f-16", ["f32", "f16", "bf16"].into_iter()), "did you mean `f16`?");
        assert_eq!(one_of(["a"].into_iter()), "`a`");
    }
}
