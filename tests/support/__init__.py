"""A reference client for tests and benches, written from docs/protocol.md alone; imports nothing of backend/."""
