"""Server CPU per delivery where each message goes to 50 others, beside the ceilings with the same bytes.

As `bench.relay`, with one chat; a few lanes, so that the latency is that of a chat and not of a queue.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from bench.relay import COLUMNS, Relay
from bench.report import Report, in_turns, median, options, ratio, scratch, show

MAX_CPU_MS, MAX_P95_MS = 0.03, 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options("fanout", __doc__, members=50, lanes=2, messages=300, warm=20).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        relay = Relay(folder, 1, chosen.members + 1, chosen.lanes, chosen.messages, chosen.warm)
        load = {
            "members": chosen.members,
            "lanes": chosen.lanes,
            "messages_of_a_lane": chosen.messages,
            "envelope_bytes": relay.work.envelope_bytes(),
        }
        report = Report("server CPU per delivery, each message to all members", load)
        sides = {"bare": relay.bare, "grouped": relay.grouped, "chat_sec": relay.chat_sec}
        turns = in_turns(chosen.turns, sides, folder)
    mine = turns["chat_sec"]
    bars = [
        ("CPU ms per delivery", median(mine, "cpu_ms"), MAX_CPU_MS),
        ("delivery p95 ms", median(mine, "delivery_p95_ms"), MAX_P95_MS),
    ]
    found = report.write(chosen.json, turns, bars)
    show(found, COLUMNS)
    print(f"ratio to the grouped ceiling: {ratio(mine, turns['grouped'], 'cpu_ms'):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
