//! Recorded JSON-RPC conversations (`.io` files), and how an answer is compared with the recorded one.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A conversation: requests with the answers that were recorded.
#[derive(Debug)]
pub(crate) struct IoCase {
    /// Folder and name, such as `eth_call/revert.io`.
    pub(crate) name: String,
    /// The answer says nothing of the values: only its form counts.
    pub(crate) form_only: bool,
    /// Requests and answers, as JSON text and value.
    pub(crate) turns: Vec<(String, Value)>,
}

impl IoCase {
    /// The method, after which the folder is named.
    pub(crate) fn method(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    fn parse(name: String, text: &str) -> Self {
        let mut case = Self {
            name,
            form_only: false,
            turns: Vec::new(),
        };
        let mut request = None;
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("//") {
                case.form_only |= comment.trim().starts_with("speconly:");
            } else if let Some(sent) = line.strip_prefix(">> ") {
                request = Some(sent.to_owned());
            } else if let Some(answer) = line.strip_prefix("<< ") {
                let request = request.take().expect("an answer follows a request");
                case.turns.push((request, serde_json::from_str(answer).unwrap()));
            }
        }
        case
    }
}

/// All cases below a folder, in the order of their paths.
pub(crate) fn cases(folder: &Path) -> Vec<IoCase> {
    let sorted = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let folders = sorted(folder).into_iter().filter(|path| path.is_dir());
    folders
        .flat_map(|folder| sorted(&folder))
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            IoCase::parse(name, &fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Where two answers differ first; nothing if they agree. Messages of errors are free.
pub(crate) fn difference(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(left), Value::Object(right)) => {
            let free = |key: &str| {
                key == "message"
                    && path.ends_with("error")
                    && left.contains_key(key)
                    && right.contains_key(key)
            };
            let missing = left.keys().find(|key| !right.contains_key(*key));
            let extra = right.keys().find(|key| !left.contains_key(*key));
            match (missing, extra) {
                (Some(key), _) => Some(format!("{path}.{key} is missing")),
                (_, Some(key)) => Some(format!("{path}.{key} is extra")),
                _ => left
                    .iter()
                    .filter(|(key, _)| !free(key))
                    .find_map(|(key, value)| difference(value, &right[key], &format!("{path}.{key}"))),
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .enumerate()
            .find_map(|(index, (left, right))| difference(left, right, &format!("{path}[{index}]"))),
        (left, right) if left == right => None,
        (left, right) => Some(format!("{path} is {}, expected {}", short(right), short(left))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

#[test]
fn answers_are_compared_by_value_but_for_messages_of_errors() {
    let differ = |left: &str, right: &str| {
        let [left, right] = [left, right].map(|text| serde_json::from_str(text).unwrap());
        difference(&left, &right, "")
    };
    assert_eq!(
        differ(r#"{"a":[1,{"b":"0x1"}]}"#, r#"{"a":[1,{"b":"0x1"}]}"#),
        None
    );
    let error = r#"{"error":{"code":3,"message":"one"}}"#;
    assert_eq!(differ(error, r#"{"error":{"code":3,"message":"two"}}"#), None);
    assert!(differ(error, r#"{"error":{"code":4,"message":"one"}}"#).is_some());
    for other in [r#"{"a":1,"b":2}"#, "{}", r#"{"a":2}"#, r#"{"a":[1]}"#] {
        assert!(differ(r#"{"a":1}"#, other).is_some(), "{other}");
    }
}

#[test]
fn a_conversation_is_read() {
    let text = "// speconly: the form alone\n>> {\"id\":1}\n<< {\"id\":1,\"result\":null}\n";
    let case = IoCase::parse("eth_x/y.io".to_owned(), text);
    assert_eq!(
        (case.method(), case.form_only, case.turns.len()),
        ("eth_x", true, 1)
    );
    assert_eq!(case.turns[0].0, "{\"id\":1}");
}
