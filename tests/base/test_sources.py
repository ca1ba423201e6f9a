from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.base.settings import load
from sluicegate.base.sources import Source


def settings(tmp_path, text):
    (tmp_path / "sluice.toml").write_text(text)
    return load({"SLUICE_HOME": str(tmp_path)}).sources


def test_what_a_tenant_may_take_is_a_table_of_its_own(tmp_path):
    text = '[[sources]]\ntenant = "a"\nprefix = "SLUICE_SECRET_A_"\n[[sources]]\ntenant = "b"\nfolder = "/run/b"\n'
    found = settings(tmp_path, text)
    assert [(each.tenant, each.prefix, str(each.folder)) for each in found] == [
        ("a", "SLUICE_SECRET_A_", "None"),
        ("b", "", "/run/b"),
    ]


@pytest.mark.security
@pytest.mark.req("SEC-V12", "SEC-Z03")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('prefix = "A_"', 'prefix = "A_B_"'), ('prefix = "A_"', 'prefix = "A_"'),
        ('folder = "/run/a"', 'folder = "/run/a/b"'), ('folder = "/run/a"', 'folder = "/run/a"'),
        ('folder = "/run/a/b"', 'folder = "/run/a"'),
    ],
)  # fmt: skip
def test_two_tenants_never_share_a_part_of_it(tmp_path, one, other):
    with pytest.raises(Invalid, match=r"overlap|lie in one another"):
        settings(tmp_path, f'[[sources]]\ntenant = "a"\n{one}\n[[sources]]\ntenant = "b"\n{other}\n')


@pytest.mark.security
def test_a_folder_by_another_name_is_the_same(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(Invalid, match="lie in one another"):
        settings(tmp_path, f'[[sources]]\ntenant = "a"\nfolder = "{tmp_path}/a"\n'
                           f'[[sources]]\ntenant = "b"\nfolder = "{tmp_path}/b"\n')  # fmt: skip


@pytest.mark.security
@pytest.mark.parametrize(
    "line",
    [
        "", 'prefix = "SLUICE_"', 'prefix = "SLUICE_SECRET_"', 'prefix = "SLUICE_STORE_"', 'prefix = "SLUICE_SEC_"',
        'prefix = "A"', 'prefix = "a_"', 'prefix = "_"', 'folder = "run"', 'folder = "/run/../etc"',
    ],
)  # fmt: skip
def test_what_would_open_too_much_is_refused(tmp_path, line):
    with pytest.raises(Invalid):
        settings(tmp_path, f'[[sources]]\ntenant = "a"\n{line}\n')


def test_a_tenant_stands_there_once(tmp_path):
    with pytest.raises(Invalid, match="twice"):
        settings(tmp_path, '[[sources]]\ntenant = "a"\nprefix = "A_"\n[[sources]]\ntenant = "a"\nprefix = "B_"\n')
    assert Source(tenant="a", prefix="A_").folder is None
