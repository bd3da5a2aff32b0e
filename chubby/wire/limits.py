"""The protocol's ceilings: what no cell ever exceeds, whatever its configuration.

They protect a decoder from what cannot be meant. A cell's own limits (`chubby.types.limits` and its configuration) lie
below and are answered call by call with TOO_LARGE; what passes a ceiling here breaks the protocol and ends the stream,
so an encoder refuses it first.
"""

from __future__ import annotations

from typing import Final

CONTENT_CEILING: Final = 1024 * 1024
"""A node's content, bytes."""
ATTRIBUTES_CEILING: Final = 64 * 1024
"""Names (characters) and values (bytes) of an attribute map, in sum."""
TEXT_CEILING: Final = 4096
"""A path, name, address or principal, characters."""
TICKET_CEILING: Final = 2048
"""Ticket of a session or a handle, bytes. That of a handle names its path."""
SEQUENCER_CEILING: Final = 8192
"""A sequencer, bytes."""
TRANSACTION_CEILING: Final = 1024
"""Guards, operations and alternative operations of one transaction, in sum."""
FRAME_CEILING: Final = 1024 * 1024 + 512 * 1024
"""One encoded frame of a client, bytes: a content at its ceiling fits with all that may accompany it."""

CLIENT_PACKET_BYTES: Final = 2 * 1024 * 1024
"""The longest packet a master receives; frames at their ceiling fit."""
SERVER_PACKET_BYTES: Final = 64 * 1024 * 1024
"""The longest packet a client must be ready to receive: a transaction may read many files."""
PACKET_FRAMES: Final = 10_000
"""The most frames in one packet, either way."""

PACK_BYTES: Final = 256 * 1024
"""A packer starts another packet rather than pass this; only a single longer frame makes a longer packet."""
PACK_FRAMES: Final = 1000
"""A packer starts another packet rather than pass this."""
CHUNK_BYTES: Final = 256 * 1024
"""A slice of an exported snapshot."""
