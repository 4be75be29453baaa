//! Tree -> operations.

use super::run::Run;
use super::{Matched, Op, Program};
use crate::pipeline::grok::class::Class;
use crate::pipeline::grok::tree::{How, Node};

/// Operations of one rule; counted repetitions are written out.
const MAX_OPS: usize = 20_000;

/// Compiles a tree whose captures are numbered below `captures`.
pub(crate) fn emit(node: &Node, captures: usize) -> Result<Program, String> {
    let mut emitter = Emitter { ops: Vec::new(), slots: captures };
    emitter.node(node)?;
    emitter.ops.push(Op::End);
    Ok(Program::new(emitter.ops, emitter.slots))
}

struct Emitter {
    ops: Vec<Op>,
    slots: usize,
}

impl Emitter {
    fn push(&mut self, op: Op) -> Result<usize, String> {
        if self.ops.len() >= MAX_OPS {
            return Err(format!("larger than {MAX_OPS} operations: use smaller counts"));
        }
        self.ops.push(op);
        Ok(self.ops.len() - 1)
    }

    fn node(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Empty => {}
            Node::Char { character, any_case } => self.character(*character, *any_case)?,
            Node::Set(class) => self.run((**class).clone(), 1, 1, How::Greedy)?,
            Node::Exact(exact) => {
                let (exact, gives_back) = (exact.clone(), exact.gives_back());
                self.push(Op::Match(Box::new(Matched { exact, gives_back, slot: None })))?;
            }
            Node::Sequence(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    // Text after a group is a literal of its own: the group may jump to its end.
                    let joins = index > 0 && matches!(nodes[index - 1], Node::Char { .. });
                    match node {
                        Node::Char { character, any_case } if joins => {
                            self.join(*character, *any_case)?;
                        }
                        other => self.node(other)?,
                    }
                }
            }
            Node::Either(nodes) => self.either(nodes)?,
            Node::Repeat { node, min, max, how } => self.repeat(node, *min, *max, *how)?,
            Node::Capture(slot, node) => self.capture(*slot, node)?,
            Node::Atomic(node) => self.inner(Op::Atomic { end: 0 }, node)?,
            Node::Ahead { node, negated } => {
                self.inner(Op::Ahead { end: 0, negated: *negated }, node)?;
            }
            Node::Behind { node, negated } => {
                let (low, high) = node.width();
                let high = high.unwrap_or(low);
                self.inner(Op::Behind { end: 0, low, high, negated: *negated }, node)?;
            }
            Node::Same(slot) => drop(self.push(Op::Same(*slot))?),
            Node::WordEdge { negated } => {
                self.push(Op::WordEdge { negated: *negated })?;
            }
            Node::Start => drop(self.push(Op::Start)?),
            Node::End => drop(self.push(Op::AtEnd)?),
        }
        Ok(())
    }

    /// A run or a matcher remembers itself; anything else between two operations.
    fn capture(&mut self, slot: usize, node: &Node) -> Result<(), String> {
        let open = self.push(Op::Open(slot))?;
        self.node(node)?;
        if self.ops.len() == open + 2 {
            let own = match self.ops.last_mut() {
                Some(Op::Run(run)) => Some(&mut run.slot),
                Some(Op::Match(matched)) => Some(&mut matched.slot),
                _ => None,
            };
            if let Some(own) = own.filter(|own| own.is_none()) {
                *own = Some(slot);
                self.ops.remove(open);
                return Ok(());
            }
        }
        self.push(Op::Close(slot))?;
        Ok(())
    }

    fn character(&mut self, character: char, any_case: bool) -> Result<(), String> {
        self.push(if any_case {
            Op::AnyCase([fold(character)].into())
        } else {
            Op::Literal(character.to_string().into())
        })?;
        Ok(())
    }

    /// Adds a character to the literal before it.
    fn join(&mut self, character: char, any_case: bool) -> Result<(), String> {
        match self.ops.last_mut() {
            Some(Op::AnyCase(text)) if any_case => {
                *text = text.iter().copied().chain([fold(character)]).collect();
                Ok(())
            }
            Some(Op::Literal(text)) if !any_case => {
                let mut longer = String::from(std::mem::take(text));
                longer.push(character);
                *text = longer.into();
                Ok(())
            }
            _ => self.character(character, any_case),
        }
    }

    fn run(&mut self, class: Class, min: usize, max: usize, how: How) -> Result<(), String> {
        self.push(Op::Run(Box::new(Run::new(class, min, max, how))))?;
        Ok(())
    }

    /// A program inside the program, up to `Done`.
    fn inner(&mut self, op: Op, node: &Node) -> Result<(), String> {
        let start = self.push(op)?;
        self.node(node)?;
        self.push(Op::Done)?;
        let here = self.ops.len();
        if let Op::Atomic { end } | Op::Ahead { end, .. } | Op::Behind { end, .. } =
            &mut self.ops[start]
        {
            *end = here;
        }
        Ok(())
    }

    fn either(&mut self, nodes: &[Node]) -> Result<(), String> {
        let mut jumps = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let last = index + 1 == nodes.len();
            let split = if last { None } else { Some(self.push(Op::Jump(0))?) };
            self.node(node)?;
            if let Some(split) = split {
                jumps.push(self.push(Op::Jump(0))?);
                self.ops[split] = Op::Split { first: split + 1, second: self.ops.len() };
            }
        }
        let end = self.ops.len();
        jumps.into_iter().for_each(|jump| self.ops[jump] = Op::Jump(end));
        Ok(())
    }

    fn repeat(&mut self, node: &Node, min: usize, max: usize, how: How) -> Result<(), String> {
        if let Some(class) = single(node) {
            return self.run(class, min, max, how);
        }
        // What reads nothing reads nothing the second time, too.
        let empty = node.width().1 == Some(0);
        let (min, max) = if empty { (min.min(1), max.min(1)) } else { (min, max) };
        if how == How::Possessive {
            let greedy = Node::Repeat { node: Box::new(node.clone()), min, max, how: How::Greedy };
            return self.inner(Op::Atomic { end: 0 }, &greedy);
        }
        for _ in 0..min {
            self.node(node)?;
        }
        if max == usize::MAX {
            return self.forever(node, how);
        }
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(Op::Jump(0))?);
            self.node(node)?;
        }
        let end = self.ops.len();
        splits.into_iter().for_each(|split| self.ops[split] = choice(split + 1, end, how));
        Ok(())
    }

    /// `node*`.
    fn forever(&mut self, node: &Node, how: How) -> Result<(), String> {
        let split = self.push(Op::Jump(0))?;
        let progress = if node.width().0 == 0 {
            self.slots += 1;
            self.push(Op::Mark(self.slots - 1))?;
            self.node(node)?;
            Some(self.push(Op::Progress { mark: self.slots - 1, exit: 0 })?)
        } else {
            self.node(node)?;
            None
        };
        self.push(Op::Jump(split))?;
        let end = self.ops.len();
        self.ops[split] = choice(split + 1, end, how);
        if let Some(Op::Progress { exit, .. }) = progress.map(|at| &mut self.ops[at]) {
            *exit = end;
        }
        Ok(())
    }
}

fn choice(inside: usize, outside: usize, how: How) -> Op {
    match how {
        How::Lazy => Op::Split { first: outside, second: inside },
        _ => Op::Split { first: inside, second: outside },
    }
}

/// The set a node of one character stands for.
fn single(node: &Node) -> Option<Class> {
    match node {
        Node::Set(class) => Some((**class).clone()),
        Node::Char { character, any_case } => {
            let mut class = Class::none();
            class.add_range(*character, *character);
            if *any_case {
                class.add_other_case();
                let mut others = character.to_lowercase().chain(character.to_uppercase());
                others.by_ref().for_each(|other| class.add_range(other, other));
            }
            Some(class)
        }
        _ => None,
    }
}

/// One-to-one lower case; the few characters that lower to several keep the first.
pub(crate) fn fold(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}
