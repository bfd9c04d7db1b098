"""Makes tests/support/keys.json: key sets for tests, because generating RSA-3072 keys in every run is slow.

Run once: `python -m tests.support.make_keys`. The keys are public knowledge and good for tests only.
"""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROOT = Path(__file__).resolve().parents[2]
SETS = 12


def pkcs8(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    """b64u of the PKCS#8 DER."""
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.urlsafe_b64encode(der).rstrip(b"=").decode("ascii")


def key_set(domain: dsa.DSAParameters) -> dict[str, str]:
    """One user's four private keys by algorithm id."""
    return {
        "RSA-OAEP-256": pkcs8(rsa.generate_private_key(65537, 3072)),
        "RSA-PSS-SHA256": pkcs8(rsa.generate_private_key(65537, 3072)),
        "DSA-SHA256": pkcs8(domain.generate_private_key()),
        "Ed25519": pkcs8(ed25519.Ed25519PrivateKey.generate()),
    }


def main() -> None:
    """Writes the file anew, with other keys than before."""
    sets = json.loads((ROOT / "docs/dsa/parameters.json").read_text())["sets"]
    numbers = next(s for s in sets if s["L"] == 3072)
    domain = dsa.DSAParameterNumbers(*(int(numbers[n], 16) for n in "pqg")).parameters()
    made = [key_set(domain) for _ in range(SETS)]
    Path(__file__).with_name("keys.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
