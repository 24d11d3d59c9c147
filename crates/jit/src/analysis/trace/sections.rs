//! Sections: gas paid ahead, and where exits go back to.

use super::super::{
    exit_at,
    ir::{Expression, Row, Section, Statement, Value, WriteWhen},
};
use super::TraceBuilder;
use crate::ExitReason;

/// Dynamic gas of one instruction that is paid with its section at most.
const DYNAMIC_GAS_MAX: u64 = 1 << 20;

/// The section that instructions are being added to.
#[derive(Debug, Default)]
pub(super) struct OpenSection {
    /// Index of its statement.
    pub(super) statement: usize,
    pub(super) gas: u32,
    /// Where exits within it go back to.
    pub(super) rollback: Rollback,
    /// Rows of this section, with the gas paid before them.
    pub(super) rows: Vec<(Row, u32)>,
    pub(super) gas_reads: Vec<(Value, u32)>,
}

/// A point whose state is in memory, or is brought there if it is needed.
#[derive(Debug, Default)]
pub(super) struct Rollback {
    pub(super) pc: usize,
    pub(super) height: i16,
    pub(super) gas_before: u32,
    pub(super) row: Option<Row>,
    /// Whether memory has the state of this point. At the start of a section that is not so even if nothing is to be written:
    /// a loop that carries words adds these ([`carry`]).
    pub(super) is_written: bool,
}

impl TraceBuilder<'_, '_> {
    pub(super) fn open_section(&mut self) {
        let height = self.stack.height();
        let row = self.analyser.row(exit_at(self.pc, height, ExitReason::Gas));
        let writes = self.stack.stale(height);
        self.section = OpenSection {
            statement: self.statements.len(),
            gas: 0,
            rollback: Rollback {
                pc: self.pc,
                height,
                gas_before: 0,
                row: None,
                is_written: false,
            },
            rows: Vec::new(),
            gas_reads: Vec::new(),
        };
        self.memory.forget_reads();
        self.statements.push(Statement::Section(Section {
            gas: 0,
            row,
            writes,
            when: WriteWhen::OnExit,
        }));
    }

    /// The section's gas is known now.
    pub(super) fn close_section(&mut self) {
        let section = std::mem::take(&mut self.section);
        if let Statement::Section(open) = &mut self.statements[section.statement] {
            open.gas = section.gas;
            self.analyser.refund(open.row, section.gas);
        }
        for (row, gas_before) in section.rows {
            self.analyser.refund(row, section.gas - gas_before);
        }
        for (value, gas_before) in section.gas_reads {
            if let Expression::GasLeft { paid_ahead, .. } = self.values.expression_mut(value) {
                *paid_ahead = section.gas - gas_before;
            }
        }
    }

    /// The row that exits within the section go back to now.
    pub(super) fn rollback_row(&mut self) -> Row {
        if !self.section.rollback.is_written {
            self.section.rollback.is_written = true;
            if let Statement::Section(section) = &mut self.statements[self.section.statement] {
                section.when = WriteWhen::Always;
                self.stack.written(&section.writes);
            }
        }
        let rollback = &mut self.section.rollback;
        if let Some(row) = rollback.row {
            return row;
        }
        let row = self
            .analyser
            .row(exit_at(rollback.pc, rollback.height, ExitReason::Memory));
        rollback.row = Some(row);
        self.section.rows.push((row, rollback.gas_before));
        row
    }

    pub(super) fn write_stack(&mut self) {
        self.write_stack_from(i16::MIN);
    }

    /// Brings the words from a position on up to date in memory.
    pub(super) fn write_stack_from(&mut self, lowest: i16) {
        let mut writes = self.stack.stale(self.stack.height());
        writes.retain(|write| write.position >= lowest);
        self.note_destinations(writes.iter().map(|write| write.value));
        self.stack.written(&writes);
        self.statements.extend(writes.into_iter().map(Statement::Write));
    }
}

/// Dynamic gas that a section pays, if it is no more than is sure to fit the 32 bits of a section's sum: a chain can have
/// parameters of its own.
pub(super) const fn paid_ahead(gas: u64) -> Option<u32> {
    if gas <= DYNAMIC_GAS_MAX {
        Some(gas as u32)
    } else {
        None
    }
}
