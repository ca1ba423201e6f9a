import io
import os

import pytest

from sluicegate.base.errors import Corrupt
from sluicegate.crypto.scratch import BLOCK, Scratch


@pytest.fixture
def written():
    file, blocks = io.BytesIO(), [os.urandom(BLOCK), os.urandom(BLOCK), b"canary " * 100]
    made = Scratch(file)
    for each in blocks:
        made.append(each)
    return made, file, blocks


def test_blocks_come_back_in_any_order(written):
    made, _, blocks = written
    assert [made.read(each) for each in (2, 0, 1, 2)] == [blocks[2], blocks[0], blocks[1], blocks[2]]


@pytest.mark.security
def test_what_lies_on_the_disk_says_nothing_and_no_other_key_opens_it(written):
    _, file, blocks = written
    assert b"canary" not in file.getvalue()
    other = io.BytesIO()
    again = Scratch(other)
    for each in blocks:
        again.append(each)
    assert other.getvalue() != file.getvalue()
    other.seek(0)
    other.write(file.getvalue())
    with pytest.raises(Corrupt):
        again.read(0)


@pytest.mark.security
def test_a_changed_moved_or_missing_block_is_found(written):
    made, file, _ = written
    whole = file.getvalue()
    size = BLOCK + 16
    for wrong in (bytes([whole[0] ^ 1]) + whole[1:], whole[size : 2 * size] + whole[:size] + whole[2 * size :], b""):
        file.seek(0)
        file.truncate()
        file.write(wrong)
        with pytest.raises(Corrupt):
            made.read(0)
    for number in (-1, 3):
        with pytest.raises(Corrupt):
            made.read(number)
