"""The Chat-Sec server: accounts, public keys, the session service and the relay. Holds no private key and opens no message."""
