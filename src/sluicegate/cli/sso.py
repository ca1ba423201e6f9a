"""Single sign-on from a terminal: the browser goes to the provider, and brings its answer to a port of this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from sluicegate.base.errors import Unauthenticated
from sluicegate.guard.operation import Operation

if TYPE_CHECKING:
    from sluicegate.cli.remote import Server

PATIENCE = 600.0
"""Seconds that the person has at the provider, as at the server."""


def go(server: Server, begin: Operation, told: Mapping[str, Any]) -> dict[str, str]:
    """Send the person to the provider; return what came back. Raises ``Unauthenticated`` when it let nobody in."""
    from sluicegate.kit.net import Loopback

    with Loopback() as door:
        url = str(server.call(begin, {**told, "port": door.port})["url"])
        state = parse_qs(urlsplit(url).query).get("state", [""])[0]
        print(f"Open this address in a browser on this machine:\n\n    {url}\n", file=sys.stderr, flush=True)
        path, query = door.wait(lambda _path, query: parse_qs(query).get("state") == [state], PATIENCE)
    found = {name: values[0] for name, values in parse_qs(query).items() if len(values) == 1}
    if "code" not in found:
        raise Unauthenticated("The provider let nobody in.", hint="Begin again.")
    return {name: found[name] for name in found if name in ("code", "state", "iss")} | {"at": path.rpartition("/")[2]}
