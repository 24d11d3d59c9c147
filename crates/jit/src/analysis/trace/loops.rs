//! Traces that come back to their start, and what stays in registers from round to round.

use super::super::ir::{Carried, CarriedKind, Expression, Statement, Value, Write, WriteWhen};
use super::{Flow, TraceBuilder};

/// Registers for what stays in registers from one round of a loop to the next: all there are for values.
const CARRIED_REGISTERS: usize = 9;

impl TraceBuilder<'_, '_> {
    pub(super) fn repeat(&mut self) -> Flow {
        let mut writes = self.stack.stale(0);
        self.note_destinations(writes.iter().map(|write| write.value));
        if self.is_carriable {
            let carried = self.carried_words();
            writes.retain(|write| {
                !carried
                    .iter()
                    .any(|carried| carried.kind == CarriedKind::Word && carried.position == write.position)
            });
            carry(&carried, &mut self.statements);
            self.carried = carried;
        }
        self.define_new_values();
        self.close_section();
        self.statements.push(Statement::Repeat { writes });
        Flow::Ended
    }

    /// The words that stay in registers from round to round: of those that change, as many as there is room for. Counters
    /// come last: a round seldom waits for them.
    pub(super) fn carried_words(&mut self) -> Vec<Carried> {
        let mut carried = Vec::new();
        for (position, after) in self.stack.changed() {
            let before = self.values.number(Expression::Slot { position, version: 0 });
            if before != after {
                carried.push(Carried {
                    kind: self.carried_kind(before, after),
                    position,
                    before,
                    after,
                });
            }
        }
        carried.sort_by_key(|carried| carried.kind == CarriedKind::Counter);
        let mut room = CARRIED_REGISTERS;
        carried.retain(|carried| {
            let registers = match carried.kind {
                CarriedKind::Word => 4,
                CarriedKind::Counter => 1,
            };
            let fits = registers <= room;
            room -= if fits { registers } else { 0 };
            fits
        });
        carried
    }

    pub(super) fn carried_kind(&self, before: Value, after: Value) -> CarriedKind {
        let address = self.values.address(after);
        let is_counter = address.base == Some(before)
            && (address.displacement.bit_len() < 32 || self.values.is_decrement(after));
        if is_counter {
            CarriedKind::Counter
        } else {
            CarriedKind::Word
        }
    }
}

/// Memory does not have the carried words as long as nothing has written them: every way out writes those, too.
fn carry(carried: &[Carried], statements: &mut [Statement]) {
    let mut stale: Vec<Write> = carried
        .iter()
        .map(|carried| Write {
            position: carried.position,
            value: carried.before,
        })
        .collect();
    let add = |writes: &mut Vec<Write>, stale: &[Write]| {
        for write in stale {
            if writes.iter().all(|other| other.position != write.position) {
                writes.push(*write);
            }
        }
    };
    for statement in statements {
        match statement {
            Statement::Section(section) => {
                add(&mut section.writes, &stale);
                if section.when == WriteWhen::Always {
                    stale.clear();
                }
            }
            Statement::BranchIf { writes, .. } => add(writes, &stale),
            _ => {}
        }
    }
}
