"""The addresses of Model Studio: where the key may be sent, where results are fetched from, which pictures it may read.

A workflow comes from anybody, so it cannot name a place of its own for the key. Besides Alibaba's hosts only one
address is trusted: the one in the environment variable DASHSCOPE_HTTP_BASE_URL, which Alibaba's own SDK reads too.
That rule has no exception for this machine, where any port may belong to anybody.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from ..errors import QilError

ENVIRONMENT = "DASHSCOPE_HTTP_BASE_URL"

REGIONS = {"Singapore": "https://dashscope-intl.aliyuncs.com", "Beijing": "https://dashscope.aliyuncs.com"}

API_HOSTS = re.compile(r"(dashscope(-[a-z]+)*|[a-z0-9-]+\.[a-z0-9-]+\.maas)\.aliyuncs\.com")
"""Hosts of the API: those of a region, and those of a workspace in one."""

RESULT_HOSTS = re.compile(r"dashscope-[a-z0-9-]+\.oss-(?!([a-z0-9-]*-)?internal\.)[a-z0-9-]+\.aliyuncs\.com")
"""Hosts of results. Documented are dashscope-result-xx.oss-cn-xxxx.aliyuncs.com, and that new regions appear; also seen
is oss-accelerate. The -internal ones lead into a private network."""

LONGEST_URL = 2048
"""Characters of a picture's address: what browsers and servers take everywhere."""

PORTS = {"https": 443, "http": 80}


class Origin(NamedTuple):
    """Whom an address belongs to: one program on one machine."""

    scheme: str
    host: str
    port: int


def base_address(url: str) -> str:
    """The address that the API's paths are put behind, if the key may go there.

    Raises QilError: not https (http is for this machine alone), a user in it, or neither Alibaba's host nor the
    address in the environment variable.
    """
    parts = _base(url)
    host = parts.hostname or ""
    if (parts.scheme == "https" and API_HOSTS.fullmatch(host)) or _origin(parts) == own_origin():
        return url.rstrip("/").removesuffix("/api/v1")
    raise QilError(
        f"{host} is no address of Model Studio, so your key is not sent there. If it is meant to be, set the "
        f"environment variable {ENVIRONMENT} to the same address, port included, and start again."
    )


def own_origin() -> Origin | None:
    """What the environment variable allows; None without it. Raises QilError when it is no such address."""
    url = os.environ.get(ENVIRONMENT, "")
    return _origin(_base(url)) if url else None


def result_address(url: str) -> str | None:
    """The address from which a result is fetched, always encrypted; None for one that is not asked for safety's sake.

    Allowed are the hosts of results, and the origin in the environment variable as it is. Everything else is refused:
    names and numbers that lead to this machine or its network are no such hosts in whatever way they are written.
    http becomes https: the storage serves both, and the signature in the address covers neither.
    """
    parts = _split(url)
    if parts is None:
        return None
    if _origin(parts) == own_origin():
        return url
    if parts.port not in (None, PORTS["https"]) or not RESULT_HOSTS.fullmatch(parts.hostname or ""):
        return None
    return parts._replace(scheme="https").geturl()


def check_picture_url(url: str) -> str:
    """A public picture's address, which Model Studio itself reads. Raises QilError."""
    parts = _split(url)
    if parts and parts.scheme == "https" and len(url) <= LONGEST_URL and url.isascii() and _is_name(parts.hostname):
        return url
    raise QilError(
        f"The address of a picture must be public, begin with https:// and have {LONGEST_URL} characters at most, "
        f"without spaces, user or password; got {url[:60]!a}."
    )


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _base(url: str) -> SplitResult:
    parts = _split(url)
    if not parts or not (parts.scheme == "https" or is_loopback(url)) or parts.query or parts.fragment:
        raise QilError(
            "The address of Model Studio must look like https://dashscope-intl.aliyuncs.com, without user, password or "
            "query; http:// is for this machine only."
        )
    return parts


def _split(url: str) -> SplitResult | None:
    """The parts of an http or https address; None where it is none, or holds a user, which would be sent along."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in PORTS and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return None
    return parts if sound and url.isprintable() and not set(url) & set(" \\") else None


def _origin(parts: SplitResult) -> Origin:
    return Origin(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme])


def _is_name(host: str | None) -> bool:
    """Whether a host is a name with a top-level domain: no number in any way of writing, no machine of a network."""
    last = (host or "").rpartition(".")
    return bool(last[0]) and last[2].isalpha() and last[2] not in ("local", "internal", "localhost", "lan", "home")
