"""`Person`: everything that a client knows of somebody's keys: their bundles, judged and linked, and the pin (protocol §2)."""

from collections.abc import Mapping
from typing import Any

from tests.support.encoding import Failure
from tests.support.keys import bundle_hash, judge_bundle, signing_keys


class Person:
    """The bundles of one user, judged and linked, and the version that is pinned."""

    def __init__(self, username: str, entry: Mapping[str, Any], pin: tuple[int, str] | None = None) -> None:
        """`entry` is an item of GET /keys with its history; `pin` defaults to the current bundle."""
        bundles = sorted([entry, *entry["history"]], key=lambda bundle: bundle["version"])
        self.bundles = {bundle["version"]: bundle for bundle in bundles}
        self.identity: dict[int, int] = {}  # version → the version that its unbroken continuity begins with
        self.hashes: dict[int, str] = {}
        for bundle in bundles:
            version = bundle["version"]
            before = self.bundles.get(version - 1)
            linked = judge_bundle(username, bundle, before) if before or not bundle["previous"] else False
            self.identity[version] = self.identity[version - 1] if linked else version
            self.hashes[version] = bundle_hash(username, bundle)
        self.pin = pin or (entry["version"], self.hashes[entry["version"]])

    @property
    def kh(self) -> str:
        """The hash of the current bundle."""
        return self.hashes[max(self.hashes)]

    def find(self, alg: str, kid: str, least: int) -> tuple[int, bytes]:
        """(version, SPKI) of the oldest bundle from `least` on that holds this signing key, or `unknown_key`."""
        for version, bundle in self.bundles.items():
            found = signing_keys(bundle).get(kid)
            if version >= least and found and found[0] == alg:
                return version, found[1]
        raise Failure("unknown_key")

    def version(self, kh: str) -> int:
        """The version of the bundle with this hash, 0 if it is none of theirs."""
        return next((version for version, known in self.hashes.items() if known == kh), 0)

    def confirmed(self, version: int) -> bool:
        """Whether unbroken continuity joins this version and the pinned bundle."""
        pinned = self.hashes.get(self.pin[0]) == self.pin[1]
        return pinned and self.identity[version] == self.identity[self.pin[0]]
