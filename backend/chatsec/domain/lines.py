"""A person's line of key bundles: which are theirs, which is current, and which continuity reaches from which (§2).

Plain values over judged bundles, so nothing is judged here again: a bundle that names a `previous` was linked to the one
before when it was stored. A bundle that names none, but the first, is an identity reset, and nothing older reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chatsec import crypto
from chatsec.domain.models import Bundle


@dataclass(frozen=True, slots=True)
class Link:
    """One bundle of a line; `linked` says that continuity joins it to the one before."""

    hash: str
    linked: bool
    signing: Mapping[str, tuple[str, bytes]]  # kid → (alg, SPKI DER)
    encryption_spki: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """Somebody's bundles, oldest first, without a gap up to the current one."""

    links: tuple[Link, ...]

    @property
    def current(self) -> Link:
        return self.links[-1]

    def find(self, keys: str) -> Link | None:
        """The bundle with this hash, if it is theirs."""
        at = self.place(keys)
        return None if at is None else self.links[at]

    def place(self, keys: str) -> int | None:
        """Where the bundle with this hash stands; later ones stand higher."""
        return next((at for at, link in enumerate(self.links) if link.hash == keys), None)

    def reaches(self, old: str, new: str) -> bool:
        """Whether unbroken continuity leads from bundle `old` to bundle `new`; each reaches itself."""
        low, high = self.place(old), self.place(new)
        if low is None or high is None or low > high:
            return False
        return all(link.linked for link in self.links[low + 1 : high + 1])

    def confirmed(self, keys: str) -> bool:
        """Whether the current bundle is reached from this one: no reset since that nobody has confirmed."""
        return self.reaches(keys, self.current.hash)


Lines = Mapping[str, Line]
"""username → line, of everybody whom a judgement concerns; who has no bundle is left out."""


def line_of(bundles: Iterable[Bundle]) -> Line:
    """The line that these stored bundles of one user make, whatever their order."""
    return Line(tuple(_link(bundle) for bundle in sorted(bundles, key=lambda bundle: bundle.version)))


def lines_of(bundles: Iterable[Bundle]) -> Lines:
    """The lines that these stored bundles make, whoever's they are."""
    by_name: dict[str, list[Bundle]] = {}
    for bundle in bundles:
        by_name.setdefault(bundle.username, []).append(bundle)
    return {username: line_of(theirs) for username, theirs in by_name.items()}


def _link(bundle: Bundle) -> Link:
    keys = [(entry["alg"], crypto.b64u_decode(entry["spki"])) for entry in bundle.body["signing"]]
    signing = {crypto.kid(spki): (alg, spki) for alg, spki in keys}
    return Link(bundle.hash, bundle.body["previous"] != "", signing, bundle.encryption_spki)
