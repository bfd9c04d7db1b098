"""The load generator gives no figures for a server that loses, alters, doubles or reorders messages."""

import orjson
import pytest

from bench.load import Lane, Load, Wrong, frame
from chatsec.serve import unmask

SENT = [
    {"chat": "c", "protected": f"p{n}", "iv": "i", "ciphertext": "x", "signature": f"s{n}"} for n in range(4)
]
IN_ORDER = [(n + 2, SENT[n]) for n in range(4)]
ACKED = [(n, n + 2) for n in range(4)]


def checked(delivered, acked=ACKED, ordered=True):
    """What the check says of these (seq, envelope) and (number, seq)."""
    load = object.__new__(Load)  # without the sockets that made these
    lane = Lane("sender", [0, 1, 2, 3])
    load.warm, load.ordered, load.envelopes, load.sent = 0, ordered, SENT, [0.0] * 4
    load.lanes, load.lane_of = [lane], [lane] * 4
    load.readers = {"c": ["sender", "receiver"]}
    load.acks = [(1.0, b"43/chat,%d" % n + orjson.dumps([{"ok": True, "seq": seq}])) for n, seq in acked]
    texts = [
        (2.0, b"42/chat," + orjson.dumps(["message", {"seq": seq, **envelope}]))
        for seq, envelope in delivered
    ]
    load.delivered = {"sender": [], "receiver": texts}
    return load.check(1.0)


def test_all_delivered_as_sent_gives_figures():
    found = checked(IN_ORDER)
    assert (found["messages"], found["ack_ms"]["p50"], found["delivery_ms"]["p95"]) == (4, 1000, 2000)


@pytest.mark.parametrize(
    ("delivered", "acked"),
    [
        pytest.param(IN_ORDER[:3], ACKED, id="lost"),
        pytest.param([*IN_ORDER, IN_ORDER[3]], ACKED, id="twice"),
        pytest.param([*IN_ORDER[:3], (5, {**SENT[3], "iv": "j"})], ACKED, id="altered"),
        pytest.param([*IN_ORDER[:3], (5, {**SENT[3], "signature": "j"})], ACKED, id="unknown"),
        pytest.param([IN_ORDER[1], IN_ORDER[0], *IN_ORDER[2:]], ACKED, id="out of order"),
        pytest.param(
            [*IN_ORDER[:2], (5, SENT[2]), (6, SENT[3])], [(0, 2), (1, 3), (2, 5), (3, 6)], id="a gap"
        ),
        pytest.param(IN_ORDER, [(0, 3), (1, 2), (2, 4), (3, 5)], id="another seq than acked"),
        pytest.param(IN_ORDER, [(0, 2), (0, 2), (2, 4), (3, 5)], id="acked twice"),
    ],
)
def test_anything_else_gives_none(delivered, acked):
    with pytest.raises(Wrong):
        checked(delivered, acked)


def test_order_may_be_left_to_the_reader_but_is_counted():
    found = checked([IN_ORDER[1], IN_ORDER[0], *IN_ORDER[2:]], ordered=False)
    assert (found["messages"], found["out_of_order"]) == (4, 1)
    with pytest.raises(Wrong):
        checked([IN_ORDER[1], *IN_ORDER[1:]], ordered=False)


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536])
def test_frames_are_masked_text(size):
    text = bytes(range(256)) * (size // 256 + 1)
    made = frame(text[:size])
    head = 2 if size < 126 else 4 if size < 65_536 else 10
    assert made[0] == 0x81 and made[1] & 0x80
    assert size == (made[1] & 0x7F if head == 2 else int.from_bytes(made[2:head], "big"))
    assert unmask(made[head + 4 :], made[head : head + 4]) == text[:size]
