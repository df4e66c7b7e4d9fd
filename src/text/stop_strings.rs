//! Stop strings in a stream of text.

/// Finds stop strings in text that arrives in pieces, holding back what may be the beginning of one.
#[derive(Debug, Clone)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
}

impl StopStrings {
    /// Makes a matcher for `stops`; empty strings are ignored.
    pub fn new(stops: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let stops = stops.into_iter().map(Into::into).filter(|s: &String| !s.is_empty()).collect();
        StopStrings { stops, held: String::new() }
    }

    /// Adds `text`. Returns the text that is safe to show and whether a stop string was reached: the one that is
    /// complete first, however the text is cut into pieces. It, and what follows it, are never shown.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at + stop.len(), at)));
        if let Some((_, at)) = found.min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        // Where the longest tail that begins some stop string starts; all before it is safe.
        let begins = |at: &usize| self.stops.iter().any(|stop| stop.starts_with(&self.held[*at..]));
        let safe = self.held.char_indices().map(|(at, _)| at).find(begins).unwrap_or(self.held.len());
        let rest = self.held.split_off(safe);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// Returns the text that was held back when the text ended without a stop string.
    pub fn finish(self) -> String {
        self.held
    }
}
