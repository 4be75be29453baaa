//! `boolean("true","false")`: one of two words, any case.

/// Where the word at `at` ends.
pub(super) fn end(text: &str, at: usize, truth: &str, falsehood: &str) -> Option<usize> {
    let rest = text.get(at..)?;
    [truth, falsehood].into_iter().find_map(|word| {
        let head = rest.get(..word.len())?;
        head.eq_ignore_ascii_case(word).then_some(at + word.len())
    })
}
