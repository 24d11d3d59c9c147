//! Priority lanes.

use std::time::Duration;

use alloy_primitives::Address;
use clap::Args;
use rapid_pool::{AGEING_MAX, Lane, LaneConfig};

use super::time;

/// Bounds of `--lane.share`: a lane that has every other transaction is hardly below, and one in a million is none.
const SHARE_MIN: u32 = 2;
const SHARE_MAX: u32 = 1_000_000;

/// Shortest `--lane.ageing`: what is due after every transaction is not below.
const AGEING_MIN: Duration = Duration::from_millis(1);

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

    /// What a lane gets at least while those above it are full, as LANE=1/N, comma separated: one transaction in N, with N
    /// from 2 to 1000000. Not for lane system, which is above all.
    ///
    /// Default: critical=1/4,paid=1/8,normal=1/16,bulk=1/32.
    #[arg(long = "lane.share", value_name = "LANE=1/N", value_delimiter = ',', value_parser = lane_share)]
    pub(crate) share: Vec<(Lane, u32)>,

    /// How long a lane may have something and not be served before it is served whatever its share says, as LANE=TIME, comma
    /// separated, from 1ms to 1s. Not for lane system, which is above all.
    ///
    /// Default: 1s for every lane.
    #[arg(long = "lane.ageing", value_name = "LANE=TIME", value_delimiter = ',', value_parser = lane_ageing)]
    pub(crate) ageing: Vec<(Lane, Duration)>,
}

impl LaneArgs {
    /// The pool's lanes.
    pub(crate) fn config(&self) -> LaneConfig {
        let mut config = LaneConfig {
            senders: self.sender.iter().copied().collect(),
            targets: self.target.iter().copied().collect(),
            paid_tip_min: self.paid_tip,
            ..LaneConfig::default()
        };
        for (lane, one_in) in &self.share {
            config.passed_over_max[lane.index()] = one_in - 1;
        }
        for (lane, ageing) in &self.ageing {
            config.ageing[lane.index()] = *ageing;
        }
        config
    }
}

fn account_lane(text: &str) -> Result<(Address, Lane), String> {
    let (address, lane) = text.split_once('=').ok_or("ADDRESS=LANE")?;
    let address = address.parse().map_err(|error| format!("{address}: {error}"))?;
    Ok((address, lane_of(lane)?))
}

fn lane_share(text: &str) -> Result<(Lane, u32), String> {
    let (lane, share) = text.split_once('=').ok_or("LANE=1/N")?;
    let one_in = share
        .strip_prefix("1/")
        .and_then(|one_in| one_in.parse().ok())
        .filter(|one_in| (SHARE_MIN..=SHARE_MAX).contains(one_in))
        .ok_or_else(|| format!("`{share}` is not 1/N with N from {SHARE_MIN} to {SHARE_MAX}"))?;
    Ok((lane_below(lane)?, one_in))
}

fn lane_ageing(text: &str) -> Result<(Lane, Duration), String> {
    let (lane, ageing) = text.split_once('=').ok_or("LANE=TIME")?;
    let ageing = time::human(ageing)?;
    if !(AGEING_MIN..=AGEING_MAX).contains(&ageing) {
        return Err("from 1ms to 1s".to_owned());
    }
    Ok((lane_below(lane)?, ageing))
}

fn lane_below(name: &str) -> Result<Lane, String> {
    match lane_of(name)? {
        Lane::System => Err("lane system is above all and needs neither share nor ageing".to_owned()),
        lane => Ok(lane),
    }
}

fn lane_of(name: &str) -> Result<Lane, String> {
    Lane::ALL
        .into_iter()
        .find(|known| known.name() == name)
        .ok_or_else(|| format!("no lane `{name}`: system, critical, paid, normal or bulk"))
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

    #[test]
    fn shares_and_ageing_reach_the_lanes_and_are_bounded() {
        let config = LaneArgs {
            share: vec![lane_share("bulk=1/100").unwrap()],
            ageing: vec![lane_ageing("normal=250ms").unwrap()],
            ..LaneArgs::default()
        }
        .config();
        let defaults = LaneConfig::default();
        assert_eq!(config.passed_over_max[Lane::Bulk.index()], 99);
        assert_eq!(
            config.passed_over_max[Lane::Paid.index()],
            defaults.passed_over_max[Lane::Paid.index()]
        );
        assert_eq!(config.ageing[Lane::Normal.index()], Duration::from_millis(250));
        assert_eq!(
            config.ageing[Lane::Bulk.index()],
            defaults.ageing[Lane::Bulk.index()]
        );
        for wrong in [
            "bulk",
            "bulk=2",
            "bulk=1/1",
            "bulk=1/1000001",
            "bulk=1/x",
            "system=1/4",
            "fast=1/4",
        ] {
            assert!(lane_share(wrong).is_err(), "{wrong}");
        }
        for wrong in ["bulk", "bulk=2", "bulk=0s", "bulk=1001ms", "system=1s", "fast=1s"] {
            assert!(lane_ageing(wrong).is_err(), "{wrong}");
        }
    }
}
