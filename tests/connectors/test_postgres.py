from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fixtures.postgres import postgres, start, stop  # noqa: F401 - a fixture
from sluicegate.base.errors import Constraint, DataError, Failed, SluiceError, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.conformance.connection import CANARY, Given, NetworkSuite, chain
from sluicegate.conformance.rows import RowsSuite
from sluicegate.conformance.samples import table
from sluicegate.connectors.postgres import Postgres
from sluicegate.connectors.postgres.link import spell_item, split_item
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker
