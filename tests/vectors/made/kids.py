"""kid = H(SPKI DER): one case per algorithm, and the same names for other bytes as must-fail."""

from typing import Any

from tests.support.encoding import b64u
from tests.support.keys import SIGNING, WRAPPING, pool


def cases() -> list[dict[str, Any]]:
    """Cases `{alg, spki, kid}`; a failing one claims a kid that the key does not have."""
    made: list[dict[str, Any]] = []
    for index in (0, 1):
        for alg in (WRAPPING, *SIGNING):
            keys, other = pool(index), pool(index + 2)
            key = {"alg": alg, "spki": b64u(keys.spki(alg))}
            made.append({"name": f"{alg} {index}", "valid": True, **key, "kid": keys.kid(alg)})
            wrong = {"valid": False, "failure": "unknown_key", **key}
            made.append({"name": f"{alg} {index}, kid of another key", **wrong, "kid": other.kid(alg)})
            made.append({"name": f"{alg} {index}, kid padded", **wrong, "kid": keys.kid(alg) + "="})
            made.append({"name": f"{alg} {index}, kid cut", **wrong, "kid": keys.kid(alg)[:-1]})
    return made
