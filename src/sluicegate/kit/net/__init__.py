"""The only way out over the network: every connection goes to an address that was checked, never to a name.

A host is resolved once, every address it gives is checked, and the socket is opened to a checked address; SNI, Host and
the certificate keep the name. All of it is in this package; what others use is named here.
"""

from sluicegate.kit.net.address import Address, Egress, Grant, Pinned, clean_host
from sluicegate.kit.net.client import HttpsClient, Reply
from sluicegate.kit.net.descriptors import (
    answers,
    free_port,
    local_pair,
    receive_descriptors,
    send_descriptors,
    why_taken,
)
from sluicegate.kit.net.loopback import Loopback
from sluicegate.kit.net.network import HOPS, Incoming, Net
from sluicegate.kit.net.smtp import Relay
from sluicegate.kit.net.smtp import send as send_mail
from sluicegate.kit.net.trust import system_authorities

__all__ = [
    "HOPS",
    "Address",
    "Egress",
    "Grant",
    "HttpsClient",
    "Incoming",
    "Loopback",
    "Net",
    "Pinned",
    "Relay",
    "Reply",
    "answers",
    "clean_host",
    "free_port",
    "local_pair",
    "receive_descriptors",
    "send_descriptors",
    "send_mail",
    "system_authorities",
    "why_taken",
]
