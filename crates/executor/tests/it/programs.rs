//! Random contracts over few keys, and random transactions among few accounts.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4895::Withdrawal, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use rapid_primitives::{AccountChange, CodeChange, TransactionSigned};

use crate::{
    bed::{BENEFICIARY, Bed, Fork},
    dice::Dice,
};

/// Contracts that call each other.
const CONTRACTS: [Address; 4] = [
    Address::repeat_byte(0xc0),
    Address::repeat_byte(0xc1),
    Address::repeat_byte(0xc2),
    Address::repeat_byte(0xc3),
];

/// Where requests of builders are collected (EIP-8282).
const BUILDER_CONTRACTS: [Address; 2] = [
    address!("0x0000bFF46984e3725691FA540a8C7589300D8282"),
    address!("0x000064D678505ad48F8cCb093BC65613800E8282"),
];

/// Accounts that send.
const SENDERS: u64 = 5;

/// Init codes short enough for one word: what they store, what they become, whom they leave their value to.
const INITS: [&[u8]; 6] = [
    // Stores 1 in slot 1, becomes nothing.
    &hex!("6001600155"),
    // Becomes a contract that destroys itself for its caller.
    &hex!("6133ff6000526002601ef3"),
    // Destroys itself at once.
    &hex!("33ff"),
    // Stores in slot 0, then fails.
    &hex!("600260005560006000fd"),
    // Stores its value in slot 2 and becomes a contract that stores what it is sent in slot 2.
    &hex!("3460025563346002556000526004601cf3"),
    // Does not know an instruction.
    &hex!("fe"),
];

fn key(sender: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(sender + 1))).unwrap()
}

/// Addresses that programs and transactions name.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    keys: Vec<PrivateKeySigner>,
    all: Vec<Address>,
}

impl Cast {
    fn new() -> Self {
        let keys: Vec<_> = (0..SENDERS).map(key).collect();
        let mut all: Vec<Address> = CONTRACTS.to_vec();
        all.extend(keys.iter().map(PrivateKeySigner::address));
        all.extend([
            BENEFICIARY,
            Address::with_last_byte(4),
            Address::repeat_byte(0xee),
        ]);
        // What contracts may create.
        for init in INITS {
            all.push(CONTRACTS[0].create2(B256::ZERO, keccak256(init)));
        }
        Self { keys, all }
    }
}

/// Code being written.
struct Writer<'a> {
    code: Vec<u8>,
    dice: &'a mut Dice,
    cast: &'a Cast,
}

impl Writer<'_> {
    fn push_small(&mut self, value: u64) {
        self.code.extend([0x60, value as u8]);
    }

    fn push_address(&mut self, address: Address) {
        self.code.push(0x73);
        self.code.extend(address);
    }

    fn any_address(&mut self) -> Address {
        self.dice.of(&self.cast.all)
    }

    /// Leaves a value on the stack.
    fn value(&mut self) {
        match self.dice.below(9) {
            0..=1 => {
                let value = self.dice.below(3);
                self.push_small(value);
            }
            2..=4 => {
                let slot = self.dice.below(3);
                self.push_small(slot);
                self.code.push(0x54);
                self.push_small(1);
                self.code.push(0x01);
            }
            5 => {
                let address = self.any_address();
                self.push_address(address);
                self.code.push(0x31);
            }
            6 => {
                let address = self.any_address();
                self.push_address(address);
                // EXTCODESIZE, EXTCODEHASH came later.
                self.code.push(0x3b);
            }
            7 => self.code.push(0x34),
            // The balance of the beneficiary.
            _ => self.code.extend([0x41, 0x31]),
        }
    }

    fn statement(&mut self) {
        match self.dice.below(16) {
            0..=5 => {
                self.value();
                let slot = self.dice.below(3);
                self.push_small(slot);
                self.code.push(0x55);
            }
            6..=8 => self.call(),
            9 => self.create(0xf0),
            10..=11 => self.create(0xf5),
            12 => {
                self.value();
                self.push_small(0);
                self.code.push(0x52);
                self.value();
                self.code.extend([0x60, 0x20, 0x60, 0x00, 0xa1]);
            }
            13 => self.unless_odd(Self::statement),
            14 => self.unless_odd(|writer| {
                let heir = writer.any_address();
                writer.push_address(heir);
                writer.code.push(0xff);
            }),
            _ => self.unless_odd(|writer| writer.code.extend([0x60, 0x00, 0x60, 0x00, 0xfd])),
        }
    }

    fn call(&mut self) {
        let callee = self.any_address();
        let kind = self.dice.of(&[0xf1, 0xf1, 0xf1, 0xf4, 0xfa, 0xf2]);
        for _ in 0..4 {
            self.push_small(0);
        }
        if matches!(kind, 0xf1 | 0xf2) {
            let value = self.dice.below(3);
            self.push_small(value);
        }
        self.push_address(callee);
        // Half of the gas, so that what calls itself ends.
        self.code.extend([0x60, 0x02, 0x5a, 0x04, kind, 0x50]);
    }

    fn create(&mut self, kind: u8) {
        let init = self.dice.of(&INITS);
        self.code.push(0x5f + init.len() as u8);
        self.code.extend(init);
        self.push_small(0);
        self.code.push(0x52);
        if kind == 0xf5 {
            self.push_small(0);
        }
        self.push_small(init.len() as u64);
        self.push_small(32 - init.len() as u64);
        let value = self.dice.below(2);
        self.push_small(value);
        self.code.extend([kind, 0x50]);
    }

    /// Something that is skipped while slot 0 is odd.
    fn unless_odd(&mut self, then: impl FnOnce(&mut Self)) {
        self.code.extend([0x60, 0x00, 0x54, 0x60, 0x01, 0x16, 0x61]);
        let target = self.code.len();
        self.code.extend([0, 0, 0x57]);
        then(self);
        let here = (self.code.len() as u16).to_be_bytes();
        self.code[target..target + 2].copy_from_slice(&here);
        self.code.push(0x5b);
    }
}

