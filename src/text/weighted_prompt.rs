//! Prompts of picture models: weights, breaks and LoRA tags, and the chunks that a text encoder takes.
//!
//! The syntax is the one that came with AUTOMATIC1111's web UI: `(word)` is a word with 1.1 times the weight, `[word]`
//! with a 1.1th, `(word:1.3)` with 1.3 times; brackets nest, and the weights multiply. `\(`, `\)`, `\[`, `\]` and `\\`
//! are the characters themselves. `BREAK` begins a new chunk. `<lora:name:0.8>` asks for a LoRA and is not text.
//! Everything else is text: also brackets without a partner and malformed numbers.

use super::clip_tokenizer::ClipTokenizer;
use super::regex::is_word;

/// The factor of a pair of brackets.
const STEP: f64 = 1.1;

/// No weight is larger: larger ones lead to infinities and NaN.
const MOST: f64 = 1e4;

/// A prompt with weights, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedPrompt {
    /// The sections between the `BREAK`s, at least one: texts with their weights, which are finite. No text is
    /// empty, neighbours differ in their weights.
    pub sections: Vec<Vec<(String, f32)>>,
    /// The LoRAs asked for in order, each with its scale, which is finite.
    pub loras: Vec<(String, f32)>,
}

/// The tokens that a text encoder takes at once: [`ClipTokenizer::max_length`] tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The beginning, at most `max_length - 2` tokens of the prompt, the end, and padding.
    pub ids: Vec<u32>,
    /// The weight of each token; 1 for tokens that are not of the prompt.
    pub weights: Vec<f32>,
}

/// A part of a prompt as it stands there.
enum Piece<'t> {
    Text(&'t str),
    Open(Kind),
    /// The bracket with what belongs to it, and the weight if it gives one.
    Close(Kind, &'t str, Option<f64>),
}

/// A kind of bracket, to count with.
#[derive(Clone, Copy)]
enum Kind {
    Round = 0,
    Square = 1,
}

impl WeightedPrompt {
    /// Parses `text`. Any text is a prompt. Takes time in proportion to its length.
    pub fn parse(text: &str) -> WeightedPrompt {
        let mut prompt = WeightedPrompt { sections: vec![Vec::new()], loras: Vec::new() };
        let text = prompt.take_loras(text);
        let pieces = pieces(&text);
        let factors = factors(&pieces);
        // The products of the brackets that are open: each kind nests in itself, but may cross the other.
        let mut open: [Vec<f64>; 2] = [vec![1.0], vec![1.0]];
        for (piece, factor) in pieces.iter().zip(factors) {
            let [round, square] = [0, 1].map(|kind: usize| open[kind].last().copied().unwrap_or(1.0));
            let weight = (round * square).clamp(-MOST, MOST) as f32;
            match (piece, factor) {
                (Piece::Open(kind), Some(factor)) => {
                    let product = [round, square][*kind as usize] * factor;
                    open[*kind as usize].push(product.clamp(-MOST, MOST));
                }
                (Piece::Close(kind, ..), Some(_)) => drop(open[*kind as usize].pop()),
                (Piece::Open(Kind::Round), None) => prompt.push("(", weight),
                (Piece::Open(Kind::Square), None) => prompt.push("[", weight),
                (Piece::Text(text) | Piece::Close(_, text, _), _) => prompt.add(text, weight),
            }
        }
        prompt
    }

    /// Returns whether any weight is not 1.
    pub fn weighted(&self) -> bool {
        self.sections.iter().flatten().any(|(_, weight)| *weight != 1.0)
    }

    /// Cuts the prompt into chunks for an encoder: at least one chunk, a new one wherever one is full and at every
    /// `BREAK`. A text without syntax that fits is one chunk with the ids that `CLIPTokenizer` of transformers gives it
    /// when told to pad to the greatest length.
    pub fn chunks(&self, tokenizer: &ClipTokenizer) -> Vec<Chunk> {
        let room = tokenizer.max_length() - 2;
        let mut chunks = Vec::new();
        for (i, section) in self.sections.iter().enumerate() {
            let (mut ids, mut weights) = (Vec::new(), Vec::new());
            for (text, weight) in section {
                tokenizer.encode_into(text, &mut ids);
                weights.resize(ids.len(), *weight);
            }
            // An empty section before a BREAK is a chunk as well; an empty one behind the last BREAK is not.
            if ids.is_empty() && (i + 1 < self.sections.len() || chunks.is_empty()) {
                chunks.push(Chunk::new(tokenizer, &[], &[]));
            }
            let parts = ids.chunks(room).zip(weights.chunks(room));
            chunks.extend(parts.map(|(ids, weights)| Chunk::new(tokenizer, ids, weights)));
        }
        chunks
    }

    /// Takes the LoRA tags out of `text`. A tag without a scale has the scale 1.
    fn take_loras(&mut self, text: &str) -> String {
        let mut rest = text;
        let mut out = String::with_capacity(text.len());
        while let Some(at) = rest.find("<lora:") {
            let inside = &rest[at + "<lora:".len()..];
            let end = inside.find(['<', '>']).filter(|&end| inside[end..].starts_with('>'));
            match end.and_then(|end| Some((end, lora(&inside[..end])?))) {
                Some((end, lora)) => {
                    self.loras.push(lora);
                    out += &rest[..at];
                    rest = &inside[end + 1..];
                }
                None => {
                    out += &rest[..rest.len() - inside.len()];
                    rest = inside;
                }
            }
        }
        out + rest
    }

    /// Appends text that may have `BREAK`s in it: the word alone, with the white space around it.
    fn add(&mut self, text: &str, weight: f32) {
        let mut done = 0;
        for (at, word) in text.match_indices("BREAK") {
            let (before, after) = (&text[done..at], &text[at + word.len()..]);
            let whole = text[..at].chars().next_back();
            if !whole.is_some_and(is_word) && !after.chars().next().is_some_and(is_word) {
                self.push(before.trim_end(), weight);
                self.sections.push(Vec::new());
                done = text.len() - after.trim_start().len();
            }
        }
        self.push(&text[done..], weight);
    }

    fn push(&mut self, text: &str, weight: f32) {
        let Some(section) = self.sections.last_mut() else { return };
        match section.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.1 == weight => last.0 += text,
            _ => section.push((text.into(), weight)),
        }
    }
}

