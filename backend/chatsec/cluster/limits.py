"""Token buckets that all workers share, in Redis: `SharedBuckets`.

One script takes a token by Redis' own clock, so that workers' clocks need not agree; a bucket is forgotten when it would
be full again. Redis down: nobody can say, and `domain.limits` goes on with the worker's own.
"""

from __future__ import annotations

from chatsec.cluster.link import Link, LinkDown

PREFIX = "chatsec:limit"
# ARGV: burst, tokens per millisecond. Answers the milliseconds until there is a token, 0 if one was taken.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local burst, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, wait = burst, 0
if kept[1] then left = math.min(burst, kept[1] + math.max(0, now - kept[2]) * rate) end
if left < 1 then wait = math.ceil((1 - left) / rate) else left = left - 1 end
redis.call('HSET', KEYS[1], 'left', left, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - left) / rate))
return wait
"""


class RedisBuckets:
    def __init__(self, link: Link) -> None:
        self._link = link

    def take(self, kind: str, key: str, burst: float, rate: float) -> float | None:
        name = f"{PREFIX}:{kind}:{key}"
        try:
            wait = self._link.call(lambda redis: redis.eval(TAKE, 1, name, str(burst), repr(rate / 1000)))
        except LinkDown:
            return None
        return int(wait) / 1000
