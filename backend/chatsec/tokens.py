"""Every token of the server, behind the domain's `Tokens`; nothing here is stored.

Access (15 minutes) and recovery tokens (10 minutes) are JWTs of flask-jwt-extended: HS256 only, issuer, audience, type
and time checked. Its configuration sits on a Flask object of its own, so that socket handlers, which run outside of any
Flask context, can read tokens too. Refresh and CSRF tokens are derived: HMAC-SHA-256 under keys made from SECRET_KEY,
so that the successor of a refresh token can be given again. What does not verify is `unauthorized`.
"""

from __future__ import annotations

import hmac
import uuid
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import PyJWTError

from chatsec.crypto import b64u_decode, b64u_encode
from chatsec.domain.ports import Clock
from chatsec.errors import ChatSecError

ACCESS_SECONDS = 15 * 60
RECOVERY_SECONDS = 10 * 60
MAX_JWT = 2048  # characters; ours have about 400
NAME = "chatsec"  # issuer and audience


class DerivedTokens:
    """`Tokens`; `secret_key` is the one secret of the deployment."""

    def __init__(self, *, secret_key: str, clock: Clock) -> None:
        self._secret = secret_key.encode()
        self._clock = clock
        self._jwt = Flask(__name__, static_folder=None)
        self._jwt.config.update(
            JWT_SECRET_KEY=self._mac("jwt", b"").hex(),
            JWT_ALGORITHM="HS256",
            JWT_DECODE_ALGORITHMS=["HS256"],
            JWT_ENCODE_ISSUER=NAME,
            JWT_DECODE_ISSUER=NAME,
            JWT_ENCODE_AUDIENCE=NAME,
            JWT_DECODE_AUDIENCE=NAME,
            JWT_ENCODE_NBF=False,
            JWT_COOKIE_CSRF_PROTECT=False,  # these are never cookies
            JWT_DECODE_LEEWAY=60,  # of `iat`, for hosts that differ; the end is judged by our own clock
        )
        JWTManager(self._jwt)

    # -------------------------------------------------------- JWTs

    def access(self, username: str, session_id: str) -> str:
        return self._encode(username, "access", ACCESS_SECONDS, sid=session_id)

    def read_access(self, token: str) -> tuple[str, str]:
        claims = self._decode(token, "access", "sid")
        return claims["sub"], claims["sid"]

    def recovery(self, username: str, password_hash: bytes) -> str:
        return self._encode(username, "recovery", RECOVERY_SECONDS, pwd=self.fingerprint(password_hash))

    def read_recovery(self, token: str) -> tuple[str, str]:
        claims = self._decode(token, "recovery", "pwd")
        return claims["sub"], claims["pwd"]

    def fingerprint(self, password_hash: bytes) -> str:
        return b64u_encode(self._mac("password", password_hash))

    def _encode(self, username: str, kind: str, seconds: int, **claims: str) -> str:
        claims |= {"type": kind}
        with self._jwt.app_context():
            token: str = create_access_token(
                username,
                expires_delta=False,
                additional_claims={**claims, "exp": self._clock.now() // 1000 + seconds},
            )
        return token

    def _decode(self, token: str, kind: str, claim: str) -> dict[str, Any]:
        if len(token) > MAX_JWT:
            raise ChatSecError("unauthorized", "not a token of this server")
        try:
            with self._jwt.app_context():
                claims: dict[str, Any] = decode_token(token, allow_expired=True)
        except (PyJWTError, JWTExtendedException, ValueError, TypeError, RecursionError) as error:
            raise ChatSecError("unauthorized", "not a token of this server") from error
        good = claims["type"] == kind and isinstance(claims.get(claim), str)
        if not good or not isinstance(claims.get("exp"), int):
            raise ChatSecError("unauthorized", f"not an {kind} token")
        if claims["exp"] * 1000 <= self._clock.now():
            raise ChatSecError("token_expired")
        return claims

    # -------------------------------------------------------- derived

    def refresh(self, session_id: str, counter: int) -> str:
        place = uuid.UUID(session_id).bytes + counter.to_bytes(8, "big")
        return b64u_encode(place + self._mac("refresh", place))

    def read_refresh(self, token: str) -> tuple[str, int]:
        try:
            data = b64u_decode(token)
        except ChatSecError:
            data = b""
        place, mac = data[:24], data[24:]
        if not hmac.compare_digest(mac, self._mac("refresh", place)) or len(place) != 24:
            raise ChatSecError("unauthorized", "not a refresh token of this server")
        return str(uuid.UUID(bytes=place[:16])), int.from_bytes(place[16:], "big")

    def csrf(self, session_id: str) -> str:
        return b64u_encode(self._mac("csrf", session_id.encode()))

    def decoy_salt(self, username: str) -> bytes:
        return self._mac("decoy", username.encode())[:16]

    def _mac(self, purpose: str, data: bytes) -> bytes:
        """HMAC-SHA-256 under SECRET_KEY, another function for every purpose."""
        return hmac.digest(self._secret, f"chatsec/{purpose}/v1\n".encode() + data, "sha256")
