from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.base.secret import Secret
from sluicegate.engine.job import Job


def test_a_job_survives_the_pipe():
    job = Job(
        "run", "r", Path("/tmp/x"), params={"a": 1}, secrets={"s": Secret("hunter2")}, quarantine_folder=Path("/q")
    )
    found = Job.unpack(job.pack())
    assert found.secrets["s"].reveal() == "hunter2"
    assert (found.root, found.params, found.quarantine_folder) == (job.root, job.params, job.quarantine_folder)


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_job_does_not_show_its_secrets():
    job = Job("run", "r", Path("/x"), secrets={"s": Secret("hunter2-canary")})
    assert "canary" not in repr(job)
    assert "canary" not in str(job)
