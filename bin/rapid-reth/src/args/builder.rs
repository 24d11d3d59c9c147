//! What goes into the blocks this node makes.

use alloy_primitives::Bytes;
use clap::Args;

/// Bytes of extra data a header may have.
const EXTRA_DATA_MAX: usize = 32;

/// Gas limit and extra data.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Builder")]
pub(crate) struct BuilderArgs {
    /// Extra data of each block: text, or 0x and hexadecimal digits; 32 bytes at most.
    ///
    /// Default: the client's name, version and operating system.
    #[arg(long = "builder.extradata", value_name = "EXTRA_DATA", value_parser = extra_data)]
    pub(crate) extra_data: Option<Bytes>,

    /// Gas limit the blocks move towards.
    ///
    /// Default: that of the parent, which keeps the limit as it is.
    #[arg(long = "builder.gaslimit", alias = "miner.gaslimit", value_name = "GAS_LIMIT")]
    pub(crate) gas_limit: Option<u64>,
}

fn extra_data(text: &str) -> Result<Bytes, String> {
    let bytes: Bytes = match text.strip_prefix("0x") {
        Some(_) => text.parse().map_err(|error| format!("{error}"))?,
        None => text.as_bytes().to_vec().into(),
    };
    if bytes.len() > EXTRA_DATA_MAX {
        return Err(format!("{} bytes; a header holds {EXTRA_DATA_MAX}", bytes.len()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_data_is_text_or_bytes_and_bounded() {
        assert_eq!(extra_data("abc").unwrap(), Bytes::from_static(b"abc"));
        assert_eq!(extra_data("0x616263").unwrap(), Bytes::from_static(b"abc"));
        assert!(extra_data("0xzz").is_err());
        assert!(extra_data(&"x".repeat(33)).is_err());
    }
}
