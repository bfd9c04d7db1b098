"""`/auth` and `/me`: registering, logging in and out, recovery, profile, password, secrets, sessions (protocol §6).

Log-ins and what else touches credentials leave a line in the log: who and how it went, never with what.
"""

from __future__ import annotations

from typing import Protocol

import structlog
from apiflask import APIBlueprint
from flask import Response, g, jsonify

from chatsec.domain.accounts import AccountService
from chatsec.domain.models import Account, Caller, Json
from chatsec.domain.ports import Tokens
from chatsec.domain.sessions import Grant, SessionService
from chatsec.errors import ChatSecError
from chatsec.rest import cookies
from chatsec.rest.guard import (
    MIB,
    address,
    authenticated,
    bearer,
    body_limit,
    caller,
    has_bearer,
    identified,
    user_agent,
)
from chatsec.wire import accounts as wire
from chatsec.wire import user
from chatsec.wire.keys import PutBackup, PutState

log = structlog.get_logger("chatsec.auth")
CREATED = {201: "Created"}
EMPTY = {204: "Done"}


class Presence(Protocol):
    """What these routes need of the presence service."""

    def of(self, account: Account, viewer: str | None) -> tuple[str, int | None]: ...


def blueprint(
    *, accounts: AccountService, sessions: SessionService, tokens: Tokens, presence: Presence
) -> APIBlueprint:
    bp = APIBlueprint("accounts", __name__, url_prefix="/api/v1", tag="accounts")
    _add_auth(bp, accounts, presence)
    _add_tokens(bp, sessions, tokens)
    _add_profile(bp, accounts, presence)
    _add_password(bp, accounts, sessions, tokens, presence)
    _add_secrets(bp, accounts)
    _add_sessions(bp, sessions)
    return bp


def _add_auth(bp: APIBlueprint, accounts: AccountService, presence: Presence) -> None:
    @bp.post("/auth/prelogin")
    @bp.input(wire.Prelogin, arg_name="body")
    def prelogin(body: wire.Prelogin) -> Json:
        """How a person's password is derived; made up for people who do not exist."""
        return {"kdf": accounts.prelogin(body.username)}

    @bp.post("/auth/register")
    @bp.doc(responses=CREATED)
    @body_limit(MIB)
    @bp.input(wire.Register, arg_name="body")
    def register(body: wire.Register) -> tuple[Response, int]:
        """Make an account and log in."""
        account, granted = accounts.register(body.registration(), address(), user_agent())
        log.info("registered", username=account.username)
        return _grant(granted, body.refresh_in, {"user": _me(account, presence)}), 201

    @bp.post("/auth/login")
    @bp.input(wire.LogIn, arg_name="body")
    def log_in(body: wire.LogIn) -> Response:
        """Log in; also gives the key backup and the client state."""
        try:
            account, granted = accounts.log_in(body.username, body.password, address(), user_agent())
        except ChatSecError as error:
            log.warning("log-in refused", username=_known(accounts, body.username), code=error.code)
            raise
        log.info("logged in", username=account.username)
        return _grant(granted, body.refresh_in, _logged_in(account, presence))

    @bp.post("/auth/recover")
    @bp.input(wire.Recover, arg_name="body")
    def recover(body: wire.Recover) -> Json:
        """With the recovery code: the key backup, and a token for one new password."""
        try:
            backup, token = accounts.recover(body.username, body.recovery_auth, address())
        except ChatSecError as error:
            log.warning("recovery refused", username=_known(accounts, body.username), code=error.code)
            raise
        log.info("recovery begun", username=body.username)
        return {"key_backup": backup, "recovery_token": token}


def _add_tokens(bp: APIBlueprint, sessions: SessionService, tokens: Tokens) -> None:
    @bp.post("/auth/refresh")
    @bp.input(wire.Refresh, arg_name="body")
    def refresh(body: wire.Refresh) -> Response:
        """New tokens for a refresh token, from the body or the cookie."""
        if body.refresh_token is not None:
            return _grant(sessions.refresh(body.refresh_token), "body", {})
        return _grant(sessions.refresh(cookies.read_checked(tokens)), "cookie", {})

    @bp.post("/auth/logout")
    @bp.doc(responses=EMPTY)
    @bp.input(wire.Refresh, arg_name="body")
    def log_out(body: wire.Refresh) -> tuple[Response, int]:
        """End the session of the access token, or of the refresh token in body or cookie."""
        leaver = _leaver(body, sessions, tokens)
        sessions.end(leaver.username, leaver.session_id)
        log.info("logged out", username=leaver.username)
        response = Response()
        cookies.forget(response)
        return response, 204


def _add_profile(bp: APIBlueprint, accounts: AccountService, presence: Presence) -> None:
    @bp.get("/me")
    @authenticated
    def get_me() -> Json:
        """My account."""
        return _me(accounts.get(caller().username), presence)

    @bp.patch("/me")
    @authenticated
    @bp.input(wire.Profile, arg_name="body")
    def change_me(body: wire.Profile) -> Json:
        """Change my display name."""
        if body.display_name is not None:
            return _me(accounts.rename(caller().username, body.display_name), presence)
        return _me(accounts.get(caller().username), presence)

    @bp.post("/me/deletion")
    @authenticated
    @bp.doc(responses=EMPTY)
    @bp.input(wire.Deletion, arg_name="body")
    def delete_me(body: wire.Deletion) -> tuple[Response, int]:
        """End my account; its name is never given again."""
        accounts.delete(caller().username, body.password)
        log.info("account ended", username=caller().username)
        response = Response()
        cookies.forget(response)
        return response, 204


