from __future__ import annotations

from typing import get_origin

import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from sluicegate.base import settings
from sluicegate.base.errors import Invalid
from sluicegate.base.secret import MASK, SecretUrl
from sluicegate.base.settings import Settings

CANARY = "canary-hunter2"


def load(folder, text=None, **variables):
    if text is not None:
        (folder / "sluice.toml").write_text(text)
    return settings.load({"SLUICE_HOME": str(folder), **variables})


def test_without_a_file_all_is_as_it_comes(tmp_path):
    assert load(tmp_path).model_dump() == Settings(home=tmp_path).model_dump()


def test_the_file_wins_over_the_default_and_the_variable_over_the_file(tmp_path):
    text = "quarantine_days = 5\n[server]\nport = 1111\nthreads = 2\n"
    got = load(tmp_path, text, SLUICE_SERVER_PORT="2222")
    assert (got.server.port, got.server.threads, got.quarantine_days) == (2222, 2, 5)
    assert got.server.host == Settings().server.host
    assert load(tmp_path, text, SLUICE_QUARANTINE_DAYS="6").quarantine_days == 6


SAMPLES = {
    ("Vault", "seal"): "shamir", ("Passphrase", "memory"): "200000", ("Shamir", "shares"): "7", ("Shamir", "threshold"): "2",
    ("Transit", "url"): "https://bao.example:8200", ("Transit", "mount"): "keys/transit", ("Transit", "key"): "k",
    ("Kms", "region"): "eu-1", ("Kms", "endpoint"): "https://kms.example", ("Kms", "access_key"): "AKIA1",
}  # fmt: skip
"""What goes into settings that only take some."""
HIDDEN = {"SLUICE_MAIL_PASSWORD", "SLUICE_TRANSIT_TOKEN", "SLUICE_KMS_SECRET_KEY", "SLUICE_KMS_SESSION_TOKEN"}


def sample(model, name, field):
    if model.__name__ == "Overrides":
        return "fixed"
    text = {
        "password_length": "20",
        "support_hours": "7",
        "names": "a.example,b.example",
        "requests": "7/second",
        "public": "7/minute",
        "fallback": "true",
        "weakest": "require",
    }.get(name)
    text = {
        ("Mail", "tls"): "tls",
        ("Server", "url"): "https://a.example",
        ("Links", "reset"): "50",
        ("Vault", "suite"): "S2",
        ("Vault", "cache"): "30",
        ("Files", "seals"): "age,zip",
    }.get((model.__name__, name), text)
    if text is None:
        kind = field.annotation
        if kind is bool:
            return "no" if field.default else "yes"
        if kind is SecretUrl:
            return "postgresql://db.example/x"
        if (model.__name__, name) in SAMPLES:
            return SAMPLES[model.__name__, name]
        text = "200000" if model.__name__ == "Passwords" and name == "memory" else "300" if kind is int else "/x"
        text = {bool: str(not field.default), tuple: "10.0.0.0/8,::1/128"}.get(get_origin(kind) or kind, text)
        text = {"threads": "7", "runs": "7", "rounds": "7", "access": "200"}.get(name, text)
    return text


VARIABLES = {
    f"SLUICE_{table.upper()}_{name.upper()}": (table, name, sample(outer.annotation, name, field))
    for table, outer in Settings.model_fields.items()
    if isinstance(outer.annotation, type) and issubclass(outer.annotation, settings.Model)
    for name, field in outer.annotation.model_fields.items()
}


TOGETHER = {
    "SLUICE_MAIL_RELAY": {"SLUICE_MAIL_SENDER": "s@a.example"},
    "SLUICE_MAIL_USER": {"SLUICE_MAIL_PASSWORD": "p"},
    "SLUICE_MAIL_PASSWORD": {"SLUICE_MAIL_USER": "u"},
}
"""Variables that mean nothing alone, with what goes beside them."""


@pytest.mark.security
@pytest.mark.parametrize("variable", VARIABLES)
def test_every_setting_of_a_table_can_be_given_as_a_variable(tmp_path, variable):
    table, name, text = VARIABLES[variable]
    before = Settings().model_dump()[table][name]
    after = load(tmp_path, **TOGETHER.get(variable, {}), **{variable: text}).model_dump()[table][name]
    assert after != before
    assert type(after) in (tuple, bool) or str(after) == (MASK if variable in HIDDEN else text)


def test_names_are_a_list_with_or_without_blanks(tmp_path):
    assert load(tmp_path, SLUICE_SERVER_NAMES="a.example, b.example").server.names == ("a.example", "b.example")


@pytest.mark.security
@pytest.mark.parametrize(
    "text",
    ["prot = 1\n", "[server]\nprot = 1\n", "[sever]\nport = 1\n", "[[egress]]\nhost = 'a'\nproto = 'tcp'\n",
     "[server.tls]\nmin = 1\n"],
)  # fmt: skip
def test_an_unknown_setting_in_the_file_is_refused(tmp_path, text):
    with pytest.raises(Invalid, match="unknown key") as told:
        load(tmp_path, text)
    assert told.value.where == str(tmp_path / "sluice.toml")


