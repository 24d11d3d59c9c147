//! What the log says of a consensus client and of what it has the node do.

use std::time::{Duration, Instant};

use alloy_rpc_types_engine::ForkchoiceState;
use rapid_engine::EngineEvent;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Interval, MissedTickBehavior},
};

use crate::events::{tell_block_added, tell_height, tell_reorganisation};

/// Time between two looks at whether the consensus client is there, as in reth.
const HEALTH_INTERVAL: Duration = Duration::from_secs(300);
/// Time without a fork choice after which that is told, as in reth: ten slots.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// Tells of everything the engine does, until it is gone.
pub(crate) async fn tell_engine(mut events: Receiver<EngineEvent>) {
    let mut ticks = ticks();
    let mut heard: Option<Instant> = None;
    // The same fork choice comes again and again: it is told once.
    let mut told: Option<ForkchoiceState> = None;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    if is_fork_choice(&event) {
                        heard = Some(Instant::now());
                    }
                    let taken = match &event {
                        EngineEvent::ForkchoiceUpdated(state) => Some(*state),
                        _ => None,
                    };
                    if taken.is_none() || taken != told {
                        tell(event);
                    }
                    told = taken.or(told);
                }
                // A log line is worth no queue: go on with what is newest.
                Err(RecvError::Lagged(_)) => heard = Some(Instant::now()),
                Err(RecvError::Closed) => return,
            },
            _ = ticks.tick() => {
                if let Some(complaint) = complaint(heard.map(|heard| heard.elapsed())) {
                    tracing::warn!(target: "reth_node_events::node", "{complaint}");
                }
            }
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + HEALTH_INTERVAL, HEALTH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What to say of a consensus client whose last fork choice came `silence` ago; `None` if there was none.
fn complaint(silence: Option<Duration>) -> Option<&'static str> {
    match silence {
        None => {
            Some("Post-merge network, but never seen beacon client. Please launch one to follow the chain!")
        }
        Some(silence) if silence > SILENCE_MAX => Some(
            "Beacon client online, but no consensus updates received for a while. This may be because of a problem \
             of this node or of the beacon client: please look at the logs of both",
        ),
        Some(_) => None,
    }
}

const fn is_fork_choice(event: &EngineEvent) -> bool {
    matches!(
        event,
        EngineEvent::ForkchoiceUpdated(_)
            | EngineEvent::ForkchoiceSyncing(_)
            | EngineEvent::ForkchoiceInvalid(_)
    )
}

fn tell(event: EngineEvent) {
    match event {
        EngineEvent::PayloadReceived { number, hash } => tracing::info!(
            target: "reth_node_events::node",
            number,
            ?hash,
            "Received new payload from consensus engine"
        ),
        EngineEvent::CanonicalBlockAdded { block, elapsed } => tell_block_added(&block, elapsed),
        EngineEvent::ForkBlockAdded { block, elapsed } => tracing::info!(
            target: "reth_node_events::node",
            number = block.number(),
            hash = ?block.hash,
            ?elapsed,
            "Block added to fork chain"
        ),
        EngineEvent::InvalidBlock { number, hash, reason } => tracing::warn!(
            target: "reth_node_events::node",
            number,
            ?hash,
            reason,
            "Encountered invalid block"
        ),
        EngineEvent::ForkchoiceUpdated(state) => tell_fork_choice(&state, "Forkchoice updated"),
        EngineEvent::ForkchoiceSyncing(state) => {
            tell_fork_choice(&state, "Received forkchoice updated message when syncing");
        }
        EngineEvent::ForkchoiceInvalid(state) => {
            tell_fork_choice(&state, "Received invalid forkchoice updated message");
        }
        EngineEvent::CanonicalChainCommitted {
            head,
            removed,
            elapsed,
        } => {
            tell_height(head.number());
            if removed > 0 {
                tell_reorganisation(removed);
            }
            tracing::info!(
                target: "reth_node_events::node",
                number = head.number(),
                hash = ?head.hash,
                removed,
                ?elapsed,
                "Canonical chain committed"
            );
        }
    }
}

fn tell_fork_choice(state: &ForkchoiceState, what: &'static str) {
    tracing::info!(
        target: "reth_node_events::node",
        head_block_hash = ?state.head_block_hash,
        safe_block_hash = ?state.safe_block_hash,
        finalized_block_hash = ?state.finalized_block_hash,
        "{what}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_consensus_client_is_told_of() {
        let said = |silence| complaint(silence).unwrap_or_default().split(',').next().unwrap();
        assert_eq!(said(None), "Post-merge network");
        assert_eq!(said(Some(SILENCE_MAX)), "");
        assert_eq!(
            said(Some(SILENCE_MAX + Duration::from_secs(1))),
            "Beacon client online"
        );
    }
}
