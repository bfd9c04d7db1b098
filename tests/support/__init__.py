"""Support for tests and benches: a reference client, written from docs/protocol.md alone and free of backend code
(the door is protocol.py, people are in client.py), the server as a process, and small stand-ins for unit tests."""
