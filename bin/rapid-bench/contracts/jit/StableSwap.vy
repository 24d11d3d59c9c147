# SPDX-License-Identifier: MIT OR Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Pool of three coins of about the same worth: invariant and balances by Newton's method
"""

event Exchanged:
    buyer: indexed(address)
    sold: uint256
    amount_sold: uint256
    bought: uint256
    amount_bought: uint256

N_COINS: constant(uint256) = 3
FEE_DENOMINATOR: constant(uint256) = 10 ** 10
FEE: constant(uint256) = 4 * 10 ** 6
A_PRECISION: constant(uint256) = 100
A: constant(uint256) = 2000 * A_PRECISION
PRECISION: constant(uint256) = 10 ** 18
RATES: constant(uint256[N_COINS]) = [10 ** 18, 10 ** 30, 10 ** 30]

balances: public(uint256[N_COINS])
holdings: public(HashMap[address, uint256[N_COINS]])
fees: public(uint256[N_COINS])


@external
def add_liquidity(amounts: uint256[N_COINS]):
    for i: uint256 in range(N_COINS):
        self.balances[i] += amounts[i]
        self.holdings[msg.sender][i] += amounts[i]


@view
@internal
def _scaled() -> uint256[N_COINS]:
    xp: uint256[N_COINS] = RATES
    for i: uint256 in range(N_COINS):
        xp[i] = xp[i] * self.balances[i] // PRECISION
    return xp


@pure
@internal
def _invariant(xp: uint256[N_COINS]) -> uint256:
    total: uint256 = 0
    for x: uint256 in xp:
        total += x
    if total == 0:
        return 0
    d: uint256 = total
    ann: uint256 = A * N_COINS
    for i: uint256 in range(255):
        product: uint256 = d
        for x: uint256 in xp:
            product = product * d // (x * N_COINS)
        before: uint256 = d
        d = (ann * total // A_PRECISION + product * N_COINS) * d // (
            (ann - A_PRECISION) * d // A_PRECISION + (N_COINS + 1) * product
        )
        difference: uint256 = d - before if d > before else before - d
        if difference <= 1:
            return d
    raise "no convergence"


@view
@internal
def _balance_after(i: uint256, j: uint256, x: uint256, xp: uint256[N_COINS]) -> uint256:
    d: uint256 = self._invariant(xp)
    ann: uint256 = A * N_COINS
    c: uint256 = d
    total: uint256 = 0
    for k: uint256 in range(N_COINS):
        if k == j:
            continue
        each: uint256 = xp[k]
        if k == i:
            each = x
        total += each
        c = c * d // (each * N_COINS)
    c = c * d * A_PRECISION // (ann * N_COINS)
    b: uint256 = total + d * A_PRECISION // ann
    y: uint256 = d
    for k: uint256 in range(255):
        before: uint256 = y
        y = (y * y + c) // (2 * y + b - d)
        difference: uint256 = y - before if y > before else before - y
        if difference <= 1:
            return y
    raise "no convergence"


@internal
def _exchange(i: uint256, j: uint256, amount: uint256) -> uint256:
    assert i != j
    rates: uint256[N_COINS] = RATES
    xp: uint256[N_COINS] = self._scaled()
    x: uint256 = xp[i] + amount * rates[i] // PRECISION
    y: uint256 = self._balance_after(i, j, x, xp)
    out: uint256 = xp[j] - y - 1
    fee: uint256 = out * FEE // FEE_DENOMINATOR
    out = (out - fee) * PRECISION // rates[j]
    self.fees[j] += fee * PRECISION // rates[j] // 2
    self.balances[i] += amount
    self.balances[j] -= out
    self.holdings[msg.sender][i] -= amount
    self.holdings[msg.sender][j] += out
    log Exchanged(buyer=msg.sender, sold=i, amount_sold=amount, bought=j, amount_bought=out)
    return out


@external
def exchange(i: uint256, j: uint256, amount: uint256, least: uint256) -> uint256:
    out: uint256 = self._exchange(i, j, amount)
    assert out >= least, "too little"
    return out


@external
def run(count: uint256):
    amount: uint256 = 10 ** 21
    for k: uint256 in range(count, bound=1000):
        self._exchange(0, 1, amount + k)
        self._exchange(1, 2, 10 ** 9 + k)
        self._exchange(2, 0, 10 ** 9 + k)
