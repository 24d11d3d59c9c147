//! Cuts a byte stream into JSON messages: objects and arrays that follow each other, with or without white space.

/// A message is larger than allowed. The rest of the stream cannot be trusted to start at a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message is larger than {0} bytes")]
pub(crate) struct MessageTooLarge(pub(crate) usize);

/// Incremental cutter. Bytes go in as they arrive, whole messages come out, whatever the chunks were.
///
/// What is not an object or an array is cut at the next line end, so that it is answered as a parse error and the
/// stream goes on.
#[derive(Debug)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    /// Where the message begins that is being looked at.
    start: usize,
    /// Where the bytes begin that were not looked at yet.
    scanned: usize,
    state: State,
    max_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between messages.
    Between,
    /// Inside an object or array with so many brackets open.
    Nested { depth: usize, text: Text },
    /// Inside something that is no message.
    Garbage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

impl Framer {
    pub(crate) const fn new(max_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            state: State::Between,
            max_bytes,
        }
    }

    /// Adds bytes that arrived.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        // What was cut off already goes here, once per chunk and not once per message.
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole message, if it has arrived.
    ///
    /// # Errors
    /// [`MessageTooLarge`] as soon as a message exceeds the bound, complete or not.
    pub(crate) fn next_message(&mut self) -> Result<Option<&[u8]>, MessageTooLarge> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            self.scanned += 1;
            if self.state == State::Between && byte.is_ascii_whitespace() {
                self.start = self.scanned;
                continue;
            }
            if self.scanned - self.start > self.max_bytes {
                return Err(MessageTooLarge(self.max_bytes));
            }
            self.state = step(self.state, byte);
            if self.state == State::Between {
                let start = std::mem::replace(&mut self.start, self.scanned);
                return Ok(Some(&self.buffer[start..self.scanned]));
            }
        }
        Ok(None)
    }
}

/// The state after a byte; [`State::Between`] means that the byte ended a message.
const fn step(state: State, byte: u8) -> State {
    match (state, byte) {
        (State::Between, b'{' | b'[') => State::Nested {
            depth: 1,
            text: Text::Outside,
        },
        (State::Between | State::Garbage, b'\n') => State::Between,
        (State::Between | State::Garbage, _) => State::Garbage,
        (
            State::Nested {
                depth,
                text: Text::Escaped,
            },
            _,
        ) => State::Nested {
            depth,
            text: Text::Inside,
        },
        (
            State::Nested {
                depth,
                text: Text::Inside,
            },
            b'\\',
        ) => State::Nested {
            depth,
            text: Text::Escaped,
        },
        (
            State::Nested {
                depth,
                text: Text::Inside,
            },
            b'"',
        ) => State::Nested {
            depth,
            text: Text::Outside,
        },
        (
            State::Nested {
                depth,
                text: Text::Outside,
            },
            b'"',
        ) => State::Nested {
            depth,
            text: Text::Inside,
        },
        (
            State::Nested {
                depth,
                text: Text::Outside,
            },
            b'{' | b'[',
        ) => State::Nested {
            depth: depth + 1,
            text: Text::Outside,
        },
        (
            State::Nested {
                depth: 1,
                text: Text::Outside,
            },
            b'}' | b']',
        ) => State::Between,
        (
            State::Nested {
                depth,
                text: Text::Outside,
            },
            b'}' | b']',
        ) => State::Nested {
            depth: depth - 1,
            text: Text::Outside,
        },
        (nested, _) => nested,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(framer: &mut Framer) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| framer.next_message().unwrap().map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn messages_follow_each_other_with_and_without_space() {
        let mut framer = Framer::new(1 << 20);
        framer.push(
            br#"{"a":"}{\"["}[1,[2]]  
	{"b":{}}nonsense }
{"c":1}"#,
        );
        let messages: Vec<_> = drain(&mut framer)
            .into_iter()
            .map(|m| String::from_utf8(m).unwrap())
            .collect();
        assert_eq!(
            messages,
            [
                r#"{"a":"}{\"["}"#,
                "[1,[2]]",
                r#"{"b":{}}"#,
                "nonsense }\n",
                r#"{"c":1}"#
            ]
        );
    }

    #[test]
    fn a_message_over_the_bound_is_refused_before_it_is_complete() {
        let mut framer = Framer::new(8);
        framer.push(b"  [1,2,3]");
        assert_eq!(framer.next_message(), Ok(Some(&b"[1,2,3]"[..])));
        framer.push(b"[1,2,3,4");
        assert_eq!(framer.next_message(), Ok(None));
        framer.push(b",");
        assert_eq!(framer.next_message(), Err(MessageTooLarge(8)));
    }

    #[test]
    fn white_space_does_not_pile_up() {
        let mut framer = Framer::new(8);
        for _ in 0..100 {
            framer.push(b"      \n");
            assert_eq!(framer.next_message(), Ok(None));
        }
        assert!(framer.buffer.len() < 8);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            ".{0,12}".prop_map(serde_json::Value::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a-z\"\\\\{}]{0,4}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(
            values in prop::collection::vec((json(), "[ \n\t]{0,3}"), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let expected: Vec<Vec<u8>> =
                values.iter().map(|(value, _)| serde_json::json!([value]).to_string().into_bytes()).collect();
            let mut stream = Vec::new();
            for (message, (_, space)) in expected.iter().zip(&values) {
                stream.extend_from_slice(message);
                stream.extend_from_slice(space.as_bytes());
            }
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            ends.push(stream.len());
            ends.sort_unstable();
            let mut framer = Framer::new(1 << 20);
            let mut found = Vec::new();
            let mut start = 0;
            for end in ends {
                framer.push(&stream[start..end]);
                found.extend(drain(&mut framer));
                start = end;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
