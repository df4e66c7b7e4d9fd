//! Parses tokenizer patterns to trees.

use super::class::{self, Class, Item};
use std::iter::Peekable;
use std::str::Chars;

/// Parentheses and brackets nest no deeper than this.
const DEPTH: usize = 40;
/// The largest count of a counted repeat.
const COUNT: u32 = 1_000;

/// How a repeat gives back what it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Greed {
    /// Takes as much as it can and gives back.
    Greedy,
    /// Takes as little as it can.
    Lazy,
    /// Takes as much as it can and gives nothing back.
    Possessive,
}

/// A zero-width condition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    WordEdge,
    NotWordEdge,
}

/// A parsed pattern.
#[derive(Clone, Debug)]
pub(super) enum PatternNode {
    Set(Class),
    At(Anchor),
    Sequence(Vec<PatternNode>),
    Either(Vec<PatternNode>),
    Repeat { body: Box<PatternNode>, min: u32, max: u32, greed: Greed },
    Ahead { body: Box<PatternNode>, negate: bool },
    Behind { class: Class, negate: bool },
    Atomic(Box<PatternNode>),
}

/// Parses `source`; the error says what is not supported.
pub(super) fn parse(source: &str) -> Result<PatternNode, String> {
    let mut parser = Parser { chars: source.chars().peekable(), fold: false, depth: 0 };
    let node = parser.either()?;
    if parser.chars.peek().is_some() {
        return Err("has a `)` without its `(`".into());
    }
    Ok(node)
}