fn program(dice: &mut Dice, cast: &Cast) -> Vec<u8> {
    let mut writer = Writer {
        code: Vec::new(),
        dice,
        cast,
    };
    for _ in 0..1 + writer.dice.below(5) {
        writer.statement();
    }
    writer.code
}

fn contract(address: Address, code: &[u8]) -> AccountChange {
    AccountChange {
        nonce: Some(1),
        code: Some(CodeChange::new(Bytes::copy_from_slice(code))),
        ..AccountChange::new(address)
    }
}

/// What a block calls before and after its transactions.
pub(crate) fn system_contracts() -> [AccountChange; 5] {
    // Counts the calls.
    let counter = hex!("600054600101600055");
    [
        contract(HISTORY_STORAGE_ADDRESS, &hex!("60003560005500")),
        contract(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &counter),
        contract(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &counter),
        contract(BUILDER_CONTRACTS[0], &counter),
        contract(BUILDER_CONTRACTS[1], &counter),
    ]
}

fn accounts(dice: &mut Dice, cast: &Cast) -> Vec<AccountChange> {
    let mut accounts = Vec::new();
    for address in CONTRACTS {
        let slots = (0..3)
            .filter(|_| dice.one_in(2))
            .map(U256::from)
            .map(|slot| (slot, slot + U256::ONE));
        accounts.push(AccountChange {
            balance: Some(U256::from(3)),
            storage: slots.collect(),
            ..contract(address, &program(dice, cast))
        });
    }
    for key in &cast.keys {
        // Some run out of money.
        let balance = if dice.one_in(12) { 60_000_000_u64 } else { 1 << 60 };
        accounts.push(AccountChange {
            balance: Some(U256::from(balance)),
            ..AccountChange::new(key.address())
        });
    }
    // Some of what may be created has money already.
    for address in &cast.all[cast.all.len() - INITS.len()..] {
        if dice.one_in(3) {
            accounts.push(AccountChange {
                balance: Some(U256::from(2)),
                ..AccountChange::new(*address)
            });
        }
    }
    accounts.extend(system_contracts());
    // Halves get different kinds of accounts.
    for last in (1..accounts.len()).rev() {
        accounts.swap(last, dice.below(last as u64 + 1) as usize);
    }
    accounts
}

/// Makes transactions; senders are said, so nobody looks at signatures but those of authorizations.
struct Maker<'a> {
    dice: &'a mut Dice,
    cast: &'a Cast,
    fork: Fork,
    nonces: Vec<u64>,
}

