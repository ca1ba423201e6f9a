"""The seal of AWS KMS against moto: signatures checked by AWS's own library, contexts bound for real."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Corrupt, Unavailable
from sluicegate.base.seals import Kms
from sluicegate.base.secret import SecretText
from sluicegate.base.settings import Settings
from sluicegate.crypto.keys import new_key
from sluicegate.guard import seals
from tests.fixtures.moto import REGION, moto

__all__ = ["moto"]


def seal(moto, tmp_path, secret=""):
    kms = Kms(region=REGION, key="alias/sluicegate", endpoint=moto.url, ca=moto.ca, access_key=moto.access,
              secret_key=SecretText(secret or moto.secret))  # fmt: skip
    return seals.find("aws-kms", Settings(home=tmp_path, kms=kms))


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_kms_keeps_the_key_for_this_installation_and_this_access_key(moto, tmp_path):
    root = new_key()
    state = seal(moto, tmp_path).make(root).state
    assert seal(moto, tmp_path).open(state).raw == root.raw
    with pytest.raises((Corrupt, Unavailable)):
        seal(moto, tmp_path).open({**state, "by": "another installation"})
    with pytest.raises(Unavailable):
        seal(moto, tmp_path, "wrong").open(state)