def _add_password(
    bp: APIBlueprint, accounts: AccountService, sessions: SessionService, tokens: Tokens, presence: Presence
) -> None:
    def find(token: str) -> Caller | None:
        return None if _recovers(token, tokens) else sessions.authenticate(token)

    @bp.put("/me/password")
    @identified(find)
    @body_limit(3 * MIB)
    @bp.input(wire.ChangePassword, arg_name="body")
    def change_password(body: wire.ChangePassword) -> Response:
        """Set a new password, with the old one or as bearer a recovery token; ends the other sessions."""
        who: Caller | None = g.caller
        if who is None:
            account, granted = accounts.reset_password(bearer(), body.wanted(), user_agent())
        else:
            account, granted = accounts.change_password(who, body.wanted())
        log.info("password changed", username=account.username, recovered=who is None)
        kept = body.refresh_in or ("cookie" if _in_cookie(who, tokens) else "body")
        return _grant(granted, kept, _logged_in(account, presence))


def _add_secrets(bp: APIBlueprint, accounts: AccountService) -> None:
    @bp.get("/me/key-backup")
    @authenticated
    def get_backup() -> Json:
        """My key backup, or null."""
        return {"key_backup": accounts.get(caller().username).backup}

    @bp.put("/me/key-backup")
    @authenticated
    @body_limit(MIB)
    @bp.doc(responses=EMPTY)
    @bp.input(PutBackup, arg_name="body")
    def put_backup(body: PutBackup) -> tuple[str, int]:
        """Store the next version of my key backup."""
        accounts.put_backup(
            caller().username, body.key_backup.model_dump(), body.password, body.recovery_auth
        )
        return "", 204

    @bp.get("/me/state")
    @authenticated
    def get_state() -> Json:
        """My client state, or null."""
        return {"state": accounts.get(caller().username).state}

    @bp.put("/me/state")
    @authenticated
    @body_limit(MIB)
    @bp.doc(responses=EMPTY)
    @bp.input(PutState, arg_name="body")
    def put_state(body: PutState) -> tuple[str, int]:
        """Store the next version of my client state."""
        accounts.put_state(caller().username, body.state.model_dump())
        return "", 204


def _add_sessions(bp: APIBlueprint, sessions: SessionService) -> None:
    @bp.get("/me/sessions")
    @authenticated
    def list_sessions() -> Json:
        """My devices, newest first."""
        found = sessions.list(caller().username)
        return {"items": [wire.session_json(one, caller().session_id) for one in found], "next": None}

    @bp.delete("/me/sessions/<session_id>")
    @authenticated
    @bp.doc(responses=EMPTY)
    def end_session(session_id: str) -> tuple[str, int]:
        """Log a device out: its tokens and sockets end."""
        sessions.end(caller().username, session_id)
        log.info("session ended", username=caller().username)
        return "", 204


# ---------------------------------------------------------------- parts of answers, and who asks


def _grant(granted: Grant, refresh_in: str | None, more: Json) -> Response:
    """Tokens with what goes with them; the refresh token where the client wants it."""
    in_cookie = refresh_in == "cookie"
    response = jsonify({**wire.grant_json(granted, in_cookie=in_cookie), **more})
    if in_cookie:
        cookies.keep(response, granted.refresh_token)
    return response


def _logged_in(account: Account, presence: Presence) -> Json:
    return {"user": _me(account, presence), **wire.secrets_json(account)}


def _me(account: Account, presence: Presence) -> Json:
    status, last_seen = presence.of(account, account.username)
    return user(account, status, last_seen)


def _known(accounts: AccountService, username: str) -> str | None:
    """The name for the log, if it is one: what is typed into the wrong field may be a password."""
    try:
        return accounts.get(username).username
    except ChatSecError:
        return None


def _leaver(body: wire.Refresh, sessions: SessionService, tokens: Tokens) -> Caller:
    if body.refresh_token is not None:
        return sessions.of_refresh_token(body.refresh_token)
    if has_bearer():
        return sessions.authenticate(bearer())
    return sessions.of_refresh_token(cookies.read_checked(tokens))


def _recovers(token: str, tokens: Tokens) -> bool:
    """Whether the bearer token is one for recovery, used or expired ones too."""
    try:
        tokens.read_recovery(token)
    except ChatSecError as error:
        return error.code == "token_expired"
    return True


def _in_cookie(who: Caller | None, tokens: Tokens) -> bool:
    """Whether this session keeps its refresh token in a cookie."""
    token = cookies.read()
    if who is None or not token:
        return False
    try:
        return tokens.read_refresh(token)[0] == who.session_id
    except ChatSecError:
        return False
