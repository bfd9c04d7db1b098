"""Tests of Chat-Sec; `tests.support` is an independent client written from docs/protocol.md alone."""
