"""The Chat-Sec server: accounts, public keys, the session service and the relay. It opens no message and holds no private key."""

__version__ = "0.1.0"
