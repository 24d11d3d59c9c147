//! Pools that swap tokens.

use super::artifact::{Argument, artifact, creation, input, word};
use crate::jit::workload::{CALLER, Call, Workload};
use alloy_primitives::{Address, U256};

/// Swaps, each a transaction or two.
const SWAPS: u64 = 50;
/// One whole token.
const WHOLE: u64 = 1_000_000_000_000_000_000;

pub(super) fn workloads() -> eyre::Result<Vec<Workload>> {
    Ok(vec![
        pair()?,
        router()?,
        concentrated("concentrated_swap", "swap(bool,uint256)", Sell::Once)?,
        concentrated("concentrated_swap_loop", "run(uint256,uint256)", Sell::Loop)?,
        stable_single()?,
        stable_loop()?,
    ])
}

/// So many whole tokens.
fn whole(count: u64) -> U256 {
    U256::from(count) * U256::from(WHOLE)
}

fn mint(token: Address, to: Address, amount: U256) -> Call {
    Call::to(token, input("mint(address,uint256)", &[to.into(), amount.into()]))
}

/// A token of which the caller has plenty.
fn token(workload: &mut Workload) -> eyre::Result<Address> {
    let token = workload.create(creation(artifact!("Erc20"), &[])?);
    workload.setup.push(mint(token, CALLER, whole(1_000_000_000)));
    Ok(token)
}

/// A pair with reserves.
fn constant_product(workload: &mut Workload, token0: Address, token1: Address) -> eyre::Result<Address> {
    let code = creation(artifact!("ConstantProductPair"), &[token0.into(), token1.into()])?;
    let pair = workload.create(code);
    workload.setup.extend([
        mint(token0, pair, whole(1_000_000)),
        mint(token1, pair, whole(2_000_000)),
        Call::to(pair, input("sync()", &[])),
    ]);
    Ok(pair)
}

/// Pays in and swaps, in two transactions.
fn pair() -> eyre::Result<Workload> {
    let mut workload = Workload::new("pair_swap");
    let (token0, token1) = (token(&mut workload)?, token(&mut workload)?);
    let pair = constant_product(&mut workload, token0, token1)?;
    let pay = input("transfer(address,uint256)", &[pair.into(), whole(1).into()]);
    // Of two that are worth it: the price falls with every swap.
    let swap = input(
        "swap(uint256,uint256,address)",
        &[0.into(), WHOLE.into(), CALLER.into()],
    );
    workload.transactions = vec![Call::to(token0, pay), Call::to(pair, swap)];
    Ok(workload.repeated(SWAPS as usize))
}

fn router() -> eyre::Result<Workload> {
    let mut workload = Workload::new("router_swap");
    let swap = routed_swap(&mut workload)?;
    workload.transactions.push(swap);
    Ok(workload.repeated(SWAPS as usize))
}

/// Sets up a router and two pairs, and says how to swap over both.
pub(super) fn routed_swap(workload: &mut Workload) -> eyre::Result<Call> {
    let tokens = [token(workload)?, token(workload)?, token(workload)?];
    let pairs = [
        constant_product(workload, tokens[0], tokens[1])?,
        constant_product(workload, tokens[1], tokens[2])?,
    ];
    let router = workload.create(creation(artifact!("ConstantProductRouter"), &[])?);
    let approve = input("approve(address,uint256)", &[router.into(), U256::MAX.into()]);
    workload.setup.push(Call::to(tokens[0], approve));
    let arguments = [
        WHOLE.into(),
        1.into(),
        tokens[0].into(),
        Argument::List(pairs.map(word).to_vec()),
        CALLER.into(),
        u64::MAX.into(),
    ];
    let data = input(
        "swap(uint256,uint256,address,address[],address,uint256)",
        &arguments,
    );
    Ok(Call::to(router, data))
}

#[derive(Clone, Copy)]
enum Sell {
    Once,
    Loop,
}

fn concentrated(name: &str, signature: &str, sell: Sell) -> eyre::Result<Workload> {
    let mut workload = Workload::new(name);
    let pool = workload.create(creation(artifact!("ConcentratedLiquidity"), &[])?);
    let open = input(
        "open(int24,uint256,uint128)",
        &[12_345.into(), 8.into(), whole(1_000).into()],
    );
    workload.setup.push(Call::to(pool, open));
    workload.transactions = match sell {
        // To and fro, far enough to cross ticks.
        Sell::Once => [0, 1]
            .map(|zero_for_one| input(signature, &[zero_for_one.into(), whole(30).into()]))
            .map(|data| Call::to(pool, data))
            .to_vec(),
        Sell::Loop => vec![Call::to(
            pool,
            input(signature, &[SWAPS.into(), whole(30).into()]),
        )],
    };
    Ok(match sell {
        Sell::Once => workload.repeated(SWAPS as usize / 2),
        Sell::Loop => workload,
    })
}

/// A pool of three coins, 18, 6 and 6 digits, a million of each.
fn stable(name: &str) -> eyre::Result<(Workload, Address)> {
    let mut workload = Workload::new(name);
    let pool = workload.create(creation(artifact!("StableSwap"), &[])?);
    let six_digits = U256::from(1_000_000_000_000_u64);
    let amounts = [whole(1_000_000), six_digits, six_digits].map(Argument::Word);
    workload
        .setup
        .push(Call::to(pool, input("add_liquidity(uint256[3])", &amounts)));
    Ok((workload, pool))
}

fn stable_single() -> eyre::Result<Workload> {
    let (mut workload, pool) = stable("stable_swap")?;
    let arguments = [0.into(), 1.into(), whole(1_000).into(), 1.into()];
    let data = input("exchange(uint256,uint256,uint256,uint256)", &arguments);
    workload.transactions.push(Call::to(pool, data));
    Ok(workload)
}

fn stable_loop() -> eyre::Result<Workload> {
    let (mut workload, pool) = stable("stable_swap_loop")?;
    let data = input("run(uint256)", &[20.into()]);
    workload.transactions.push(Call::to(pool, data));
    Ok(workload)
}
