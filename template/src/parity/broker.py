# The template's: copier update merges it.
"""Redis as kombu has to take it: by the URL that the cache and the limits have, and through the loss of its connection."""

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from kombu.transport import redis
from redis.connection import SSLConnection, parse_url

# What a worker took and has not begun is delivered again after this long (seconds).
VISIBILITY_TIMEOUT = 120


class QoS(redis.QoS):
    """What the worker has of the broker and is not done with, which kombu gives back when it closes a connection.

    For one that is lost it asks the connection, which is None by then, and the worker would end
    (https://github.com/celery/kombu/issues/582): the broker takes back what is not given back after VISIBILITY_TIMEOUT.
    """

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Give back what can be given back."""
        with suppress(AttributeError):
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]


redis.Channel.QoS = QoS


def broker(url: str) -> dict[str, Any]:
    """Return what Celery has to know of a broker, by its URL as redis-py reads it, which the cache and the limits ask.

    kombu reads some URLs in another way, and does not verify the certificate of one that begins with ``rediss``.
    """
    parts = parse_url(url)  # type: ignore[no-untyped-call]
    is_secure = issubclass(parts.get("connection_class", object), SSLConnection)
    login = f"{quote(parts.get('username') or '', '')}:{quote(parts.get('password') or '', '')}@"
    host, port = parts.get("host", "localhost"), parts.get("port", 6379)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    told = f"{login if login != ':@' else ''}{place}/{parts.get('db', 0)}"
    if not is_secure:
        return {"broker_url": f"redis://{told}"}
    options = {name: parts[name] for name in parts if name.startswith("ssl_")}
    return {"broker_url": f"rediss://{told}", "broker_use_ssl": {"ssl_cert_reqs": "required"} | options}
