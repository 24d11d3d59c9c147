//! The operand stack while a trace is built: which value each word is, and which one memory holds there.

use super::ir::{Expression, Value, Write};
use super::values::Values;

/// Words by position relative to the stack's height at the trace's start.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    now: Words,
    in_memory: Words,
    height: i16,
    lowest: i16,
    highest: i16,
    version: u16,
}

#[derive(Debug, Default)]
struct Words {
    above: Vec<Option<Value>>,
    below: Vec<Option<Value>>,
}

impl Words {
    fn get(&self, position: i16) -> Option<Value> {
        let (side, index) = self.place(position);
        side.get(index).copied().flatten()
    }

    fn set(&mut self, position: i16, value: Option<Value>) {
        let (side, index) = if position >= 0 {
            (&mut self.above, position as usize)
        } else {
            (&mut self.below, (-1 - position) as usize)
        };
        if side.len() <= index {
            side.resize(index + 1, None);
        }
        side[index] = value;
    }

    const fn place(&self, position: i16) -> (&Vec<Option<Value>>, usize) {
        if position >= 0 {
            (&self.above, position as usize)
        } else {
            (&self.below, (-1 - position) as usize)
        }
    }
}

impl Stack {
    pub(crate) const fn height(&self) -> i16 {
        self.height
    }

    pub(crate) const fn lowest(&self) -> i16 {
        self.lowest
    }

    pub(crate) const fn highest(&self) -> i16 {
        self.highest
    }

    pub(crate) fn push(&mut self, value: Value) {
        self.now.set(self.height, Some(value));
        self.height += 1;
        self.highest = self.highest.max(self.height);
    }

    pub(crate) fn pop(&mut self, values: &mut Values) -> Value {
        let value = self.peek(0, values);
        self.height -= 1;
        value
    }

    /// The word `depth` below the top.
    pub(crate) fn peek(&mut self, depth: u16, values: &mut Values) -> Value {
        let position = self.height - 1 - depth as i16;
        self.lowest = self.lowest.min(position);
        if let Some(value) = self.now.get(position) {
            return value;
        }
        let value = values.number(Expression::Slot { position, version: 0 });
        self.now.set(position, Some(value));
        self.in_memory.set(position, Some(value));
        value
    }

    /// Exchanges the words `first` and `second` below the top.
    pub(crate) fn exchange(&mut self, first: u16, second: u16, values: &mut Values) {
        let (upper, lower) = (self.peek(first, values), self.peek(second, values));
        self.now.set(self.height - 1 - first as i16, Some(lower));
        self.now.set(self.height - 1 - second as i16, Some(upper));
    }

    /// What has to be written so that memory has the words below `height`.
    pub(crate) fn stale(&self, height: i16) -> Vec<Write> {
        let range = self.lowest..height;
        range
            .filter_map(|position| {
                let value = self.now.get(position)?;
                (self.in_memory.get(position) != Some(value)).then_some(Write { position, value })
            })
            .collect()
    }

    /// The writes have been made.
    pub(crate) fn written(&mut self, writes: &[Write]) {
        for write in writes {
            self.in_memory.set(write.position, Some(write.value));
        }
    }

    /// An instruction of the table took `inputs` words and gave `outputs`, in memory.
    pub(crate) fn replaced_by_table(&mut self, inputs: u8, outputs: u8, values: &mut Values) {
        self.version += 1;
        self.height -= i16::from(inputs);
        self.lowest = self.lowest.min(self.height);
        for position in self.height..self.highest {
            self.in_memory.set(position, None);
        }
        for _ in 0..outputs {
            let position = self.height;
            let value = values.number(Expression::Slot {
                position,
                version: self.version,
            });
            self.push(value);
            self.in_memory.set(position, Some(value));
        }
    }

    /// The words below the start that are another value than at the start, with that one.
    pub(crate) fn changed(&self) -> Vec<(i16, Value)> {
        (self.lowest..0)
            .filter_map(|position| Some((position, self.now.get(position)?)))
            .collect()
    }
}
