"""How a service is asked that speaks JSON over TLS: the clients of secret managers, and of what keeps a seal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from sluicegate.base import clock
from sluicegate.base.errors import Failed
from sluicegate.crypto.sigv4 import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.base.secret import Secret
    from sluicegate.kit.net import Net

STEP, TOTAL = 5.0, 15.0
"""Seconds that one step on the wire, and all that is asked of a service in one go, may take."""
URL: Final = r"^https://[^\s/?#@\\]+$"
"""What the address of a service looks like: a host, perhaps a port, and nothing that could lead elsewhere."""
_GOOD: Final = 200


class Answer(NamedTuple):
    """What a service answered: the JSON object of a good answer, or of one that refuses and tells why."""

    status: int
    body: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether it is what was asked for."""
        return self.status == _GOOD


class Service:
    """One service. ``called`` is how messages name it; what it says itself is never repeated."""

    def __init__(self, net: Net, url: str, called: str, *, ca: str | None = None, limit: int = 64 * 1024) -> None:
        """Hold where it is. ``ca``: PEM text; ``limit``: bytes of an answer at the most. Nothing is sent yet."""
        self.called, self.place = called, urlsplit(url).netloc
        self._net, self._url, self._ca, self._limit = net, url, ca, limit

    def __enter__(self) -> Self:
        """Begin: from now on there are ``TOTAL`` seconds."""
        self._client = self._net.http(ca=self._ca, timeout=STEP, total=TOTAL, headers={"accept-encoding": "identity"})
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._client.close()

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Ask once. Raises ``Egress``, ``Unreachable``, or ``Failed`` for what is too large or no JSON object."""
        url = f"{self._url}{path}"
        status, raw = self._net.read(self._client, method, url, limit=self._limit, content=body, headers=dict(headers))
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return Answer(status, found)
        if status == _GOOD:
            raise Failed(f"{self.called} answers with what is no JSON object.", where=self.place)
        return Answer(status, {})


class Bao:
    """OpenBao or Vault: every question carries a token, and the namespace when there are any."""

    def __init__(self, service: Service, token: Secret | None = None, namespace: str = "") -> None:
        """Ask ``service``; without ``token`` only what needs none."""
        self.service, self.token, self._namespace = service, token, namespace

    def ask(self, method: str, path: str, told: Mapping[str, Any] | None = None) -> Answer:
        """Ask for ``path`` below ``/v1/``. Raises as ``Service.ask``."""
        headers = {"x-vault-request": "true"}
        if self.token is not None:
            headers["x-vault-token"] = self.token.reveal()
        if self._namespace:
            headers["x-vault-namespace"] = self._namespace
        if told is None:
            return self.service.ask(method, f"/v1/{path}", headers)
        headers["content-type"] = "application/json"
        return self.service.ask(method, f"/v1/{path}", headers, json.dumps(told).encode())


class AwsKey(NamedTuple):
    """An access key of AWS."""

    id: str
    secret: Secret
    token: Secret | None = None
    """Goes with temporary ones."""


class Aws:
    """A JSON API of AWS: every question is signed (``crypto/sigv4.py``)."""

    def __init__(self, service: Service, api: str, region: str, name: str, key: AwsKey) -> None:
        """Ask ``service``. ``api`` stands before each question (``secretsmanager``), ``name`` in signatures."""
        self.service, self._api, self._token = service, api, key.token
        self._signer = Signer(key.id, key.secret, region, name)

    def ask(self, what: str, told: Mapping[str, Any]) -> Answer:
        """Ask one question. Raises as ``Service.ask``."""
        body = json.dumps(told).encode()
        headers = {
            "host": self.service.place,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{self._api}.{what}",
        }
        if self._token is not None:
            headers["x-amz-security-token"] = self._token.reveal()
        return self.service.ask("POST", "/", self._signer.sign("POST", "/", headers, body, clock.system()), body)