@pytest.mark.security
@pytest.mark.parametrize(
    "name",
    ["SLUICE_PORT", "SLUICE_SERVER_PROT", "SLUICE_SERVER", "SLUICE_PASSWORDS_MEMROY", "SLUICE_PASSWORD_MEMORY", "SLUICE_",
     "SLUICE_HOMES", "SLUICE_URLS", "SLUICE_TENANTS", "SLUICE_DEBUG_ALL", "SLUICE_EGRESS_HOST"],
)  # fmt: skip
def test_an_unknown_variable_is_refused_and_never_ignored(tmp_path, name):
    with pytest.raises(Invalid) as told:
        load(tmp_path, **{name: CANARY})
    assert CANARY not in str(told.value)


def test_variables_that_are_no_settings_are_let_be(tmp_path):
    let = (
        "SLUICE_PASSWORD",
        "SLUICE_DEBUG",
        "SLUICE_URL",
        "SLUICE_TENANT",
        "SLUICE_SECRET_SHOP_PASSWORD",
        "PATH",
        "XSLUICE_A",
    )
    assert load(tmp_path, **dict.fromkeys(let, "x")).model_dump() == Settings(home=tmp_path).model_dump()


@pytest.mark.security
@pytest.mark.req("SEC-A01")
@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SLUICE_TOKENS_ACCESS", "301"), ("SLUICE_TOKENS_ACCESS", "0"), ("SLUICE_TOKENS_REFRESH", "99999999"),
        ("SLUICE_PASSWORDS_MEMORY", "19455"), ("SLUICE_PASSWORDS_ROUNDS", "1"), ("SLUICE_QUARANTINE_DAYS", "0"),
        ("SLUICE_SERVER_PORT", "65536"), ("SLUICE_SERVER_THREADS", "0"), ("SLUICE_LIMITS_RUNS", "0"), ("SLUICE_JAIL_SECONDS", "0"),
    ],
)  # fmt: skip
def test_no_setting_goes_below_the_floor(tmp_path, variable, text):
    with pytest.raises(Invalid) as told:
        load(tmp_path, **{variable: text})
    assert variable.split("_")[1].lower() in told.value.message


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_refused_setting_is_named_and_not_repeated(tmp_path):
    url = f"[store]\nurl = ['postgresql://app:{CANARY}@db/x']\n"
    with pytest.raises(Invalid) as told:
        load(tmp_path, url)
    assert "store.url" in told.value.message
    assert CANARY not in str(told.value)


@pytest.mark.parametrize("raw", [b"port = ", b"[server\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_not_toml_is_named(tmp_path, raw):
    (tmp_path / "sluice.toml").write_bytes(raw)
    with pytest.raises(Invalid, match="this is not TOML") as told:
        load(tmp_path)
    assert told.value.where == str(tmp_path / "sluice.toml")


def test_a_table_that_is_none_is_told_even_when_a_variable_adds_to_it(tmp_path):
    with pytest.raises(Invalid, match="server"):
        load(tmp_path, "server = 3\n", SLUICE_SERVER_PORT="1111")


def test_the_home_in_the_file_does_not_count(tmp_path):
    assert load(tmp_path, "home = '/elsewhere'\n").home == tmp_path


def test_ways_out_stand_in_the_file(tmp_path):
    got = load(tmp_path, "[[egress]]\nhost = '10.0.0.0/8'\nports = [5432]\n[[egress]]\nhost = 'db'\n")
    assert [(each.host, each.ports) for each in got.egress] == [("10.0.0.0/8", (5432,)), ("db", ())]


@pytest.mark.security
def test_nothing_is_opened_by_leaving_it_out():
    plain = Settings()
    assert plain.egress == ()
    assert plain.server.host == "127.0.0.1"
    assert plain.jail.fallback is False
    assert plain.tokens.access == 300
    assert "*" not in plain.server.names


def test_the_store_is_a_file_at_home_unless_an_address_is_given(tmp_path):
    assert load(tmp_path).store_url == f"sqlite:///{tmp_path}/store.db"
    assert load(tmp_path, SLUICE_STORE_URL="postgresql://a@b/c").store_url == "postgresql://a@b/c"
    assert load(tmp_path).data == tmp_path / "data"


def test_every_setting_is_described_once_with_help():
    rows = settings.describe()
    names = [name for name, _, _ in rows]
    assert len(set(names)) == len(names)
    assert {name for name in names if "." in name} == {f"{table}.{name}" for table, name, _ in VARIABLES.values()}
    assert "home" not in names
    assert {"egress", "quarantine_days"} <= set(names)
    assert all(help_ for _, _, help_ in rows)
    assert ("server.port", "8443") in [(name, default) for name, default, _ in rows]


@trials(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="ascii", exclude_characters="\0="), max_size=20), st.text(max_size=10))
def test_any_variable_is_a_setting_or_refused_by_name(tmp_path_factory, tail, text):
    name = "SLUICE_" + tail.upper()
    try:
        load(tmp_path_factory.getbasetemp() / "nowhere", **{name: text})
    except Invalid as fault:
        assert name in fault.where or "variables" in fault.where
