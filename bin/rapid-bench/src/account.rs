//! Keys: the dev accounts of every local node, and fresh accounts derived from a seed.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, crypto::secp256k1};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use eyre::WrapErr;

/// The mnemonic whose first accounts every local development node funds.
pub(crate) const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// A secret key and its address.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    secret: B256,
    address: Address,
}

/// A signed transaction in its network form (EIP-2718).
#[derive(Clone, Debug)]
pub(crate) struct SignedTransaction {
    /// Transaction hash.
    pub(crate) hash: B256,
    /// The bytes that `eth_sendRawTransaction` takes.
    pub(crate) raw: Bytes,
}

impl Account {
    /// The `index`-th account of [`DEV_MNEMONIC`] on the usual path `m/44'/60'/0'/0/index`.
    ///
    /// # Errors
    /// Never in practice: the phrase is valid and so is every index of the path.
    pub(crate) fn dev(index: u32) -> eyre::Result<Self> {
        let signer = MnemonicBuilder::english()
            .phrase(DEV_MNEMONIC)
            .index(index)
            .and_then(|builder| builder.build())
            .wrap_err("deriving a dev account")?;
        Ok(Self {
            secret: signer.to_bytes(),
            address: signer.address(),
        })
    }

    /// The `index`-th account of `seed`: the same pair always gives the same key.
    pub(crate) fn seeded(seed: u64, index: u64) -> Self {
        let mut secret = keccak256(
            [
                b"rapid-bench account".as_slice(),
                &seed.to_be_bytes(),
                &index.to_be_bytes(),
            ]
            .concat(),
        );
        loop {
            // About one 256-bit string in 2^128 is no valid key; hashing again gives another one.
            match PrivateKeySigner::from_bytes(&secret) {
                Ok(signer) => {
                    return Self {
                        secret,
                        address: signer.address(),
                    };
                }
                Err(_) => secret = keccak256(secret),
            }
        }
    }

    /// The account's address.
    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    /// Signs `transaction` as it stands.
    pub(crate) fn sign(&self, transaction: TxEip1559) -> SignedTransaction {
        let signature = secp256k1::sign_message(self.secret, transaction.signature_hash())
            .expect("the constructors accept valid keys only");
        let envelope = TxEnvelope::Eip1559(transaction.into_signed(signature));
        SignedTransaction {
            hash: *envelope.tx_hash(),
            raw: envelope.encoded_2718().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_eips::eip2718::Decodable2718;
    use alloy_primitives::{TxKind, address};

    #[test]
    fn first_dev_account_is_the_well_known_one() {
        assert_eq!(
            Account::dev(0).unwrap().address(),
            address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
        );
    }

    #[test]
    fn seeded_accounts_differ_by_seed_and_index() {
        let all = [
            Account::seeded(1, 0),
            Account::seeded(1, 1),
            Account::seeded(2, 0),
        ];
        assert_ne!(all[0].address(), all[1].address());
        assert_ne!(all[0].address(), all[2].address());
        assert_eq!(all[0].address(), Account::seeded(1, 0).address());
    }

    #[test]
    fn signature_recovers_to_the_account() {
        let account = Account::seeded(7, 3);
        let signed = account.sign(TxEip1559 {
            chain_id: 1337,
            nonce: 5,
            gas_limit: 21_000,
            to: TxKind::Call(Address::ZERO),
            ..Default::default()
        });
        let decoded = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
        assert_eq!(decoded.recover_signer().unwrap(), account.address());
        assert_eq!(*decoded.tx_hash(), signed.hash);
    }
}
