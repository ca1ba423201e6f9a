"""``aws_secrets``: secrets in AWS Secrets Manager, by its JSON API (docs.aws.amazon.com, GetSecretValue)."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from pydantic import Field

from sluicegate.base.errors import Failed, Invalid, SignInRefused
from sluicegate.base.secret import Secret
from sluicegate.kit.connection import Connection, SecretName
from sluicegate.kit.service import URL, Answer, Aws, AwsKey, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.kit.context import Context
    from sluicegate.kit.reference import Reference

_CALLED = "AWS Secrets Manager"
_LIMIT = 512 * 1024  # a secret holds 64 KiB at the most; JSON may spell each byte in six
_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,512}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DENIED, _FORBIDDEN = "AccessDeniedException", 403
_KEYS = frozenset(
    {"UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId", "IncompleteSignatureException",
     "ExpiredTokenException", "MissingAuthenticationTokenException", "SignatureDoesNotMatch", "AuthFailure"}
)  # fmt: skip


class AwsSecrets(Connection):
    """Secrets in AWS Secrets Manager, for other connections."""

    type: Literal["aws_secrets"] = "aws_secrets"
    region: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")
    """Region."""
    endpoint: str = Field(default="", max_length=254, pattern=rf"^$|{URL}")
    """Another address than the region's, such as a VPC endpoint; must be allowed by the egress policy."""
    ca: str | None = Field(default=None, max_length=1 << 20)
    """Certificate authority that signs its certificate, as PEM text; the system's when absent."""
    access_key: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9]+$")
    """Access key id of a user that may read these secrets, and do nothing else."""
    secret_key: SecretName
    """Name of the secret that holds its secret access key."""
    session_token: SecretName | None = None
    """Name of the secret that holds the token of temporary credentials."""

    holds: ClassVar[Literal["tables", "files", "secrets"]] = "secrets"
    destination: ClassVar[frozenset[str]] = frozenset({"region", "endpoint", "ca"})

    def check_reference(self, reference: Reference) -> None:
        """See ``Connection.check_reference``."""
        if not _NAME.fullmatch(reference.path):
            raise Invalid("this cannot be the name or ARN of a secret", where="reference")

    @contextmanager
    def open(self, ctx: Context) -> Iterator[AwsSecretsSession]:
        """Hold the key; requests are signed one by one, so nobody signs in."""
        url = self.endpoint or f"https://secretsmanager.{self.region}.amazonaws.com"
        token = ctx.secret(self.session_token.secret) if self.session_token else None
        key = AwsKey(self.access_key, ctx.secret(self.secret_key.secret), token)
        with Service(ctx.net, url, _CALLED, ca=self.ca, limit=_LIMIT) as service:
            yield AwsSecretsSession(Aws(service, "secretsmanager", self.region, "secretsmanager", key))


class AwsSecretsSession:
    """Tests, GivesSecrets."""

    def __init__(self, aws: Aws) -> None:
        """Hold who asks."""
        self._aws = aws

    def test(self) -> str:
        """Ask for a secret that is not there: who is told so, or may not read it, holds a key that is good."""
        answer = self._aws.ask("GetSecretValue", {"SecretId": "sluicegate-test-of-this-connection"})
        if not answer.good and _reason(answer) not in (_DENIED, "ResourceNotFoundException"):
            self._refuse(answer, "a test")
        return f"{_CALLED}, the access key is good"

    def secret(self, reference: Reference) -> Secret:
        """Read one version: by its stage (``AWSPREVIOUS``) or its id; of JSON, one field."""
        told = {"SecretId": reference.path}
        if reference.version:
            told["VersionId" if _ID.fullmatch(reference.version) else "VersionStage"] = reference.version
        what = f"{reference.path!r}"
        answer = self._aws.ask("GetSecretValue", told)
        if not answer.good:
            self._refuse(answer, what)
        text = answer.body.get("SecretString")
        if not isinstance(text, str):
            raise self._failed(f"{what} holds no text.", "Binary secrets are not for connections: put it as text.")
        return Secret(self._field(text, reference.field, what) if reference.field else text)

    def _field(self, text: str, field: str, what: str) -> str:
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise self._failed(f"{what} is no JSON object, so it has no field {field!r}.", "Leave #FIELD out.")
        if field not in values:
            raise self._failed(f"{what} has no field {field!r}.", "Fields are spelt as they were put.")
        if not isinstance(values[field], str):
            raise self._failed(f"The field {field!r} of {what} is no text.", "Put it as text.")
        return str(values[field])

    def _refuse(self, answer: Answer, what: str) -> NoReturn:
        reason, place = _reason(answer), self._aws.service.place
        if reason in _KEYS or (answer.status == _FORBIDDEN and reason != _DENIED):
            hint = "Is the access key there and active, and this machine's clock right?"
            raise SignInRefused(f"{_CALLED} does not take the access key.", where=place, hint=hint)
        if reason == _DENIED:
            hint = "Its policy needs secretsmanager:GetSecretValue for it, and kms:Decrypt for its key."
            raise SignInRefused(f"{_CALLED} does not let us read {what}.", where=place, hint=hint)
        if reason == "ResourceNotFoundException":
            raise self._failed(f"{_CALLED} has no {what}.", "Check name, region and version.")
        raise self._failed(f"{_CALLED} answers {answer.status}.", "CloudTrail says more.")

    def _failed(self, message: str, hint: str) -> Failed:
        return Failed(message, where=self._aws.service.place, hint=hint)


def _reason(answer: Answer) -> str:
    """Return the kind of refusal; only known ones are told apart."""
    return str(answer.body.get("__type", "")).rpartition("#")[2]
