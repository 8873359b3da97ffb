"""What every party has agreed on: the Solidity contracts and their statement in Python.

The applications import this package and never each other; it imports none of them. It is the only door to
Ethereum libraries (web3, eth-account, py-evm, coincurve).
"""

import os

# The keccak of safe-pysha3 is several times faster than the one that eth-hash picks by itself.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
