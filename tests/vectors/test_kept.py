"""The vectors of what outlives a browser: client state, recovery codes, attachments; reproduced by the reference client.

Any byte of a good one flipped must fail, by some name.
"""

from tests.support import attachments, state
from tests.support import protocol as p
from tests.vectors.made.attachments import pattern
from tests.vectors.test_vectors import Case, all_cases, expect, flips, outcome


def judge_state(case: Case) -> None:
    contents = state.open_state(case["username"], case["state"], p.un64u(case["backup_key"], 32))
    expect(contents == case["contents"])


@all_cases("state")
def test_states(case: Case) -> None:
    assert outcome(lambda: judge_state(case)) == case.get("failure", "")
    if case["valid"]:
        for name in ("iv", "ciphertext"):
            for text in flips(case["state"][name]):
                broken = case | {"state": case["state"] | {name: text}}
                assert outcome(lambda broken=broken: judge_state(broken)) == "undecryptable"
        for key in flips(case["backup_key"]):
            assert outcome(lambda key=key: judge_state(case | {"backup_key": key})) == "undecryptable"


def judge_recovery(case: Case) -> None:
    code = state.read_code(case["typed"])
    expect((p.b64u(code), state.show_code(code)) == (case["code"], case["shown"]))
    secrets = (p.b64u(state.recovery_key(code)), state.recovery_auth(code))
    expect(secrets == (case["recovery_key"], case["recovery_auth"]))
    iv, secret = p.un64u(case["wrap"]["iv"]), p.un64u(case["backup_key"])
    expect(state.recovery_wrap(case["username"], code, secret, iv) == case["wrap"])


@all_cases("recovery")
def test_recovery(case: Case) -> None:
    assert outcome(lambda: judge_recovery(case)) == case.get("failure", "")
    if case["valid"]:
        for code in flips(case["code"]):
            shown = state.show_code(p.un64u(code))
            assert outcome(lambda shown=shown: judge_recovery(case | {"typed": shown})) == "mismatch"


def judge_attachment(case: Case) -> None:
    segment = case["segment"]
    if "ciphertext" in case:
        opened = attachments.open_attachment(p.un64u(case["ciphertext"]), case, segment)
        expect(opened == p.un64u(case.get("plaintext", "")))
    else:
        opened = pattern(case["size"])
    key, nonce = p.un64u(case["key"], 32), p.un64u(case["nonce"], 7)
    sealed = attachments.seal_stream(opened, key, nonce, segment)
    expect(p.H(sealed) == case["sha256"])
    expect(attachments.open_stream(sealed, len(opened), key, nonce, segment) == opened)


@all_cases("attachment")
def test_attachments(case: Case) -> None:
    assert outcome(lambda: judge_attachment(case)) == case.get("failure", "")
    if case["valid"] and "ciphertext" in case:
        for text in flips(case["ciphertext"]):
            broken = case | {"ciphertext": text}
            assert outcome(lambda broken=broken: judge_attachment(broken)) == "bad_attachment"
            hashed = broken | {"sha256": p.H(p.un64u(text))}
            assert outcome(lambda hashed=hashed: judge_attachment(hashed)) == "undecryptable"
        for name in ("key", "nonce"):
            for text in flips(case[name]):
                broken = case | {name: text}
                assert outcome(lambda broken=broken: judge_attachment(broken)) == "undecryptable"
