# The template's: copier update merges it.
"""Who may call, and with what: bearer tokens, forwarded headers and response headers."""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from apiflask import APIFlask, HTTPBasicAuth, HTTPTokenAuth
from flask import Response, current_app, g, request
from flask_httpauth import MultiAuth
from werkzeug.middleware.proxy_fix import ProxyFix

from .config import Settings

auth = HTTPTokenAuth(description="A token made by `make token`.")
# A browser asks for a name and a password: the password is a token.
basic_auth = HTTPBasicAuth()
browser_auth = MultiAuth(basic_auth, auth)

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
POLICIES = {
    # Swagger UI sets itself up with an inline script and inline styles, and draws its icons from data: URLs.
    "swagger_ui": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; frame-ancestors 'none'"
    ),
    "parity": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
}


def public[View: Callable[..., object]](view: View) -> View:
    """Mark a view that asks for no token on purpose; `make test` refuses any other that does not ask."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def digest(token: str) -> str:
    """Return the SHA-256 of a token in hex: enough for a random token, which cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


@auth.verify_token
def token_name(token: str) -> str | None:
    """Return the name of a valid token, or None. Every configured token is compared, in constant time."""
    presented = digest(token)
    found = None
    for name, expected in current_app.config["API_TOKENS"].items():
        if hmac.compare_digest(presented, expected):
            found = name
    g.token_name = found
    return found


@basic_auth.verify_password
def token_name_from_password(_: str, password: str) -> str | None:
    """Return the name of a valid token that a browser sends as a password, or None."""
    name: str | None = token_name(password)
    return name


def rate_limit_key() -> str:
    """Return whom to count a request against: its token, or its address where it has no valid one."""
    authorization = request.authorization
    name = token_name(authorization.token) if authorization and authorization.token else None
    return f"token:{name}" if name else f"address:{request.remote_addr}"


class TrustedProxyFix:
    """Believe the ``X-Forwarded-*`` headers of one proxy, if the request came from a trusted address."""

    def __init__(self, app: WSGIApplication, trusted: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self.app = app
        self.fixed = ProxyFix(app, x_for=1, x_proto=1, x_host=1)
        self.trusted = trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request, with the client's address in place of a trusted proxy's."""
        peer = ip_address(environ["REMOTE_ADDR"])
        trusted = any(peer in network for network in self.trusted)
        return (self.fixed if trusted else self.app)(environ, start_response)


def set_security_headers(response: Response) -> Response:
    """Set the headers that browsers obey (https://owasp.org/www-project-secure-headers/)."""
    policy = POLICIES.get(request.blueprint or "", API_POLICY)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def init_app(app: APIFlask, settings: Settings) -> None:
    """Bind the response headers, and the trusted proxies if there are any, to an application."""
    # Blueprints of libraries whose routes ask for no token; a view of this service says so itself (public).
    app.extensions["public"] = {"openapi"}
    app.after_request(set_security_headers)
    if settings.trusted_proxies:
        app.wsgi_app = TrustedProxyFix(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
