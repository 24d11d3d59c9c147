//! The ledgers against a running node.
