//! Tokens: many transfers in one call, and blocks of single transactions.

use super::artifact::{Argument, artifact, creation, input, word};
use crate::jit::workload::{CALLER, Call, Workload};
use alloy_primitives::{Address, B256, Bytes, U256, hex};

/// Transactions of a block of single transactions.
const TRANSACTIONS: u64 = 100;
/// Transfers in one call.
const TRANSFERS_IN_ONE: u64 = 1_000;
/// Enough of a token for everything.
const SUPPLY: U256 = U256::from_limbs([0, 1 << 60, 0, 0]);
/// In wei.
const ETHER: u64 = 1_000_000_000_000_000_000;

pub(super) fn workloads() -> eyre::Result<Vec<Workload>> {
    Ok(vec![
        transfer_loop("erc20_transfer_loop", artifact!("Erc20Loop"))?,
        transfer_loop("erc20_transfer_loop_ir", artifact!("Erc20LoopViaIr"))?,
        transfers("erc20_transfer", artifact!("Erc20"))?,
        transfers("erc20_transfer_ir", artifact!("Erc20ViaIr"))?,
        approvals()?,
        transfers_from()?,
        proxied("erc20_proxy_transfer", ProxyKind::Erc1167)?,
        proxied("erc20_push0_proxy_transfer", ProxyKind::Erc7511)?,
        wrapped_ether()?,
        airdrop()?,
        collectibles_batch()?,
        collectibles_single()?,
    ])
}

/// The holder with a number.
pub(super) fn holder(number: u64) -> Address {
    Address::from_word(B256::from(U256::from(0x0000_401d_e400_0000_u64 + number)))
}

/// Input of a transfer of a little.
pub(super) fn transfer(to: Address) -> Bytes {
    input("transfer(address,uint256)", &[to.into(), 5.into()])
}

/// Input of a mint of the supply.
pub(super) fn mint(to: Address) -> Bytes {
    input("mint(address,uint256)", &[to.into(), SUPPLY.into()])
}

fn transfer_loop(name: &str, code: &str) -> eyre::Result<Workload> {
    let mut workload = Workload::new(name);
    let token = workload.create(creation(code, &[])?);
    let data = input("run(uint256)", &[TRANSFERS_IN_ONE.into()]);
    workload.transactions.push(Call::to(token, data));
    Ok(workload)
}

/// A workload with a token of which the caller has the supply.
fn with_token(name: &str, code: &str) -> eyre::Result<(Workload, Address)> {
    let mut workload = Workload::new(name);
    let token = workload.create(creation(code, &[])?);
    workload.setup.push(Call::to(token, mint(CALLER)));
    Ok((workload, token))
}

fn transfers(name: &str, code: &str) -> eyre::Result<Workload> {
    let (mut workload, token) = with_token(name, code)?;
    workload.transactions = (0..TRANSACTIONS)
        .map(|number| Call::to(token, transfer(holder(number))))
        .collect();
    Ok(workload)
}

fn approve(spender: Address) -> Bytes {
    input("approve(address,uint256)", &[spender.into(), SUPPLY.into()])
}

fn approvals() -> eyre::Result<Workload> {
    let (mut workload, token) = with_token("erc20_approve", artifact!("Erc20"))?;
    workload.transactions = (0..TRANSACTIONS)
        .map(|number| Call::to(token, approve(holder(number))))
        .collect();
    Ok(workload)
}

fn transfers_from() -> eyre::Result<Workload> {
    let (mut workload, token) = with_token("erc20_transfer_from", artifact!("Erc20"))?;
    workload.setup.push(Call::to(token, approve(CALLER)));
    workload.transactions = (0..TRANSACTIONS)
        .map(|number| {
            let arguments = [CALLER.into(), holder(number).into(), 5.into()];
            Call::to(token, input("transferFrom(address,address,uint256)", &arguments))
        })
        .collect();
    Ok(workload)
}

#[derive(Clone, Copy)]
enum ProxyKind {
    Erc1167,
    Erc7511,
}

impl ProxyKind {
    /// The proxy's code as its ERC gives it (CC0).
    fn code(self, implementation: Address) -> Bytes {
        let (head, tail): (&[u8], &[u8]) = match self {
            Self::Erc1167 => (
                &hex!("363d3d373d3d3d363d73"),
                &hex!("5af43d82803e903d91602b57fd5bf3"),
            ),
            Self::Erc7511 => (
                &hex!("365f5f375f5f365f73"),
                &hex!("5af43d5f5f3e5f3d91602a57fd5bf3"),
            ),
        };
        [head, implementation.as_slice(), tail].concat().into()
    }
}

fn proxied(name: &str, kind: ProxyKind) -> eyre::Result<Workload> {
    let mut workload = Workload::new(name);
    let token = workload.create(creation(artifact!("Erc20"), &[])?);
    let proxy = workload.place(kind.code(token));
    workload.setup.push(Call::to(proxy, mint(CALLER)));
    workload.transactions = (0..TRANSACTIONS)
        .map(|number| Call::to(proxy, transfer(holder(number))))
        .collect();
    Ok(workload)
}

fn wrapped_ether() -> eyre::Result<Workload> {
    let mut workload = Workload::new("weth");
    let token = workload.create(creation(artifact!("WrappedEther"), &[])?);
    let deposit = Call::to(token, input("deposit()", &[])).with_value(U256::from(ETHER));
    let withdraw = Call::to(token, input("withdraw(uint256)", &[(ETHER / 2).into()]));
    workload.transactions = vec![deposit, Call::to(token, transfer(holder(1))), withdraw];
    Ok(workload.repeated(TRANSACTIONS as usize / 3))
}

fn airdrop() -> eyre::Result<Workload> {
    let (mut workload, token) = with_token("airdrop", artifact!("Erc20"))?;
    let airdrop = workload.create(creation(artifact!("Airdrop"), &[])?);
    workload.setup.push(Call::to(token, approve(airdrop)));
    let holders = (0..TRANSACTIONS).map(|number| word(holder(number))).collect();
    let values = (1..=TRANSACTIONS).map(U256::from).collect();
    let arguments = [token.into(), Argument::List(holders), Argument::List(values)];
    let data = input("drop(address,address[],uint256[])", &arguments);
    workload.transactions.push(Call::to(airdrop, data));
    Ok(workload)
}

fn collectibles_batch() -> eyre::Result<Workload> {
    let mut workload = Workload::new("erc721_mint_batch");
    let token = workload.create(creation(artifact!("Collectibles"), &[])?);
    let data = input("mint(uint256)", &[TRANSACTIONS.into()]);
    workload.transactions.push(Call::to(token, data));
    Ok(workload)
}

fn collectibles_single() -> eyre::Result<Workload> {
    let mut workload = Workload::new("erc721_mint_transfer");
    let token = workload.create(creation(artifact!("Collectibles"), &[])?);
    for id in 1..=TRANSACTIONS / 2 {
        let mint = input("mint(uint256)", &[1.into()]);
        let arguments = [CALLER.into(), holder(id).into(), id.into()];
        let transfer = input("transferFrom(address,address,uint256)", &arguments);
        workload
            .transactions
            .extend([mint, transfer].map(|data| Call::to(token, data)));
    }
    Ok(workload)
}
