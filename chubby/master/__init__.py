"""What only the master remembers (chapter to follow with the code)."""

from chubby.master.effects import ChangeMembers, Deliver, EndStream, HandOver, MasterEffect, Propose
from chubby.master.master import Master
from chubby.master.settings import MasterSettings
from chubby.master.statistics import MasterStatistics

__all__ = [
    "ChangeMembers",
    "Deliver",
    "EndStream",
    "HandOver",
    "Master",
    "MasterEffect",
    "MasterSettings",
    "MasterStatistics",
    "Propose",
]
