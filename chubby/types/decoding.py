"""What msgspec raises on bytes that are no message: besides its own errors those for text that is no UTF-8, for values
that a type refuses when it is made, and for nestings without bottom. Who decodes what others wrote catches all of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

MALFORMED: Final = (msgspec.MsgspecError, ValueError, RecursionError)
