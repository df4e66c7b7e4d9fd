//! Texts packed into batches: one after the other, without padding.

/// The tokens of a text, or of a pair of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextTokens {
    /// Their ids.
    pub ids: Vec<u32>,
    /// The kind of each: 0, or 1 in the second text of a pair. Shorter than `ids`: the others are 0.
    pub types: Vec<u32>,
    /// How many of the first are not pooled: those of a prompt.
    pub unpooled: usize,
}

/// Takes from the end of `left` (indices of texts) those that fit into `rows` rows, at least one and at most `most`.
pub(super) fn next_batch(
    left: &mut Vec<usize>,
    length: impl Fn(usize) -> usize,
    rows: usize,
    most: usize,
) -> Vec<usize> {
    let (mut taken, mut sum) = (Vec::new(), 0);
    while let Some(&text) = left.last() {
        sum += length(text);
        if !taken.is_empty() && (sum > rows || taken.len() == most) {
            break;
        }
        taken.push(text);
        left.pop();
    }
    taken
}

/// Sorts texts by length, so that those of a batch are alike, and batches of short ones come last: whoever waits sees
/// the slow part first.
pub(super) fn by_length(texts: &[TextTokens]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&i| texts[i].ids.len());
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lengths: &[usize]) -> Vec<TextTokens> {
        lengths.iter().map(|&n| TextTokens { ids: vec![7; n], ..TextTokens::default() }).collect()
    }

    #[test]
    fn batches_hold_all_texts_once_and_as_many_as_fit() {
        let texts = texts(&[3, 40, 1, 12, 9, 9, 200, 5]);
        let mut left = by_length(&texts);
        let mut batches = Vec::new();
        while !left.is_empty() {
            batches.push(next_batch(&mut left, |i| texts[i].ids.len(), 32, 3));
        }
        // The longest comes first, alone though it does not fit; three are the most in a batch.
        assert_eq!(batches, [vec![6], vec![1], vec![3, 5, 4], vec![7, 0, 2]]);
    }
}
