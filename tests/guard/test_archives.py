import pytest

from sluicegate.base.errors import Corrupt
from sluicegate.crypto.keys import Key
from sluicegate.crypto.manifest import Warrant, check, sign
from sluicegate.guard.archives import Archives

BODY = {"archive": {}, "content": {}, "seal": {}, "made": {"tenant": "t", "run": "r"}}


@pytest.mark.security
def test_a_warrant_is_of_this_installation_and_tenant():
    made, other = Archives(Key(b"\1" * 64)), Archives(Key(b"\2" * 64))
    warrant = Warrant.read(made.warrant("t", {"run": "r"}))
    check(sign(BODY, warrant), made.public)
    with pytest.raises(Corrupt):
        check(sign(BODY, warrant), other.public)
    with pytest.raises(Corrupt):
        check(sign({**BODY, "made": {"tenant": "u", "run": "r"}}, warrant), made.public)
    assert Archives(Key(b"\1" * 64)).public == made.public


@pytest.mark.security
def test_the_key_of_content_is_the_tenant_s_and_stays():
    made = Archives(Key(b"\1" * 64))
    keys = [Warrant.read(made.warrant(tenant, {})).content for tenant in ("t", "t", "u")]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.security
def test_a_warrant_hides_its_key():
    made = Archives(Key(b"\1" * 64)).warrant("t", {})
    assert "key" not in f"{made} {made!r}"