impl Maker<'_> {
    fn transaction(&mut self) -> (TransactionSigned, Address) {
        let sender = self.dice.below(SENDERS) as usize;
        let nonce = self.nonces[sender];
        self.nonces[sender] += 1;
        // A gap makes the block invalid.
        let nonce = nonce + u64::from(self.dice.one_in(400));
        let address = self.cast.keys[sender].address();
        let gas_limit = self
            .dice
            .of(&[21_000, 60_000, 100_000, 300_000, 300_000, 1_000_000]);
        let value = U256::from(self.dice.below(4));
        let signature = Signature::new(U256::ONE, U256::ONE, false);
        let modern = self.fork as u8 >= Fork::London as u8;
        let to = self.dice.of(&self.cast.all);
        let kind = if self.dice.one_in(12) {
            TxKind::Create
        } else {
            to.into()
        };
        // Too little for what it is: an invalid transaction, and with it the block.
        let needed = if kind.is_create() { 100_000 } else { 30_000 };
        let gas_limit = if self.dice.one_in(200) {
            gas_limit
        } else {
            gas_limit.max(needed)
        };
        let input = match kind {
            TxKind::Create => Bytes::from_static(self.dice.of(&INITS)),
            TxKind::Call(_) if self.dice.one_in(4) => Bytes::from_static(&[1]),
            TxKind::Call(_) => Bytes::new(),
        };
        if self.fork as u8 >= Fork::Osaka as u8 && self.dice.one_in(10) {
            return (self.delegating(nonce, to, value), address);
        }
        let transaction: TransactionSigned = if modern && self.dice.one_in(2) {
            TxEip1559 {
                chain_id: 9,
                nonce,
                gas_limit,
                max_fee_per_gas: 20,
                max_priority_fee_per_gas: u128::from(self.dice.below(3)),
                to: kind,
                value,
                input,
                ..TxEip1559::default()
            }
            .into_signed(signature)
            .into()
        } else {
            TxLegacy {
                nonce,
                gas_price: 7 + u128::from(self.dice.below(4)),
                gas_limit,
                to: kind,
                value,
                input,
                ..TxLegacy::default()
            }
            .into_signed(signature)
            .into()
        };
        (transaction, address)
    }

    fn delegating(&mut self, nonce: u64, to: Address, value: U256) -> TransactionSigned {
        let authorizations = (0..1 + self.dice.below(2)).map(|_| {
            let authority = self.dice.below(SENDERS) as usize;
            let valid = !self.dice.one_in(3);
            let authorization = Authorization {
                chain_id: U256::from(9 * self.dice.below(2)),
                address: self
                    .dice
                    .of(&[Address::ZERO, CONTRACTS[0], CONTRACTS[1], BENEFICIARY]),
                nonce: self.nonces[authority] + u64::from(!valid),
            };
            self.nonces[authority] += u64::from(valid);
            let signature = self.cast.keys[authority]
                .sign_hash_sync(&authorization.signature_hash())
                .unwrap();
            authorization.into_signed(signature)
        });
        let authorization_list = authorizations.collect();
        TxEip7702 {
            chain_id: 9,
            nonce,
            gas_limit: 300_000,
            max_fee_per_gas: 20,
            max_priority_fee_per_gas: 1,
            to,
            value,
            authorization_list,
            ..TxEip7702::default()
        }
        .into_signed(Signature::new(U256::ONE, U256::ONE, false))
        .into()
    }
}

/// A block of so many random transactions. Whether it is valid is left to chance, mostly it is.
pub(crate) fn random_block(seed: u64, fork: Fork, count: u64) -> Bed {
    let mut dice = Dice::new(seed);
    let cast = Cast::new();
    let mut bed = Bed::new(fork, &accounts(&mut dice, &cast));
    let mut maker = Maker {
        dice: &mut dice,
        cast: &cast,
        fork,
        nonces: vec![0; SENDERS as usize],
    };
    for _ in 0..count {
        let (transaction, sender) = maker.transaction();
        bed.push(transaction, sender);
    }
    if let Some(withdrawals) = &mut bed.withdrawals {
        for index in 0..dice.below(3) {
            withdrawals.push(Withdrawal {
                index,
                address: dice.of(&cast.all),
                amount: dice.below(3),
                ..Withdrawal::default()
            });
        }
    }
    bed
}
