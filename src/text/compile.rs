//! Parsed tokenizer patterns to instructions.

use super::class::Class;
use super::parse;
use super::pattern::{Greed, Op, Place};

/// A compiled pattern has no more instructions than this: counted repeats of groups are written out.
const SIZE: usize = 20_000;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Set(Class),
    At(Place),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat { body: Box<Node>, min: u32, max: u32, greed: Greed },
    Ahead { body: Box<Node>, negate: bool },
    Behind { class: Class, negate: bool },
    Atomic(Box<Node>),
}

/// The instructions of `source`; the error says what is not supported.
pub(super) fn compile(source: &str) -> Result<Vec<Op>, String> {
    let mut ops = Vec::new();
    parse::parse(source)?.emit(&mut ops)?;
    ops.push(Op::Match);
    Ok(ops)
}

impl Node {
    /// Whether it can match nothing.
    fn empty(&self) -> bool {
        match self {
            Node::Set(_) => false,
            Node::At(_) | Node::Ahead { .. } | Node::Behind { .. } => true,
            Node::Sequence(parts) => parts.iter().all(Node::empty),
            Node::Either(ways) => ways.iter().any(Node::empty),
            Node::Repeat { body, min, .. } => *min == 0 || body.empty(),
            Node::Atomic(body) => body.empty(),
        }
    }

    fn emit(&self, ops: &mut Vec<Op>) -> Result<(), String> {
        if ops.len() > SIZE {
            return Err("is too long".into());
        }
        match self {
            Node::Set(class) => ops.push(Op::Set(class.clone())),
            Node::At(place) => ops.push(Op::At(*place)),
            Node::Sequence(parts) => return parts.iter().try_for_each(|part| part.emit(ops)),
            Node::Either(ways) => {
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
            Node::Repeat { body, min, max, greed } => {
                if let Node::Set(class) = &**body {
                    ops.push(Op::Repeat { class: class.clone(), min: *min, max: *max, greed: *greed });
                } else if *greed == Greed::Possessive {
                    let greedy = Node::Repeat { body: body.clone(), min: *min, max: *max, greed: Greed::Greedy };
                    return Node::Atomic(Box::new(greedy)).emit(ops);
                } else {
                    body.emit_group(ops, *min, *max, *greed == Greed::Lazy)?;
                }
            }
            Node::Ahead { body, negate } => {
                let at = ops.len();
                ops.push(Op::Jump(0));
                body.emit(ops)?;
                ops.push(Op::Match);
                ops[at] = Op::Ahead { negate: *negate, end: ops.len() };
            }
            Node::Behind { class, negate } => ops.push(Op::Behind { negate: *negate, class: class.clone() }),
            Node::Atomic(body) => {
                let at = ops.len();
                ops.push(Op::Jump(0));
                body.emit(ops)?;
                ops.push(Op::Match);
                ops[at] = Op::Atomic { end: ops.len() };
            }
        }
        Ok(())
    }

    /// A repeated group: `min` copies, then a loop or up to `max - min` copies that may be skipped.
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
