"""A reference client for tests and benches, written from docs/protocol.md alone; imports no backend code."""