struct Parser<'s> {
    chars: Peekable<Chars<'s>>,
    /// Case is ignored from here on, in this group.
    fold: bool,
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, c: char) -> bool {
        self.chars.next_if_eq(&c).is_some()
    }

    fn next(&mut self) -> Result<char, String> {
        self.chars.next().ok_or_else(|| "ends too early".to_string())
    }

    fn either(&mut self) -> Result<PatternNode, String> {
        let fold = self.fold;
        let mut ways = vec![self.sequence()?];
        while self.take('|') {
            ways.push(self.sequence()?);
        }
        self.fold = fold;
        Ok(if ways.len() == 1 { ways.swap_remove(0) } else { PatternNode::Either(ways) })
    }

    fn sequence(&mut self) -> Result<PatternNode, String> {
        let mut parts = Vec::new();
        while let Some(&c) = self.chars.peek() {
            if c == '|' || c == ')' {
                break;
            }
            if let Some(atom) = self.atom()? {
                parts.push(self.repeated(atom)?);
            }
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { PatternNode::Sequence(parts) })
    }

    /// Parses one atom; `None` for a switch such as `(?i)`.
    fn atom(&mut self) -> Result<Option<PatternNode>, String> {
        let fold = self.fold;
        let set = |item| PatternNode::Set(Class::of(item, fold));
        Ok(Some(match self.next()? {
            '.' => PatternNode::Set(Class::new(vec![Item::Range('\n', '\n')], true, None, false)),
            '^' => PatternNode::At(Anchor::LineStart),
            '$' => PatternNode::At(Anchor::LineEnd),
            '[' => PatternNode::Set(self.class()?),
            '(' => return self.group(),
            '\\' => match self.chars.peek() {
                Some('A') => self.place(Anchor::TextStart),
                Some('z') => self.place(Anchor::TextEnd),
                Some('b') => self.place(Anchor::WordEdge),
                Some('B') => self.place(Anchor::NotWordEdge),
                _ => set(self.escape()?),
            },
            c @ ('*' | '+' | '?') => return Err(format!("repeats nothing with `{c}`")),
            c => set(Item::Range(c, c)),
        }))
    }

    fn place(&mut self, place: Anchor) -> PatternNode {
        self.chars.next();
        PatternNode::At(place)
    }

    fn group(&mut self) -> Result<Option<PatternNode>, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("nests too deeply".into());
        }
        let outer = self.fold;
        let mut wrap: fn(PatternNode) -> Result<PatternNode, String> = Ok;
        if self.take('?') {
            match self.next()? {
                ':' => {}
                '=' => wrap = |body| Ok(PatternNode::Ahead { body: Box::new(body), negate: false }),
                '!' => wrap = |body| Ok(PatternNode::Ahead { body: Box::new(body), negate: true }),
                '>' => wrap = |body| Ok(PatternNode::Atomic(Box::new(body))),
                '<' => match self.next()? {
                    '=' => wrap = |body| behind(body, false),
                    '!' => wrap = |body| behind(body, true),
                    _ => return Err("names a group".into()),
                },
                c @ ('i' | '-') => {
                    if c == '-' && !self.take('i') {
                        return Err("has an unknown switch".into());
                    }
                    self.fold = c == 'i';
                    if self.take(')') {
                        self.depth -= 1;
                        return Ok(None);
                    }
                    if !self.take(':') {
                        return Err("has an unknown switch".into());
                    }
                }
                c => return Err(format!("has an unknown group `(?{c}`")),
            }
        }
        let body = self.either()?;
        if !self.take(')') {
            return Err("has a `(` without its `)`".into());
        }
        self.fold = outer;
        self.depth -= 1;
        wrap(body).map(Some)
    }

    /// Parses the repeats that follow `atom`.
    fn repeated(&mut self, mut atom: PatternNode) -> Result<PatternNode, String> {
        loop {
            let (min, max) = match self.chars.peek() {
                Some('*') => (0, u32::MAX),
                Some('+') => (1, u32::MAX),
                Some('?') => (0, 1),
                Some('{') => {
                    self.chars.next();
                    let min = self.number()?.unwrap_or(0);
                    let max = if self.take(',') { self.number()?.unwrap_or(u32::MAX) } else { min };
                    if self.chars.peek() != Some(&'}') || max < min {
                        return Err("has a damaged `{..}`".into());
                    }
                    (min, max)
                }
                _ => return Ok(atom),
            };
            self.chars.next();
            let greed = match self.chars.peek() {
                Some('?') => Greed::Lazy,
                Some('+') => Greed::Possessive,
                _ => Greed::Greedy,
            };
            if greed != Greed::Greedy {
                self.chars.next();
            }
            atom = PatternNode::Repeat { body: Box::new(atom), min, max, greed };
        }
    }

    fn number(&mut self) -> Result<Option<u32>, String> {
        let mut number = None;
        while let Some(digit) = self.chars.peek().and_then(|c| c.to_digit(10)) {
            self.chars.next();
            let value = number.unwrap_or(0) * 10 + digit;
            if value > COUNT {
                return Err(format!("repeats more than {COUNT} times"));
            }
            number = Some(value);
        }
        Ok(number)
    }

    /// Parses an escape that stands for characters, after its backslash.
    fn escape(&mut self) -> Result<Item, String> {
        let not = |item| Item::Not(Box::new(item));
        let digit = || class::property("Nd").ok_or_else(|| "has no digits".to_string());
        Ok(match self.next()? {
            's' => Item::Space,
            'S' => not(Item::Space),
            'w' => Item::Word,
            'W' => not(Item::Word),
            'd' => digit()?,
            'D' => not(digit()?),
            'p' => self.property()?,
            'P' => not(self.property()?),
            'n' => Item::Range('\n', '\n'),
            'r' => Item::Range('\r', '\r'),
            't' => Item::Range('\t', '\t'),
            'f' => Item::Range('\x0c', '\x0c'),
            'v' => Item::Range('\x0b', '\x0b'),
            '0' => Item::Range('\0', '\0'),
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            c if c.is_alphanumeric() => return Err(format!("uses `\\{c}`")),
            c => Item::Range(c, c),
        })
    }

    /// Parses a code point: `{..}` or `digits` hexadecimal digits.
    fn code(&mut self, digits: usize) -> Result<Item, String> {
        let braces = self.take('{');
        let mut code = 0;
        for i in 0.. {
            if if braces { self.take('}') } else { i == digits } {
                break;
            }
            let digit = self.next()?.to_digit(16).filter(|_| i < 8).ok_or("has a damaged code point")?;
            code = code << 4 | digit;
        }
        char::from_u32(code).map(|c| Item::Range(c, c)).ok_or_else(|| "has a damaged code point".into())
    }

    fn property(&mut self) -> Result<Item, String> {
        let mut name = String::new();
        if self.take('{') {
            while !self.take('}') {
                name.push(self.next()?);
            }
        } else {
            name.push(self.next()?);
        }
        let (negate, plain) = name.strip_prefix('^').map_or((false, name.as_str()), |rest| (true, rest));
        let item = class::property(plain).ok_or_else(|| format!("uses the property `{plain}`"))?;
        Ok(if negate { Item::Not(Box::new(item)) } else { item })
    }

    /// Parses a class, after its `[`.
    fn class(&mut self) -> Result<Class, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("nests too deeply".into());
        }
        let negate = self.take('^');
        let (items, and) = self.members()?;
        self.depth -= 1;
        Ok(Class::new(items, negate, and, self.fold))
    }

    /// Parses the members of a class up to its `]`, and the class that they are intersected with.
    fn members(&mut self) -> Result<(Vec<Item>, Option<Class>), String> {
        let mut items = Vec::new();
        loop {
            let low = match self.next()? {
                ']' if !items.is_empty() => return Ok((items, None)),
                '[' if self.chars.peek() == Some(&':') => return Err("uses a `[:class:]`".into()),
                '[' => Item::Class(Box::new(self.class()?)),
                '&' if self.take('&') => {
                    let (others, and) = self.members()?;
                    return Ok((items, Some(Class::new(others, false, and, self.fold))));
                }
                '\\' => self.escape()?,
                c => Item::Range(c, c),
            };
            // A range needs a plain character on both sides; a `-` at the end is itself.
            let Item::Range(from, _) = low else {
                items.push(low);
                continue;
            };
            let mut ahead = self.chars.clone();
            if ahead.next() != Some('-') || ahead.next().is_none_or(|c| c == ']') {
                items.push(low);
                continue;
            }
            self.chars.next();
            let high = match self.next()? {
                '\\' => self.escape()?,
                c => Item::Range(c, c),
            };
            match high {
                Item::Range(to, _) if from <= to => items.push(Item::Range(from, to)),
                Item::Range(..) => return Err("has a range that runs backwards".into()),
                // As in `[\n-\s]`: the dash is itself.
                other => items.extend([low, Item::Range('-', '-'), other]),
            }
        }
    }
}

/// Makes a look-behind, which may only see one character.
fn behind(body: PatternNode, negate: bool) -> Result<PatternNode, String> {
    match body {
        PatternNode::Set(class) => Ok(PatternNode::Behind { class, negate }),
        _ => Err("looks behind by more than one character".into()),
    }
}
