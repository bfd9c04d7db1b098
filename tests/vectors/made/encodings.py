"""The rules of protocol "Words". `kind` says what is judged:

`b64u` text → bytes (as hex) · `object` bytes → a JSON object, lone surrogates refused · `payload` the same, with lone
surrogates read as U+FFFD · `number` JSON text of one value → number · `uuid`, `username`, `time`, `hash` a text.
"""

from typing import Any

from tests.support.encoding import b64u

Case = dict[str, Any]


def cases() -> list[Case]:
    """All cases of the file."""
    return [*_b64u(), *_objects(), *_numbers(), *_forms()]


def _bad(name: str, kind: str, **fields: Any) -> Case:
    return {"name": name, "valid": False, "failure": "malformed", "kind": kind, **fields}


def _good(name: str, kind: str, **fields: Any) -> Case:
    return {"name": name, "valid": True, "kind": kind, **fields}


def _b64u() -> list[Case]:
    good = {"": "", "AA": "00", "AAA": "0000", "AAAA": "000000", "-_-_": "fbffbf", "_w": "ff", "__8": "ffff"}
    bad = {
        "padding": "AA==",
        "half padding": "AAA=",
        "one character": "A",
        "five characters": "AAAAA",
        "stray bits, 2": "AB",
        "stray bits, 3": "AAB",
        "the other alphabet": "+/+/",
        "a blank inside": "AA AA",
        "a blank before": " AAA",
        "LF after": "AAAA\n",
        "NUL": "AA\x00A",
        "not ASCII": "AAé",
        "full-width letters": "\uff21\uff21",
        "an equals sign inside": "A=AA",
        "a full stop": "AAA.",
    }
    made = [
        _good(f"b64u {text or 'of nothing'}", "b64u", text=text, hex=hexed) for text, hexed in good.items()
    ]
    return made + [_bad(f"b64u: {name}", "b64u", text=text) for name, text in bad.items()]


