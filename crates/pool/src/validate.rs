//! The rules a transaction must meet on its own, and against its sender's account.

use alloy_consensus::Transaction;
use alloy_eips::eip2718::{
    EIP1559_TX_TYPE_ID, EIP2930_TX_TYPE_ID, EIP7702_TX_TYPE_ID, LEGACY_TX_TYPE_ID, Typed2718,
};
use alloy_primitives::{Address, KECCAK256_EMPTY, U256};
use rapid_primitives::{Account, ReadState};
use revm::{
    context_interface::cfg::gas_params::{Eip2780TxInfo, GasParams},
    primitives::{eip3860, eip7825, eip7954, hardfork::SpecId},
};

use crate::{HeadInfo, PoolConfig, PoolError, PooledTransaction};

/// What the pool needs of a sender's account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderAccount {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    /// The account's code is a delegation (EIP-7702).
    pub(crate) delegated: bool,
}

impl SenderAccount {
    /// An account that does not exist.
    pub(crate) const EMPTY: Self = Self {
        nonce: 0,
        balance: U256::ZERO,
        delegated: false,
    };
}

/// Checks everything that needs no state, in reth's order.
pub(crate) fn check_alone(
    transaction: &PooledTransaction,
    head: &HeadInfo,
    config: &PoolConfig,
    local: bool,
) -> Result<(), PoolError> {
    let tx = transaction.transaction();
    check_type(tx.ty(), head.spec)?;
    if tx.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    let size = transaction.encoded_len();
    if size > config.transaction_bytes_max {
        return Err(PoolError::Oversized {
            size,
            limit: config.transaction_bytes_max,
        });
    }
    check_initcode(transaction, head.spec)?;
    if tx.gas_limit() > head.gas_limit {
        return Err(PoolError::ExceedsBlockGasLimit);
    }
    if config.transaction_gas_max.is_some_and(|max| tx.gas_limit() > max) {
        return Err(PoolError::ExceedsTransactionGasLimit);
    }
    if tx.is_dynamic_fee() && tx.max_priority_fee_per_gas() > Some(tx.max_fee_per_gas()) {
        return Err(PoolError::TipAboveFeeCap);
    }
    check_price(transaction, config, local)?;
    if tx.chain_id().is_some_and(|id| id != config.chain_id) {
        return Err(PoolError::InvalidChainId);
    }
    if tx.is_eip7702() && tx.authorization_count().unwrap_or_default() == 0 {
        return Err(PoolError::AuthorizationListEmpty);
    }
    check_intrinsic_gas(transaction, head.spec)?;
    // From Amsterdam the limit may be higher: what is above the cap pays for state (EIP-8037).
    let capped = head.spec.is_enabled_in(SpecId::OSAKA) && !head.spec.is_enabled_in(SpecId::AMSTERDAM);
    if capped && tx.gas_limit() > eip7825::TX_GAS_LIMIT_CAP {
        return Err(PoolError::GasLimitTooHigh);
    }
    if transaction.fee_cap() < config.minimal_protocol_fee {
        return Err(PoolError::Underpriced);
    }
    Ok(())
}

fn check_type(ty: u8, spec: SpecId) -> Result<(), PoolError> {
    let since = match ty {
        LEGACY_TX_TYPE_ID => SpecId::FRONTIER,
        EIP2930_TX_TYPE_ID => SpecId::BERLIN,
        EIP1559_TX_TYPE_ID => SpecId::LONDON,
        EIP7702_TX_TYPE_ID => SpecId::PRAGUE,
        _ => return Err(PoolError::TypeNotSupported),
    };
    if spec.is_enabled_in(since) {
        Ok(())
    } else {
        Err(PoolError::TypeNotSupported)
    }
}

