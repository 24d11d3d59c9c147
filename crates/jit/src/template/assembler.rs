//! Machine code under construction: two streams of bytes, labels, and the references to be filled in.

/// A place in the code, known once it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(u32);

/// Which stream instructions go to. The cold one follows the hot one, so that what runs lies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Hot,
    Cold,
}

/// The streams and what is open in them.
#[derive(Debug)]
pub(super) struct Assembler {
    hot: Vec<u8>,
    cold: Vec<u8>,
    part: Part,
    labels: Vec<Position>,
    is_used: Vec<bool>,
    references: Vec<Reference>,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    part: Part,
    offset: u32,
}

const UNBOUND: Position = Position {
    part: Part::Hot,
    offset: u32::MAX,
};

/// Four bytes that get the distance to a label from the end of their instruction, added to what they hold.
#[derive(Clone, Copy, Debug)]
struct Reference {
    part: Part,
    offset: u32,
    /// Bytes of the instruction behind these four.
    behind: u8,
    label: Label,
}

/// Finished code.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) code: Vec<u8>,
    hot_len: u32,
    labels: Vec<Position>,
}

impl Assembler {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            hot: Vec::with_capacity(bytes),
            cold: Vec::with_capacity(bytes / 2),
            part: Part::Hot,
            labels: Vec::new(),
            is_used: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Where instructions go from now on; returns where they went.
    pub(super) const fn switch_to(&mut self, part: Part) -> Part {
        std::mem::replace(&mut self.part, part)
    }

    pub(super) fn new_label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        self.is_used.push(false);
        Label(self.labels.len() as u32 - 1)
    }

    pub(super) fn here(&mut self) -> Label {
        let label = self.new_label();
        self.bind(label);
        label
    }

    pub(super) fn bind(&mut self, label: Label) {
        let position = Position {
            part: self.part,
            offset: self.len() as u32,
        };
        debug_assert!(!self.is_bound(label), "a label is bound once");
        self.labels[label.0 as usize] = position;
    }

    pub(super) fn is_bound(&self, label: Label) -> bool {
        self.labels[label.0 as usize].offset != u32::MAX
    }

    /// Whether any instruction refers to it so far.
    pub(super) fn is_used(&self, label: Label) -> bool {
        self.is_used[label.0 as usize]
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        match self.part {
            Part::Hot => self.hot.extend_from_slice(bytes),
            Part::Cold => self.cold.extend_from_slice(bytes),
        }
    }

    const fn len(&self) -> usize {
        match self.part {
            Part::Hot => self.hot.len(),
            Part::Cold => self.cold.len(),
        }
    }

    /// The four bytes that end `behind` bytes before the current end refer to `label`.
    pub(super) fn refer(&mut self, label: Label, behind: u8) {
        self.is_used[label.0 as usize] = true;
        self.references.push(Reference {
            part: self.part,
            offset: self.len() as u32 - 4 - u32::from(behind),
            behind,
            label,
        });
    }

    /// Starts a short forward jump: `opcode` and a byte to be filled in.
    pub(super) fn short_jump(&mut self, opcode: u8) -> ShortJump {
        self.write(&[opcode, 0]);
        ShortJump(self.len())
    }

    /// The jump arrives here.
    pub(super) fn land(&mut self, jump: ShortJump) {
        let distance = self.len() - jump.0;
        debug_assert!(distance < 128, "short jumps are within one operation");
        match self.part {
            Part::Hot => self.hot[jump.0 - 1] = distance as u8,
            Part::Cold => self.cold[jump.0 - 1] = distance as u8,
        }
    }

    /// Puts the streams together and fills in the references.
    pub(super) fn finish(self) -> Assembled {
        let hot_len = self.hot.len() as u32;
        let mut code = self.hot;
        code.extend_from_slice(&self.cold);
        let mut assembled = Assembled {
            code,
            hot_len,
            labels: self.labels,
        };
        for reference in &self.references {
            assembled.fill_in(reference);
        }
        assembled
    }
}

/// A short jump whose target is not known yet.
#[derive(Debug)]
#[must_use]
pub(super) struct ShortJump(usize);

impl Assembled {
    pub(super) fn offset_of(&self, label: Label) -> u32 {
        let position = self.labels[label.0 as usize];
        debug_assert_ne!(position.offset, u32::MAX, "every label in use is bound");
        self.absolute(position.part, position.offset)
    }

    const fn absolute(&self, part: Part, offset: u32) -> u32 {
        match part {
            Part::Hot => offset,
            Part::Cold => self.hot_len + offset,
        }
    }

    fn fill_in(&mut self, reference: &Reference) {
        let at = self.absolute(reference.part, reference.offset);
        let end = at + 4 + u32::from(reference.behind);
        let distance = self.offset_of(reference.label).wrapping_sub(end);
        let Some(field) = self.code[at as usize..].first_chunk_mut::<4>() else {
            return debug_assert!(false, "references lie within the code");
        };
        *field = u32::from_le_bytes(*field).wrapping_add(distance).to_le_bytes();
    }
}
