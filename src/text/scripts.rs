//! Cutting text where its script changes, as SentencePiece does when it learns a vocabulary.

/// Where scripts begin, as pairs: how much further the first character is, in groups of seven bits from the lowest on,
/// then the script's number. 0 are characters of any script: spaces and what Unicode has not assigned. Kana count as
/// Han. The numbers are places in the list of the `tokenizers` crate; a test compares the pieces.
const BEGINNINGS: &[u8] = include_bytes!("scripts.bin");

/// The script of every character.
#[derive(Debug)]
pub(super) struct Scripts {
    /// The first characters of runs of one script, ascending, with the script.
    runs: Vec<(u32, u8)>,
}

impl Scripts {
    /// Makes the table.
    pub fn new() -> Self {
        let mut runs = Vec::new();
        let (mut first, mut step, mut bits) = (0, 0, 0);
        let mut bytes = BEGINNINGS.iter();
        while let Some(&byte) = bytes.next() {
            step |= u32::from(byte & 127) << bits;
            bits += 7;
            if byte < 128 {
                first += step;
                runs.push((first, bytes.next().copied().unwrap_or(0)));
                (step, bits) = (0, 0);
            }
        }
        Scripts { runs }
    }

    fn of(&self, c: char) -> u8 {
        let after = self.runs.partition_point(|run| run.0 <= u32::from(c));
        after.checked_sub(1).map_or(0, |at| self.runs[at].1)
    }

    /// Returns where the pieces of one script lie. A text of any script before the first of them belongs to none.
    pub fn split(&self, text: &str) -> Vec<(usize, usize)> {
        let mut starts = Vec::new();
        let mut last = 0;
        for (at, c) in text.char_indices() {
            let script = self.of(c);
            if script != 0 && script != last {
                starts.push(at);
                last = script;
            }
        }
        starts.push(text.len());
        starts.windows(2).map(|w| (w[0], w[1])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_script() {
        let scripts = Scripts::new();
        let split = |text: &str| -> Vec<String> {
            scripts.split(text).into_iter().map(|(start, end)| text[start..end].to_string()).collect()
        };
        assert_eq!(split("  Apples are りんご 林檎"), ["Apples are ", "りんご 林檎"]);
        assert_eq!(split("どこで生れ。Yes"), ["どこで生れ", "。", "Yes"]);
        assert_eq!(split("a1б"), ["a", "1", "б"]);
        assert_eq!(split("  "), [""; 0]);
    }
}
