//! Compiles parsed tokenizer patterns to instructions.

use super::class::Class;
use super::parse::{Anchor, Greed, PatternNode, parse};

/// A compiled pattern has no more instructions than this: counted repeats of groups are written out.
const SIZE: usize = 20_000;

/// One instruction of a compiled pattern. Targets are absolute.
#[derive(Debug)]
pub(super) enum Op {
    /// One character of the class.
    Set(Class),
    /// `min..=max` characters of the class.
    Repeat { class: Class, min: u32, max: u32, greed: Greed },
    /// Go on at `first`; if that fails, at `second`.
    Fork { first: usize, second: usize },
    /// Go on elsewhere.
    Jump(usize),
    /// A condition on the place.
    At(Anchor),
    /// The instructions that follow, up to their own [`Op::Match`], match (or not, if `negate`) here; go on at `end`.
    Ahead { negate: bool, end: usize },
    /// The character before is of the class (or not).
    Behind { negate: bool, class: Class },
    /// Like [`Op::Ahead`], but what matched is taken and never given back.
    Atomic { end: usize },
    /// The end of the pattern or of the instructions of an `Ahead` or `Atomic`.
    Match,
}

/// Compiles `source` to instructions; the error says what is not supported.
pub(super) fn compile(source: &str) -> Result<Vec<Op>, String> {
    let mut ops = Vec::new();
    parse(source)?.emit(&mut ops)?;
    ops.push(Op::Match);
    Ok(ops)
}

impl PatternNode {
    /// Returns whether it can match nothing.
    fn empty(&self) -> bool {
        match self {
            PatternNode::Set(_) => false,
            PatternNode::At(_) | PatternNode::Ahead { .. } | PatternNode::Behind { .. } => true,
            PatternNode::Sequence(parts) => parts.iter().all(PatternNode::empty),
            PatternNode::Either(ways) => ways.iter().any(PatternNode::empty),
            PatternNode::Repeat { body, min, .. } => *min == 0 || body.empty(),
            PatternNode::Atomic(body) => body.empty(),
        }
    }

    fn emit(&self, ops: &mut Vec<Op>) -> Result<(), String> {
        if ops.len() > SIZE {
            return Err("is too long".into());
        }
        match self {
            PatternNode::Set(class) => ops.push(Op::Set(class.clone())),
            PatternNode::At(place) => ops.push(Op::At(*place)),
            PatternNode::Sequence(parts) => return parts.iter().try_for_each(|part| part.emit(ops)),
            PatternNode::Either(ways) => {
                let mut exits = Vec::new();
                for (i, way) in ways.iter().enumerate() {
                    let fork = ops.len();
                    let last = i + 1 == ways.len();
                    if !last {
                        ops.push(Op::Fork { first: fork + 1, second: 0 });
                    }
                    way.emit(ops)?;
                    if !last {
                        exits.push(ops.len());
                        ops.push(Op::Jump(0));
                        ops[fork] = Op::Fork { first: fork + 1, second: ops.len() };
                    }
                }
                let end = ops.len();
                exits.into_iter().for_each(|exit| ops[exit] = Op::Jump(end));
            }
            PatternNode::Repeat { body, min, max, greed } => {
                if let PatternNode::Set(class) = &**body {
                    ops.push(Op::Repeat { class: class.clone(), min: *min, max: *max, greed: *greed });
                } else if *greed == Greed::Possessive {
                    let greedy = PatternNode::Repeat { body: body.clone(), min: *min, max: *max, greed: Greed::Greedy };
                    return PatternNode::Atomic(Box::new(greedy)).emit(ops);
                } else {
                    body.emit_group(ops, *min, *max, *greed == Greed::Lazy)?;
                }
            }
            PatternNode::Ahead { body, negate } => {
                let at = ops.len();
                ops.push(Op::Jump(0));
                body.emit(ops)?;
                ops.push(Op::Match);
                ops[at] = Op::Ahead { negate: *negate, end: ops.len() };
            }
            PatternNode::Behind { class, negate } => ops.push(Op::Behind { negate: *negate, class: class.clone() }),
            PatternNode::Atomic(body) => {
                let at = ops.len();
                ops.push(Op::Jump(0));
                body.emit(ops)?;
                ops.push(Op::Match);
                ops[at] = Op::Atomic { end: ops.len() };
            }
        }
        Ok(())
    }

    /// Appends a repeated group: `min` copies, then a loop or up to `max - min` copies that may be skipped.
    fn emit_group(&self, ops: &mut Vec<Op>, min: u32, max: u32, lazy: bool) -> Result<(), String> {
        let fork = |into: usize, past: usize| match lazy {
            false => Op::Fork { first: into, second: past },
            true => Op::Fork { first: past, second: into },
        };
        for _ in 0..min {
            self.emit(ops)?;
        }
        if max == u32::MAX {
            if self.empty() {
                return Err("repeats without limit what can be empty".into());
            }
            let start = ops.len();
            ops.push(Op::Jump(0));
            self.emit(ops)?;
            ops.push(Op::Jump(start));
            ops[start] = fork(start + 1, ops.len());
        } else {
            let mut forks = Vec::new();
            for _ in min..max {
                forks.push(ops.len());
                ops.push(Op::Jump(0));
                self.emit(ops)?;
            }
            let end = ops.len();
            forks.into_iter().for_each(|at| ops[at] = fork(at + 1, end));
        }
        Ok(())
    }
}
