"""One suite for every store: whatever passes it is a `chatsec.domain.ports.Storage`."""