fn check_initcode(transaction: &PooledTransaction, spec: SpecId) -> Result<(), PoolError> {
    if !spec.is_enabled_in(SpecId::SHANGHAI) || !transaction.transaction().is_create() {
        return Ok(());
    }
    let max = if spec.is_enabled_in(SpecId::AMSTERDAM) {
        eip7954::MAX_INITCODE_SIZE
    } else {
        eip3860::MAX_INITCODE_SIZE
    };
    if transaction.transaction().input().len() > max {
        Err(PoolError::InitcodeTooLarge)
    } else {
        Ok(())
    }
}

fn check_price(transaction: &PooledTransaction, config: &PoolConfig, local: bool) -> Result<(), PoolError> {
    let tx = transaction.transaction();
    if local {
        let fee = transaction.cost().saturating_sub(tx.value());
        if config.local_fee_cap != 0 && fee > U256::from(config.local_fee_cap) {
            return Err(PoolError::ExceedsFeeCap {
                fee,
                cap: config.local_fee_cap,
            });
        }
    } else if let Some(minimum) = config.minimum_priority_fee
        && tx.is_dynamic_fee()
        && transaction.tip_cap() < minimum
    {
        return Err(PoolError::TipBelowMinimum { minimum });
    }
    Ok(())
}

/// Intrinsic gas (EIP-2, 2028, 2930, 3860, 7702, 2780) and calldata floor (EIP-7623), as revm counts them.
fn check_intrinsic_gas(transaction: &PooledTransaction, spec: SpecId) -> Result<(), PoolError> {
    let tx = transaction.transaction();
    let (addresses, keys) = tx.access_list().map_or((0, 0), |list| {
        (
            list.0.len(),
            list.0.iter().map(|item| item.storage_keys.len()).sum(),
        )
    });
    let transfer = spec.is_enabled_in(SpecId::AMSTERDAM).then(|| Eip2780TxInfo {
        value: tx.value(),
        is_self_transfer: tx.to() == Some(transaction.sender()),
    });
    let gas = GasParams::new_spec(spec).initial_tx_gas(
        tx.input(),
        tx.is_create(),
        addresses as u64,
        keys as u64,
        tx.authorization_count().unwrap_or_default(),
        transfer,
    );
    let floor = if spec.is_enabled_in(SpecId::PRAGUE) {
        gas.floor_gas()
    } else {
        0
    };
    let least = gas.initial_total_gas().max(floor);
    let too_low = tx.gas_limit() < least
        || (spec.is_enabled_in(SpecId::AMSTERDAM)
            && gas.initial_regular_gas().max(floor) > eip7825::TX_GAS_LIMIT_CAP);
    if too_low {
        Err(PoolError::IntrinsicGasTooLow)
    } else {
        Ok(())
    }
}

/// Reads the sender's account and checks that it may send at all (EIP-3607).
pub(crate) fn read_sender<S: ReadState>(sender: &Address, accounts: &S) -> Result<SenderAccount, PoolError> {
    let unavailable = |error: S::Error| PoolError::StateUnavailable(error.to_string());
    let Account {
        nonce,
        balance,
        code_hash,
    } = accounts.account(sender).map_err(unavailable)?.unwrap_or_default();
    let delegated = code_hash != KECCAK256_EMPTY;
    if delegated {
        let code = accounts.code(&code_hash).map_err(unavailable)?;
        if !code.is_some_and(|code| code.is_eip7702()) {
            return Err(PoolError::SenderNotEoa);
        }
    }
    Ok(SenderAccount {
        nonce,
        balance,
        delegated,
    })
}

/// Checks a transaction against its sender's account alone.
pub(crate) fn check_account(
    transaction: &PooledTransaction,
    account: &SenderAccount,
) -> Result<(), PoolError> {
    let nonce = transaction.nonce();
    if nonce < account.nonce {
        return Err(PoolError::NonceTooLow {
            next: account.nonce,
            nonce,
        });
    }
    if transaction.cost() > account.balance {
        return Err(PoolError::InsufficientFunds {
            cost: transaction.cost(),
            balance: account.balance,
        });
    }
    Ok(())
}
