"""The embedded chain: eth-tester and py-evm over durable SQLite, serving JSON-RPC from its own process."""
