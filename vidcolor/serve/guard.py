"""Who may ask, and from where: Host, Origin, token; and headers that keep browsers careful."""

import hmac
import ipaddress
import re
from collections.abc import Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidcolor.serve.body import CLOSE
from vidcolor.serve.uploads import Refusal

COOKIE = "vidcolor_token"

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::(\d{0,5}))?", re.ASCII)

READS = {"GET", "HEAD", "OPTIONS"}
OPEN = {"/api/v1/session", "/api/v1/health"}
"""What answers without a token: the one takes it, the other holds no secret."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Stands before the application. No answer ever has CORS headers.

    token: what clients must know. hosts: names under which the server may be addressed, beside
    those of this machine.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str] = ()):
        self.app = app
        self.token = token
        self.hosts = {"localhost", "127.0.0.1", "::1", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        careful = _careful(send, scope["path"])
        try:
            self._check(scope, headers)
        except Refusal as refusal:
            await refused(refusal)(scope, receive, careful)
            return
        await self.app(scope, receive, careful)

    def _check(self, scope: Scope, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0], scope):
            raise Refusal(
                421,
                "the server is not known under this name; its operator can add it with "
                "--allow-host NAME",
                CLOSE,
            )
        path, reads = scope["path"], scope["method"] in READS
        if not path.startswith("/api/"):
            if not reads:
                raise Refusal(405, "this cannot be written", {**CLOSE, "Allow": "GET, HEAD"})
            return
        site = headers.get("sec-fetch-site", "none")
        if site not in ("same-origin", "none"):
            raise Refusal(403, "requests from other sites are refused", CLOSE)
        origin = headers.get("origin")
        if origin is not None and not self._is_same(origin, hosts[0]):
            raise Refusal(403, "requests from other origins are refused", CLOSE)
        if path not in OPEN and not self.knows_token(headers):
            raise Refusal(
                401,
                "the token is missing or wrong; open the address that `vidcolor serve` printed, "
                "or send it as Authorization: Bearer TOKEN",
                {**CLOSE, "WWW-Authenticate": "Bearer"},
            )

    def knows_token(self, headers: Headers) -> bool:
        """Whether a request carries the token."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.is_token(given.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and self.is_token(cookie.value)

    def is_token(self, given: str) -> bool:
        """Compared in a time that tells nothing."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _is_ours(self, host: str, scope: Scope) -> bool:
        """Whether a Host header names this server. Not so for a name that somebody pointed here."""
        name = host_name(host)
        if name is None:
            return False
        if name in self.hosts:
            return True
        # A page cannot be rebound to a bare address; the one that the client has reached is ours.
        try:
            return ipaddress.ip_address(name) == ipaddress.ip_address(scope["server"][0])
        except (ValueError, TypeError):
            return False

    def _is_same(self, origin: str, host: str) -> bool:
        """Whether an Origin header, which may be "null", is that of our own page."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is malformed."""
    match = _HOST.fullmatch(host.lower())
    if match is None or not 0 < int(match[3] or 80) < 65536:
        return None
    return match[1] or match[2]


def refused(refusal: Refusal) -> JSONResponse:
    """The answer."""
    return JSONResponse({"detail": refusal.detail}, refusal.status, refusal.headers)


def _careful(send: Send, path: str) -> Send:
    """Add the headers that every answer has."""
    policy = DATA_POLICY if path.startswith("/api/") else PAGE_POLICY

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            raw: MutableMapping[str, Any] = message
            headers = MutableHeaders(scope=raw)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] = policy
            if path.startswith("/api/"):
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return with_headers
