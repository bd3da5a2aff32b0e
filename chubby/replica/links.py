"""What travels on the links between replicas: the messages of Paxos, and digests."""

from __future__ import annotations

import msgspec

from chubby.paxos.messages import Message
from chubby.types.identity import Incarnation, Slot


class DigestReport(msgspec.Struct, frozen=True, tag=32):
    """The digest of the sender's machine right after it applied `slot` (16 bytes, big-endian)."""

    incarnation: Incarnation
    slot: Slot
    digest: bytes


LinkMessage = Message | DigestReport
