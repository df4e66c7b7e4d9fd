//! Separates what a model thinks from what it answers.

/// The text that a thought begins with.
pub(super) const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Separates what a model thought from what it answers, as the text arrives.
pub(super) struct Reasoning {
    thinking: bool,
    begun: bool,
    held: String,
    /// The thought.
    pub thought: Option<String>,
    /// The answer.
    pub text: String,
}

impl Reasoning {
    pub fn new(thinking: bool) -> Self {
        Reasoning {
            thinking,
            begun: thinking,
            held: String::new(),
            thought: thinking.then(String::new),
            text: String::new(),
        }
    }

    /// Takes more text; returns what may be shown: answer, thought.
    pub fn push(&mut self, more: &str) -> (String, String) {
        self.held.push_str(more);
        let mut shown = (String::new(), String::new());
        if !self.begun {
            let start = self.held.trim_start();
            if let Some(rest) = start.strip_prefix(OPEN) {
                self.held = rest.to_string();
                (self.begun, self.thinking, self.thought) = (true, true, Some(String::new()));
            } else if !OPEN.starts_with(start) {
                self.begun = true;
            } else {
                return shown;
            }
        }
        if self.thinking {
            let (thought, rest) = match self.held.split_once(CLOSE) {
                Some((thought, rest)) => {
                    self.thinking = false;
                    (thought.to_string(), rest.trim_start().to_string())
                }
                None => {
                    let keep = (1..CLOSE.len()).rev().find(|&n| self.held.ends_with(&CLOSE[..n])).unwrap_or(0);
                    let (thought, rest) = self.held.split_at(self.held.len() - keep);
                    (thought.to_string(), rest.to_string())
                }
            };
            self.thought.get_or_insert_default().push_str(&thought);
            (shown.1, self.held) = (thought, rest);
        }
        if !self.thinking {
            // White space between thought and answer belongs to neither.
            let lead = self.thought.is_some() && self.text.is_empty();
            let text = std::mem::take(&mut self.held);
            shown.0 = if lead { text.trim_start().to_string() } else { text };
            self.text.push_str(&shown.0);
        }
        shown
    }

    /// Ends the text: what was held back is what it looks like.
    pub fn finish(&mut self) -> (String, String) {
        let rest = std::mem::take(&mut self.held);
        if self.thinking {
            self.thought.get_or_insert_default().push_str(&rest);
            (String::new(), rest)
        } else {
            self.text.push_str(&rest);
            (rest, String::new())
        }
    }
}