impl Chunk {
    /// Makes a chunk of `ids`, of which there are at most `max_length - 2`.
    fn new(tokenizer: &ClipTokenizer, ids: &[u32], weights: &[f32]) -> Chunk {
        let mut chunk = Chunk { ids: vec![tokenizer.bos()], weights: vec![1.0] };
        chunk.ids.extend(ids);
        chunk.ids.push(tokenizer.eos());
        chunk.ids.resize(tokenizer.max_length(), tokenizer.pad());
        chunk.weights.extend(weights);
        chunk.weights.resize(tokenizer.max_length(), 1.0);
        chunk
    }
}

/// Appends chunks of no text until there are `count`, so that two prompts have equally many.
pub fn pad_chunks(chunks: &mut Vec<Chunk>, count: usize, tokenizer: &ClipTokenizer) {
    if chunks.len() < count {
        chunks.resize(count, Chunk::new(tokenizer, &[], &[]));
    }
}

/// Parses `name` or `name:scale`.
fn lora(inside: &str) -> Option<(String, f32)> {
    let (name, scale) = inside.split_once(':').unwrap_or((inside, "1"));
    let scale: f32 = scale.trim().parse().ok()?;
    let name = name.trim();
    (scale.is_finite() && !name.is_empty()).then(|| (name.into(), scale))
}

/// Cuts a prompt at its brackets, and before every character that a backslash protects.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut done, mut at) = (0, 0);
    while let Some(step) = text[at..].find(['\\', ':', '(', ')', '[', ']']) {
        at += step;
        let rest = &text[at..];
        let (piece, length) = match rest.as_bytes()[0] {
            b'\\' if rest[1..].starts_with(['\\', '(', ')', '[', ']']) => (None, 1),
            b'(' => (Some(Piece::Open(Kind::Round)), 1),
            b'[' => (Some(Piece::Open(Kind::Square)), 1),
            b')' => (Some(Piece::Close(Kind::Round, &rest[..1], None)), 1),
            b']' => (Some(Piece::Close(Kind::Square, &rest[..1], None)), 1),
            b':' if let Some((number, length)) = number(rest) => {
                (Some(Piece::Close(Kind::Round, &rest[..length], Some(number))), length)
            }
            _ => {
                at += 1;
                continue;
            }
        };
        pieces.push(Piece::Text(&text[done..at]));
        done = at + length;
        // What a backslash protects begins the next text and is not looked at.
        at = done + usize::from(piece.is_none());
        pieces.extend(piece);
    }
    pieces.push(Piece::Text(&text[done..]));
    pieces
}

/// Returns the number in `:1.3)`, which `text` may begin with, and the length of it all.
fn number(text: &str) -> Option<(f64, usize)> {
    let inside = text[1..].trim_start();
    let end = inside.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-'))?;
    let behind = inside[end..].trim_start().strip_prefix(')')?;
    let number: f64 = inside[..end].parse().ok()?;
    number.is_finite().then_some((number, text.len() - behind.len()))
}

/// Returns for every bracket that has a partner the factor of the pair.
fn factors(pieces: &[Piece]) -> Vec<Option<f64>> {
    let mut factors = vec![None; pieces.len()];
    let mut open = [Vec::new(), Vec::new()];
    for (i, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Open(kind) => open[*kind as usize].push(i),
            Piece::Close(kind, _, number) => {
                let plain = if let Kind::Round = kind { STEP } else { 1.0 / STEP };
                if let Some(start) = open[*kind as usize].pop() {
                    let factor = Some(number.unwrap_or(plain));
                    (factors[start], factors[i]) = (factor, factor);
                }
            }
            Piece::Text(_) => {}
        }
    }
    factors
}
