//! Which values of a trace are needed, and where next.

use crate::analysis::ir::{Binary, Expression, Statement, Target, Trace, Unary, Value, ValueData, Write};

/// The uses of each value in the order of the trace, each the index of a statement.
#[derive(Debug, Default)]
pub(super) struct Uses {
    heads: Vec<u32>,
    nodes: Vec<Node>,
    deferred: Vec<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    at: u32,
    kind: Use,
    next: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Word,
    /// Only whether it is zero.
    Condition,
}

const NONE: u32 = u32::MAX;

impl Uses {
    /// Finds the uses in a trace.
    pub(super) fn find(&mut self, trace: &Trace) {
        self.heads.clear();
        self.heads.resize(trace.values.len(), NONE);
        self.nodes.clear();
        self.deferred.clear();
        self.deferred.resize(trace.values.len(), false);
        for (index, statement) in trace.statements.iter().enumerate().rev() {
            let index = index as u32;
            match statement {
                Statement::Section(section) => self.writes(trace, &section.writes, index),
                Statement::Define(value) => self.definition(trace, *value, index),
                Statement::Write(write) => self.word(trace, write.value, index),
                Statement::Touch { offset, .. } => self.word(trace, *offset, index),
                Statement::Store { offset, value } | Statement::StoreByte { offset, value } => {
                    self.word(trace, *offset, index);
                    self.word(trace, *value, index);
                }
                Statement::Table { .. } => {}
                Statement::BranchIf {
                    condition,
                    writes,
                    target,
                } => {
                    self.add(trace, *condition, index, Use::Condition);
                    self.writes(trace, writes, index);
                    self.target(trace, target, index);
                }
                Statement::Jump(target) => self.target(trace, target, index),
                Statement::Repeat { writes } => {
                    self.writes(trace, writes, index);
                    for carried in &trace.carried {
                        self.word(trace, carried.after, index);
                    }
                }
            }
        }
    }

    fn writes(&mut self, trace: &Trace, writes: &[Write], at: u32) {
        for write in writes {
            self.word(trace, write.value, at);
        }
    }

    fn target(&mut self, trace: &Trace, target: &Target, at: u32) {
        if let Target::Dynamic { pc, .. } = target {
            self.word(trace, *pc, at);
        }
    }

    fn definition(&mut self, trace: &Trace, value: Value, index: u32) {
        let head = self.heads[value.0 as usize];
        let Some(&node) = self.nodes.get(head as usize) else {
            return;
        };
        let data = &trace.values[value.0 as usize];
        let (at, operand) = if node.next == NONE && node.kind == Use::Condition && is_condition(data) {
            self.deferred[value.0 as usize] = true;
            (node.at, Use::Condition)
        } else {
            (index, Use::Word)
        };
        match data.expression {
            Expression::Unary(Unary::IsZero, a) => self.add(trace, a, at, operand),
            expression => {
                for operand in operands(&expression).into_iter().flatten() {
                    self.word(trace, operand, at);
                }
            }
        }
    }

    fn word(&mut self, trace: &Trace, value: Value, at: u32) {
        self.add(trace, value, at, Use::Word);
    }

    fn add(&mut self, trace: &Trace, value: Value, at: u32, kind: Use) {
        if matches!(trace.values[value.0 as usize].expression, Expression::Constant(_)) {
            return;
        }
        let new = self.nodes.len() as u32;
        let mut before = NONE;
        let mut next = self.heads[value.0 as usize];
        while next != NONE && self.nodes[next as usize].at < at {
            before = next;
            next = self.nodes[next as usize].next;
        }
        self.nodes.push(Node { at, kind, next });
        if before == NONE {
            self.heads[value.0 as usize] = new;
        } else {
            self.nodes[before as usize].next = new;
        }
    }

    /// Whether the value is used at all, seen from its definition.
    pub(super) fn is_needed(&self, value: Value) -> bool {
        self.heads[value.0 as usize] != NONE
    }

    /// Whether the value is not computed where it is defined, but as the condition of its only use.
    pub(super) fn is_deferred(&self, value: Value) -> bool {
        self.deferred[value.0 as usize]
    }

    /// The first use behind a statement. Earlier ones are forgotten.
    pub(super) fn next_after(&mut self, value: Value, at: u32) -> Option<u32> {
        let head = &mut self.heads[value.0 as usize];
        while let Some(node) = self.nodes.get(*head as usize) {
            if node.at > at {
                return Some(node.at);
            }
            *head = node.next;
        }
        None
    }
}

fn is_condition(data: &ValueData) -> bool {
    matches!(
        data.expression,
        Expression::Unary(Unary::IsZero, _)
            | Expression::Binary(
                Binary::Lt | Binary::Gt | Binary::Slt | Binary::Sgt | Binary::Eq,
                _,
                _
            )
    )
}

/// The values that an expression is made of.
pub(super) const fn operands(expression: &Expression) -> [Option<Value>; 3] {
    match *expression {
        Expression::Constant(_)
        | Expression::Slot { .. }
        | Expression::Environment(_)
        | Expression::MemorySize { .. }
        | Expression::GasLeft { .. } => [None; 3],
        Expression::Unary(_, a) | Expression::CalldataWord(a) => [Some(a), None, None],
        Expression::MemoryWord { offset, .. } | Expression::Keccak { offset, .. } => {
            [Some(offset), None, None]
        }
        Expression::Binary(_, a, b) => [Some(a), Some(b), None],
        Expression::Ternary(_, a, b, c) => [Some(a), Some(b), Some(c)],
    }
}
