//! The plain transfer: ether from one account to another without code, by which half of a chain's transactions are made.
//!
//! Entering the EVM costs several times what such a transaction does, so it is done by hand where nothing about it is unusual.
//! Whatever is left to the EVM ([`None`]), also everything that is invalid: the EVM says why.

use alloy_consensus::{Transaction, TxType};
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_primitives::{Address, KECCAK256_EMPTY, TxKind, U256};
use rapid_primitives::{Account, AccountChange, BlockEnvironment, TransactionSigned};
use revm::{
    context_interface::result::{ExecutionResult, Output, ResultGas, SuccessReason},
    primitives::hardfork::SpecId,
};

/// Gas of a transaction that does nothing else (yellow paper, appendix G).
const TRANSFER_GAS: u64 = 21_000;

/// Precompiles and system addresses that begin with zeros: all that there are or may be do so in 18 bytes.
const RESERVED_PREFIX: [u8; 18] = [0; 18];

/// What of a block decides about plain transfers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferRules {
    chain_id: u64,
    base_fee: u64,
    beneficiary: Address,
    /// Gas a transaction may ask for.
    gas_limit_max: u64,
}

/// What a plain transfer does, but for the recipient's balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The sender afterwards.
    pub(crate) sender: AccountChange,
    pub(crate) to: Address,
    pub(crate) value: U256,
    /// What the beneficiary is owed in wei.
    pub(crate) fee: U256,
}

impl TransferRules {
    /// The rules of a block; `None` before Shanghai, which has what is not worth doing by hand, and from Amsterdam on, where a
    /// transfer has a log (EIP-7708), a price that depends on whether there is a recipient (EIP-2780, EIP-8037), and a
    /// recipient that has to be in the access list with its balance (EIP-7928): it would have to be read after all.
    pub(crate) fn of(environment: &BlockEnvironment, chain_id: u64, fork: SpecId) -> Option<Self> {
        if !fork.is_enabled_in(SpecId::SHANGHAI) || fork.is_enabled_in(SpecId::AMSTERDAM) {
            return None;
        }
        let cap = if fork.is_enabled_in(SpecId::OSAKA) {
            MAX_TX_GAS_LIMIT_OSAKA
        } else {
            u64::MAX
        };
        Some(Self {
            chain_id,
            base_fee: environment.base_fee_per_gas?,
            beneficiary: environment.beneficiary,
            gas_limit_max: cap.min(environment.gas_limit),
        })
    }

    /// Who gets the ether, if a transaction looks like a plain transfer.
    pub(crate) fn recipient(&self, transaction: &TransactionSigned, sender: Address) -> Option<Address> {
        let TxKind::Call(to) = transaction.kind() else {
            return None;
        };
        let plain = matches!(
            transaction.tx_type(),
            TxType::Legacy | TxType::Eip2930 | TxType::Eip1559
        ) && transaction.input().is_empty()
            && transaction.access_list().is_none_or(|list| list.is_empty());
        let usual = to != sender
            && to != self.beneficiary
            && sender != self.beneficiary
            && to.0[..RESERVED_PREFIX.len()] != RESERVED_PREFIX;
        (plain && usual).then_some(to)
    }

    /// What the transfer does to an account that may send it; `None` if it may not, or if the EVM has to say so.
    pub(crate) fn transfer(
        &self,
        transaction: &TransactionSigned,
        sender: Address,
        to: Address,
        before: &Account,
    ) -> Option<Transfer> {
        let (gas_limit, nonce) = (transaction.gas_limit(), transaction.nonce());
        let (fee_cap, base_fee) = (transaction.max_fee_per_gas(), u128::from(self.base_fee));
        let tip_cap = transaction.max_priority_fee_per_gas();
        let valid = transaction.chain_id() == Some(self.chain_id)
            && (TRANSFER_GAS..=self.gas_limit_max).contains(&gas_limit)
            && fee_cap >= base_fee
            && tip_cap.is_none_or(|tip| tip <= fee_cap)
            && before.code_hash == KECCAK256_EMPTY
            && before.nonce == nonce
            && nonce < u64::MAX - 1;
        if !valid {
            return None;
        }
        let most = U256::from(fee_cap)
            .checked_mul(U256::from(gas_limit))?
            .checked_add(transaction.value())?;
        if before.balance < most {
            return None;
        }
        let price = transaction.effective_gas_price(Some(self.base_fee));
        let paid = U256::from(price) * U256::from(TRANSFER_GAS);
        let change = AccountChange {
            nonce: Some(nonce + 1),
            balance: Some(before.balance - paid - transaction.value())
                .filter(|balance| *balance != before.balance),
            ..AccountChange::new(sender)
        };
        Some(Transfer {
            sender: change,
            to,
            value: transaction.value(),
            fee: U256::from(price - base_fee) * U256::from(TRANSFER_GAS),
        })
    }
}

/// Whether ether can be given to an account without running anything or clearing it (EIP-161).
pub(crate) fn may_receive(account: Option<&Account>) -> bool {
    account.is_none_or(|account| account.code_hash == KECCAK256_EMPTY && !account.is_empty())
}

/// The result of every plain transfer.
pub(crate) fn result() -> ExecutionResult {
    ExecutionResult::Success {
        reason: SuccessReason::Stop,
        gas: ResultGas::default().with_total_gas_spent(TRANSFER_GAS),
        logs: Vec::new(),
        output: Output::Call(alloy_primitives::Bytes::new()),
    }
}
