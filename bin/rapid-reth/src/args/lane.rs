//! Priority lanes.

use alloy_primitives::Address;
use clap::Args;
use rapid_pool::{Lane, LaneConfig};

/// Who goes first under load. The first rule that matches decides: sender, then target, then tip.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Lanes")]
pub(crate) struct LaneArgs {
    /// Lanes by sender, as ADDRESS=LANE, comma separated; LANE is system, critical, paid, normal or bulk.
    #[arg(long = "lane.sender", value_name = "ADDRESS=LANE", value_delimiter = ',', value_parser = account_lane)]
    pub(crate) sender: Vec<(Address, Lane)>,

    /// Lanes by recipient, as ADDRESS=LANE, comma separated.
    #[arg(long = "lane.target", value_name = "ADDRESS=LANE", value_delimiter = ',', value_parser = account_lane)]
    pub(crate) target: Vec<(Address, Lane)>,

    /// Tip in wei per gas from which a transaction goes to lane `paid`.
    ///
    /// Default: none, so that nothing does.
    #[arg(long = "lane.paid-tip", value_name = "WEI")]
    pub(crate) paid_tip: Option<u128>,
}

impl LaneArgs {
    /// The pool's lanes.
    pub(crate) fn config(&self) -> LaneConfig {
        LaneConfig {
            senders: self.sender.iter().copied().collect(),
            targets: self.target.iter().copied().collect(),
            paid_tip_min: self.paid_tip,
            ..LaneConfig::default()
        }
    }
}

fn account_lane(text: &str) -> Result<(Address, Lane), String> {
    let (address, lane) = text.split_once('=').ok_or("ADDRESS=LANE")?;
    let address = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let lane = Lane::ALL
        .into_iter()
        .find(|known| known.name() == lane)
        .ok_or_else(|| format!("no lane `{lane}`: system, critical, paid, normal or bulk"))?;
    Ok((address, lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_given_its_lane_by_name() {
        let address = Address::repeat_byte(0x11);
        assert_eq!(
            account_lane(&format!("{address}=bulk")),
            Ok((address, Lane::Bulk))
        );
        for wrong in ["", "0x11=bulk", &format!("{address}"), &format!("{address}=fast")] {
            assert!(account_lane(wrong).is_err(), "{wrong}");
        }
    }
}
