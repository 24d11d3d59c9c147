"""web3.py. Development account 4."""

import asyncio
import json
import os
import time

from eth_account import Account
from web3 import AsyncWeb3, Web3
from web3.providers import HTTPProvider, WebSocketProvider

RECEIVER = Web3.to_checksum_address("0x00000000000000000000000000000000003eb3b3")
MNEMONIC = "test test test test test test test test test test test junk"


def send(w3, account, transaction):
    """Fills, signs and sends a transaction; returns its receipt, which must be a success."""
    transaction = transaction.build_transaction(
        {"from": account.address, "nonce": w3.eth.get_transaction_count(account.address)}
    )
    signed = account.sign_transaction(transaction)
    receipt = w3.eth.wait_for_transaction_receipt(
        w3.eth.send_raw_transaction(signed.raw_transaction), poll_latency=0.02
    )
    assert receipt["status"] == 1, receipt
    return receipt


async def watch(token_address, topics, transfer):
    """Subscribes to the token's logs over WebSocket, calls `transfer`, and returns the first log seen."""
    async with AsyncWeb3(WebSocketProvider(os.environ["WS_URL"])) as live:
        await live.eth.subscribe("logs", {"address": token_address, "topics": topics})
        await asyncio.to_thread(transfer)
        async with asyncio.timeout(20):
            async for message in live.socket.process_subscriptions():
                return message["result"]


def main():
    w3 = Web3(HTTPProvider(os.environ["HTTP_URL"]))
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/4")
    with open(os.environ["ARTIFACT"], encoding="utf8") as file:
        artifact = json.load(file)

    factory = w3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    deployed = send(w3, account, factory.constructor("Web3", "WEB", 1_000_000))
    token = w3.eth.contract(address=deployed["contractAddress"], abi=artifact["abi"])
    assert token.functions.symbol().call() == "WEB"

    transfer = token.functions.transfer(RECEIVER, 7)
    gas = transfer.estimate_gas({"from": account.address})
    assert gas > 21_000, gas

    receipts = []
    # Only transfers to the receiver: a log subscription speaks when a block is sealed, and the block of the deployment
    # may still be open.
    topics = [
        Web3.to_hex(Web3.keccak(text="Transfer(address,address,uint256)")),
        None,
        "0x" + RECEIVER[2:].lower().rjust(64, "0"),
    ]
    log = asyncio.run(watch(token.address, topics, lambda: receipts.append(send(w3, account, transfer))))
    event = token.events.Transfer().process_log(log)
    assert event["args"]["to"] == RECEIVER and event["args"]["value"] == 7, event

    assert token.functions.balanceOf(RECEIVER).call() == 7

    deadline = time.monotonic() + 20
    while w3.eth.block_number < receipts[0]["blockNumber"]:
        assert time.monotonic() < deadline, "the block of the transfer is not sealed"
        time.sleep(0.05)
    history = token.events.Transfer().get_logs(from_block=deployed["blockNumber"])
    assert len(history) == 2, history

    try:
        w3.eth.send_raw_transaction("0xdeadbeef")
    except Exception as error:  # web3.py wraps the node's error object in one of several classes
        assert "-32" in str(error), error
    else:
        raise AssertionError("nonsense was accepted")


main()