def _objects() -> list[Case]:
    good: dict[str, tuple[bytes, Any]] = {
        "empty": (b"{}", {}),
        "blanks": (b' {"a" : 1 }\n', {"a": 1}),
        "a repeated key": (b'{"a":1,"a":2}', {"a": 2}),
        "UTF-8": ('{"a":"ü世😀"}'.encode(), {"a": "ü世😀"}),
        "an escaped pair": (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        "an escaped backslash before u": (b'{"a":"\\\\ud83d"}', {"a": "\\ud83d"}),
        "a BOM inside": ('{"a":"\ufeff"}'.encode(), {"a": "\ufeff"}),
        "a fraction where nobody looks": (b'{"a":1.5}', {"a": 1.5}),
        "escaped NUL": (b'{"a":"\\u0000"}', {"a": "\x00"}),
        "__proto__": (b'{"__proto__":{"a":1},"b":2}', None),
    }
    bad = {
        "nothing": b"",
        "BOM": b"\xef\xbb\xbf{}",
        "NaN": b'{"a":NaN}',
        "Infinity": b'{"a":Infinity}',
        "minus Infinity": b'{"a":-Infinity}',
        "a number beyond a double": b'{"a":1e400}',
        "overlong UTF-8": b'{"a":"\xc0\x80"}',
        "a raw surrogate": b'{"a":"\xed\xa0\x80"}',
        "UTF-8 cut short": b'{"a":"\xe4\xb8"}',
        "a stray byte": b'{"a":"\xff"}',
        "beyond U+10FFFF": b'{"a":"\xf4\x90\x80\x80"}',
        "trailing comma": b'{"a":1,}',
        "single quotes": b"{'a':1}",
        "a comment": b'{"a":1}//',
        "two values": b"{}{}",
        "a leading zero": b'{"a":01}',
        "a plus sign": b'{"a":+1}',
        "hexadecimal": b'{"a":0x1}',
        "a raw LF in a text": b'{"a":"\n"}',
        "a bad escape": b'{"a":"\\x41"}',
        "trailing NUL": b"{}\x00",
        "UTF-16": '{"a":1}'.encode("utf-16-le"),
    }
    lone = {
        "a lone high surrogate": (b'{"a":"x\\ud83dy"}', {"a": "x\ufffdy"}),
        "a lone low surrogate": (b'{"a":"\\ude00"}', {"a": "\ufffd"}),
        "two high surrogates": (b'{"a":"\\ud83d\\ud83d\\ude00"}', {"a": "\ufffd😀"}),
        "a pair the wrong way round": (b'{"a":"\\ude00\\ud83d"}', {"a": "\ufffd\ufffd"}),
    }
    made = []
    for kind in ("object", "payload"):
        for name, (data, value) in good.items():
            known = {} if value is None else {"value": value}
            made.append(_good(f"{kind}: {name}", kind, bytes=b64u(data), **known))
        made += [_bad(f"{kind}: {name}", kind, bytes=b64u(data)) for name, data in bad.items()]
    for name, (data, value) in lone.items():
        made.append(_bad(f"object: {name}", "object", bytes=b64u(data)))
        made.append(_good(f"payload: {name}", "payload", bytes=b64u(data), value=value))
    return made


def _numbers() -> list[Case]:
    good = {
        "0": 0,
        "1": 1,
        "2.0": 2,
        "1e3": 1000,
        "-0": 0,
        "-0.0": 0,
        "9007199254740991": 2**53 - 1,
        "10E-1": 1,
    }
    bad = [
        "-1",
        "1.5",
        "9007199254740992",
        "1e16",
        "true",
        "false",
        "null",
        '"1"',
        '""',
        "[]",
        "[1]",
        "{}",
        "1e-9",
    ]
    made = [_good(f"number {text}", "number", json=text, number=value) for text, value in good.items()]
    return made + [_bad(f"number {text}", "number", json=text) for text in bad]


def _forms() -> list[Case]:
    uuid, digest = "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10", b64u(bytes(range(32)))
    good = {
        "uuid": [uuid, "00000000-0000-0000-0000-000000000000"],
        "username": ["abc", "a-c", "a._-9", "0.0", "a" * 32],
        "time": ["2026-11-24T18:00:00.123Z", "2024-02-29T23:59:59.999Z", "1970-01-01T00:00:00.000Z"],
        "hash": [digest, b64u(bytes(32))],
    }
    bad = {
        "uuid": [
            uuid.upper(),
            uuid[:-1],
            uuid + "0",
            uuid.replace("-", ""),
            f"{{{uuid}}}",
            uuid + "\n",
            "",
            " " + uuid,
        ],
        "username": [
            "",
            "ab",
            "a" * 33,
            ".ab",
            "ab.",
            "-ab",
            "a b",
            "Abc",
            "abç",
            "abc\n",
            "a/b",
            "ab@c",
            "\uff41bc",
        ],
        "time": [
            "2026-11-24T18:00:00Z",
            "2026-11-24T18:00:00.123+00:00",
            "2026-11-24T18:00:00.123z",
            "2026-11-24 18:00:00.123Z",
            "2026-11-24T18:00:00.1234Z",
            "2026-13-24T18:00:00.123Z",
            "2026-02-30T18:00:00.123Z",
            "2026-11-24T25:00:00.123Z",
            "2026-11-24T24:00:00.000Z",
            "2026-12-31T23:59:60.000Z",
            "0000-01-01T00:00:00.000Z",
            "2026-11-24T18:00:00.123Z\n",
            "\u0662026-11-24T18:00:00.123Z",
            "",
        ],
        "hash": ["", digest[:-1], digest + "A", digest + "=", digest[:-1] + "9", "+" + digest[1:]],
    }
    made = [_good(f"{kind} {text}", kind, text=text) for kind, texts in good.items() for text in texts]
    return made + [
        _bad(f"{kind}: {text!a}", kind, text=text) for kind, texts in bad.items() for text in texts
    ]
