"""Signatures of requests to AWS: version 4 with HMAC-SHA-256 (docs.aws.amazon.com, "Create a signed AWS API request").

For a path and no query: all that a JSON API needs. The tests hold AWS's own vectors.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from sluicegate.base.secret import Secret

_ALGORITHM = "AWS4-HMAC-SHA256"


class Signer:
    """Signs for one access key, region and service."""

    def __init__(self, access_key: str, secret_key: Secret, region: str, service: str) -> None:
        """Hold whose requests they are."""
        self._access_key, self._secret_key, self._region, self._service = access_key, secret_key, region, service

    def sign(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: float) -> dict[str, str]:
        """Return ``headers`` (lower-case names, ``host`` among them) with the date and the signature of all of them.

        ``path`` is signed as it is; ``at`` is in seconds since 1970.
        """
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
        dressed = {**headers, "x-amz-date": moment}
        names = ";".join(sorted(dressed))
        lines = "".join(f"{name}:{' '.join(dressed[name].split())}\n" for name in sorted(dressed))
        request = "\n".join((method, path, "", lines, names, hashlib.sha256(body).hexdigest()))
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
        key = b"AWS4" + self._secret_key.reveal().encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        told = f"{_ALGORITHM} Credential={self._access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**dressed, "authorization": told}
