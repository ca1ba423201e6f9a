"""Secrets from elsewhere: who may link them, what they are fenced by, and that nothing stale or foreign comes."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Conflict, Corrupt, Denied, Failed, Invalid, Missing, SluiceError
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Grant
from sluicegate.base.sources import Source
from sluicegate.guard.vault import SECRET_MAX
from tests.fixtures import keepers
from tests.fixtures.server import Place

BAO = """\
kind: connection
name: bao
type: openbao
url: {url}
mount: {mount}
token: {{ secret: {token} }}
ca: |
{ca}
"""


@pytest.fixture
def bao(tmp_path):
    with keepers.serving(keepers.BaoKeeper(tmp_path)) as running:
        running.kv["shop/warehouse"] = [{"password": "canary-one"}]
        yield running


@pytest.fixture
def place(tmp_path, monkeypatch):
    for tenant in ("north", "south"):
        (tmp_path / tenant).mkdir()
        (tmp_path / tenant / "password").write_text(f"canary of {tenant}\n")
        monkeypatch.setenv(f"{tenant.upper()}_PASSWORD", f"canary in {tenant}")
    granted = [Source(tenant=each, prefix=f"{each.upper()}_", folder=tmp_path / each) for each in ("north", "south")]
    made = Place(tmp_path / "home", egress=(Grant(host="localhost"),), sources=tuple(granted)).settle()
    yield made
    made.close()


def document(bao, mount="secret", token="bao-token"):
    ca = "\n".join(f"  {line}" for line in bao.ca.read_text().splitlines())
    return BAO.format(url=bao.url, mount=mount, token=token, ca=ca)


def apply(place, source, role=Role.EDITOR):
    return place.call("definition.apply", {"source": source}, place.token(role))


def link(place, reference, name="linked", role=Role.ADMINISTRATOR, tenant="north"):
    return place.call("secret.link", {"name": name, "reference": reference}, place.token(role, tenant))


def put(place, name, value):
    return place.call("secret.set", {"name": name, "value": value}, place.token(Role.EDITOR))


def use(place, name="linked", tenant="north"):
    return place.app.services.sources.use(place.scope(tenant), name, purpose="a test").reveal()


@pytest.fixture
def linked(place, bao):
    apply(place, document(bao))
    put(place, "bao-token", keepers.TOKEN)
    link(place, "bao:shop/warehouse#password")
    return bao


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_it_is_fetched_for_a_use_and_held_for_a_minute(place, linked):
    assert [use(place), use(place)] == ["canary-one"] * 2
    assert len(linked.asked) == 1
    linked.kv["shop/warehouse"].append({"password": "canary-two"})
    assert use(place) == "canary-one"
    place.app.services.sources.cache.clear()  # as its time does
    assert use(place) == "canary-two"


@pytest.mark.security
@pytest.mark.req("SEC-V01", "SEC-V02", "SEC-V12")
def test_it_is_on_record_by_name_and_source_and_nowhere_by_value(place, linked):
    before = place.head()
    use(place)
    linked.fault = 403
    place.app.services.sources.cache.clear()
    with pytest.raises(Failed):
        use(place)
    told = [(each["action"], each["result"], each["about"].get("source")) for each in place.records(after=before)]
    here = ("secret.use", "ok", "bao:shop/warehouse#password")
    assert told == [here, ("secret.use", "ok", None), here, ("secret.use", "ok", None),
                    ("secret.fetch", "failed", "bao:shop/warehouse#password")]  # fmt: skip
    assert not [file for file in place.files() if b"canary-one" in file.read_bytes()]
    shown = place.call("secret.list", {}, place.token(Role.OPERATOR)).model_dump_json()
    assert "bao:shop/warehouse#password" in shown
    assert "canary" not in shown + str(place.records())


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_it_fails_closed_with_one_clear_error_and_comes_again(place, linked):
    use(place)
    place.app.services.sources.cache.clear()
    linked.fault = 503
    with pytest.raises(Failed, match="The secret 'linked' does not come from bao: OpenBao answers 503") as told:
        use(place)
    assert "canary" not in f"{told.value} {told.value.hint}"
    linked.fault = None
    assert use(place) == "canary-one"


@pytest.mark.security
@pytest.mark.req("SEC-V12")
@pytest.mark.parametrize("value", ["", "a\0b", "x" * (SECRET_MAX + 1), "\ud800"])
def test_what_could_not_have_been_set_is_not_taken(place, linked, value):
    linked.kv["shop/warehouse"].append({"password": value})
    with pytest.raises(Failed, match="does not come from bao"):
        use(place)


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_who_asks_at_once_shares_one_fetch(place, linked):
    linked.hold.clear()
    given = []
    threads = [threading.Thread(target=lambda: given.append(use(place))) for _ in range(4)]
    for each in threads:
        each.start()
    while not linked.asked:
        threading.Event().wait(0.01)
    threading.Event().wait(0.2)
    linked.hold.set()
    for each in threads:
        each.join(10)
    assert (given, len(linked.asked)) == (["canary-one"] * 4, 1)


# -- who may say where from ------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-V12", "SEC-V08")
def test_an_editor_has_nothing_of_the_manager_s_sent_anywhere(place, linked):
    linked.kv["shop/root"] = [{"password": "canary of somebody else"}]
    with pytest.raises(Denied):
        link(place, "bao:shop/root#password", "mine", Role.EDITOR)
    linked.tokens["bao-canary-mine"] = ("other/",)
    apply(place, document(linked, token="mine"))  # another credential: what was linked by the first is not his to move
    put(place, "mine", "bao-canary-mine")
    with pytest.raises(Failed, match="not what it was when this secret was linked"):
        use(place)
    apply(place, document(linked))
    assert use(place) == "canary-one"


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_source_that_leads_elsewhere_loses_its_credential_and_its_links(place, linked):
    use(place)
    moved = apply(place, document(linked).replace("localhost", "evil.example"))
    assert moved.items[0].cleared == ("bao-token",)
    with pytest.raises(Failed, match="not what it was"):
        use(place)
    apply(place, document(linked))
    with pytest.raises(Failed, match="signs in with the secret 'bao-token', which is not set"):
        use(place)


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_what_is_held_ends_with_the_credential_it_came_by(place, linked):
    assert use(place) == "canary-one"
    put(place, "bao-token", "bao-canary-wrong")
    with pytest.raises(Failed, match="does not let us read"):
        use(place)
    place.call("secret.delete", {"name": "bao-token"}, place.token(Role.EDITOR))
    with pytest.raises(Failed, match="not set"):
        use(place)


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_a_source_is_signed_in_to_with_what_is_kept_here(place, linked, tmp_path):
    with pytest.raises(Conflict, match="signs in with this secret"):
        link(place, "bao:shop/warehouse#password", "bao-token")
    place.app.services.vault.link(place.scope("north"), "bao-token", _link_of(place))  # past the check
    with pytest.raises(Failed, match="comes from a source itself"):
        use(place)
    (tmp_path / "north" / "token").write_text(keepers.TOKEN)
    link(place, "file:token", "bao-token")
    assert use(place) == "canary-one"


def _link_of(place):
    return place.app.services.vault.find(place.scope("north"), "linked", purpose="a test")


@pytest.mark.security
@pytest.mark.req("SEC-V03", "SEC-V12")
def test_who_can_write_to_the_store_alone_leads_no_secret_elsewhere(place, linked):
    linked.kv["shop/root"] = [{"password": "canary of somebody else"}]
    put(place, "plain", "a value")
    for name, reference in (("linked", "bao:shop/root#password"), ("linked", ""), ("plain", "bao:shop/root#password")):
        before = place.scope("north").secrets().get(name).reference
        _write(place, name, reference)
        with pytest.raises(Corrupt):
            use(place, name)
        _write(place, name, before)
    assert use(place) == "canary-one"


def _write(place, name, reference):
    from sqlalchemy import update

    from sluicegate.store.tables import secrets as s

    with place.scope("north").writing() as connection:
        connection.execute(update(s).where(s.c.name == name).values(reference=reference))


def test_a_source_stays_while_secrets_come_from_it(place, linked):
    with pytest.raises(Invalid, match="the secret 'linked' comes from it"):
        place.call("connection.delete", {"name": "bao"}, place.token(Role.EDITOR))
    put(place, "linked", "kept here now")
    assert use(place) == "kept here now"
    place.call("connection.delete", {"name": "bao"}, place.token(Role.EDITOR))


@pytest.mark.parametrize(
    ("reference", "kind", "message"),
    [
        ("none:a#b", Missing, "no connection"), ("here:a#b", Invalid, "keeps no secrets"),
        ("bao:shop/warehouse", Invalid, "which field"), ("environment:lower", Invalid, "capital letters"),
        ("environment:A#b", Invalid, "no versions"), ("file:a?version=1", Invalid, "no versions"),
    ],
)  # fmt: skip
def test_a_reference_that_can_lead_nowhere_is_refused_when_it_is_linked(place, bao, reference, kind, message):
    apply(place, document(bao))
    apply(place, "kind: connection\nname: here\ntype: files\n")
    with pytest.raises(kind, match=message):
        link(place, reference)
    assert not place.call("secret.list", {}, place.token(Role.EDITOR)).items


def test_a_test_says_whether_it_comes_and_not_what(place, linked):
    told = place.call("secret.test", {"name": "linked"}, place.token(Role.OPERATOR))
    assert told.answer == "It comes from bao:shop/warehouse#password."
    assert place.call("secret.test", {"name": "bao-token"}, place.token(Role.OPERATOR)).answer == "It is kept here."


@pytest.mark.slow
def test_a_source_is_tested_as_a_connection_and_what_it_gives_goes_to_the_task(place, linked):
    told = place.call("connection.test", {"name": "bao"}, place.token(Role.OPERATOR))
    assert told.answer == "OpenBao, signed in; the token is good for 3600 s"
    with pytest.raises(SluiceError, match="keeps secrets"):
        apply(place, "kind: flow\nname: f\nsteps: [{read: {name: a, connection: bao, item: x}}]\n")


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_a_job_has_the_secrets_of_its_connections_wherever_they_are_kept(place, linked):
    shop = "kind: connection\nname: shop\ntype: postgres\nhost: db.example.org\ndatabase: d\nuser: u\n"
    apply(place, shop + "password: { secret: linked }\n")
    builder, scope = place.app.worker._builder, place.scope("north")
    job = builder.explore(scope, "test", {"connection": "shop"})
    assert {name: value.reveal() for name, value in job.secrets.items()} == {"linked": "canary-one"}
    place.app.services.sources.cache.clear()
    linked.fault = 503
    with pytest.raises(Failed, match="does not come from bao"):
        builder.explore(scope, "test", {"connection": "shop"})


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_linked_name_goes_to_one_server_as_every_secret_does(place, linked):
    shop = (
        "kind: connection\nname: {}\ntype: postgres\nhost: {}\ndatabase: d\nuser: u\npassword: {{ secret: linked }}\n"
    )
    apply(place, shop.format("shop", "db.example.org"))
    with pytest.raises(Invalid, match="leads elsewhere"):
        apply(place, shop.format("thief", "evil.example"))
    assert apply(place, shop.format("shop", "evil.example")).items[0].cleared == ("linked",)
    with pytest.raises(Missing):
        use(place)


# -- this machine ----------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-V12", "SEC-Z03")
@pytest.mark.parametrize("tenant", ["north", "south"])
def test_each_tenant_has_its_own_part_of_environment_and_files(place, tenant):
    link(place, "environment:PASSWORD", "from-env", tenant=tenant)
    link(place, "file:password", "from-file", tenant=tenant)
    assert use(place, "from-env", tenant) == f"canary in {tenant}"
    assert use(place, "from-file", tenant) == f"canary of {tenant}"


@pytest.mark.security
@pytest.mark.req("SEC-V12", "SEC-Z03")
def test_a_tenant_without_a_grant_has_nothing_of_this_machine(place, tmp_path):
    place.app.services.sources._granted = {}
    for reference in ("environment:PASSWORD", "file:password"):
        with pytest.raises(Invalid, match="nothing comes from"):
            link(place, reference)


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_a_grant_that_is_taken_back_ends_what_was_linked(place):
    link(place, "file:password")
    assert use(place) == "canary of north"
    place.app.services.sources._granted = {}
    with pytest.raises(Invalid, match="nothing comes from file"):
        use(place)


@pytest.mark.security
@pytest.mark.req("SEC-F06", "SEC-V12", "SEC-Z03")
def test_nothing_outside_a_tenant_s_folder_is_read(place, tmp_path):
    inside, south = tmp_path / "north", tmp_path / "south" / "password"
    (inside / "link").symlink_to(south)
    (inside / "up").symlink_to("../south")
    (inside / "hard").hardlink_to(south)
    (inside / "folder").mkdir()
    (inside / "open").write_text("canary")
    (inside / "open").chmod(0o666)
    for path in ("link", "up/password", "hard", "folder", "open", "none"):
        link(place, f"file:{path}")
        with pytest.raises(SluiceError) as told:
            use(place)
        assert "canary" not in f"{told.value} {told.value.hint}"
    for path in ("../south/password", "/etc/passwd", "a/../../south/password"):
        with pytest.raises(SluiceError):
            link(place, f"file:{path}")


def test_a_mount_as_kubernetes_makes_it_is_read_and_one_line_end_is_not_the_secret_s(place, tmp_path):
    inside = tmp_path / "north"
    (inside / "..2026_01").mkdir()
    (inside / "..data").symlink_to("..2026_01")
    (inside / "mounted").symlink_to("..data/mounted")
    link(place, "file:mounted")
    for raw, value in ((b"v", "v"), (b"v\n", "v"), (b"v\r\n", "v"), (b"v\n\n", "v\n"), (b"v\r", "v\r"),
                       (b"x" * SECRET_MAX + b"\n", "x" * SECRET_MAX)):  # fmt: skip
        (inside / "..2026_01" / "mounted").write_bytes(raw)
        assert use(place) == value
    for raw in (b"", b"\n", b"\xff", b"a\0b", b"x" * (SECRET_MAX + 1)):
        (inside / "..2026_01" / "mounted").write_bytes(raw)
        with pytest.raises(Failed, match="does not come from file"):
            use(place)


def test_a_variable_that_is_not_there_is_named(place, monkeypatch):
    link(place, "environment:PASSWORD")
    monkeypatch.delenv("NORTH_PASSWORD")
    with pytest.raises(Failed, match="has no NORTH_PASSWORD"):
        use(place)


def test_a_secret_that_is_kept_here_comes_from_here(place):
    put(place, "plain", "a value")
    assert use(place, "plain") == "a value"
    with pytest.raises(Missing):
        use(place, "none")
    assert isinstance(place.app.services.sources.use(place.scope("north"), "plain", purpose="x"), Secret)
