"""The proving ground: simulated time, failing disks and links, the explorer of crash states, and the order checker.

    from dmtable.sim import Explorer, Subject, small_workloads

    class MySubject(Subject): ...

    explorer = Explorer(MySubject())
    for workload in small_workloads(MySubject.device_sectors, writes=2):
        explorer.explore(workload)

Names are loaded when first used: whoever only judges images loads the order checker alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmtable.on_demand import names_on_demand

if TYPE_CHECKING:
    from dmtable.sim.breach import Breach as Breach
    from dmtable.sim.breach import Flaw as Flaw
    from dmtable.sim.cache import Image as Image
    from dmtable.sim.cache import blank as blank
    from dmtable.sim.choices import Choices as Choices
    from dmtable.sim.choices import Ordinary as Ordinary
    from dmtable.sim.choices import Scripted as Scripted
    from dmtable.sim.choices import Seeded as Seeded
    from dmtable.sim.choices import exhaustive as exhaustive
    from dmtable.sim.deadlock import Deadlock as Deadlock
    from dmtable.sim.deadlock import Livelock as Livelock
    from dmtable.sim.deadlock import WouldBlock as WouldBlock
    from dmtable.sim.disk import SimDisk as SimDisk
    from dmtable.sim.explorer import Explorer as Explorer
    from dmtable.sim.explorer import Flawed as Flawed
    from dmtable.sim.explorer import Statistics as Statistics
    from dmtable.sim.faults import Call as Call
    from dmtable.sim.faults import Fault as Fault
    from dmtable.sim.faults import FaultRates as FaultRates
    from dmtable.sim.faults import Faults as Faults
    from dmtable.sim.faults import Ill as Ill
    from dmtable.sim.faults import Strike as Strike
    from dmtable.sim.faults import every_call as every_call
    from dmtable.sim.ink import Blot as Blot
    from dmtable.sim.ink import stamp as stamp
    from dmtable.sim.ink import tag_of as tag_of
    from dmtable.sim.ink import tags as tags
    from dmtable.sim.ink import tags_of_bytes as tags_of_bytes
    from dmtable.sim.link import Link as Link
    from dmtable.sim.link import LinkedDevice as LinkedDevice
    from dmtable.sim.order import Entry as Entry
    from dmtable.sim.order import History as History
    from dmtable.sim.order import Prefix as Prefix
    from dmtable.sim.order import Violation as Violation
    from dmtable.sim.playback import replay as replay
    from dmtable.sim.playback import shrink as shrink
    from dmtable.sim.power import Power as Power
    from dmtable.sim.power import PowerLoss as PowerLoss
    from dmtable.sim.runtime import SimRuntime as SimRuntime
    from dmtable.sim.script import Script as Script
    from dmtable.sim.subject import Entered as Entered
    from dmtable.sim.subject import Group as Group
    from dmtable.sim.subject import Subject as Subject
    from dmtable.sim.workload import Flush as Flush
    from dmtable.sim.workload import Workload as Workload
    from dmtable.sim.workload import Write as Write
    from dmtable.sim.workload import Zero as Zero
    from dmtable.sim.workload import any_workload as any_workload
    from dmtable.sim.workload import small_workloads as small_workloads
    from dmtable.sim.world import World as World

_HOME = {
    "Image": "dmtable.sim.cache",
    "blank": "dmtable.sim.cache",
    "Choices": "dmtable.sim.choices",
    "Ordinary": "dmtable.sim.choices",
    "Scripted": "dmtable.sim.choices",
    "Seeded": "dmtable.sim.choices",
    "exhaustive": "dmtable.sim.choices",
    "Deadlock": "dmtable.sim.deadlock",
    "Livelock": "dmtable.sim.deadlock",
    "WouldBlock": "dmtable.sim.deadlock",
    "SimDisk": "dmtable.sim.disk",
    "Explorer": "dmtable.sim.explorer",
    "Flawed": "dmtable.sim.explorer",
    "Statistics": "dmtable.sim.explorer",
    "Call": "dmtable.sim.faults",
    "Fault": "dmtable.sim.faults",
    "FaultRates": "dmtable.sim.faults",
    "Faults": "dmtable.sim.faults",
    "Ill": "dmtable.sim.faults",
    "Strike": "dmtable.sim.faults",
    "every_call": "dmtable.sim.faults",
    "Breach": "dmtable.sim.breach",
    "Flaw": "dmtable.sim.breach",
    "Blot": "dmtable.sim.ink",
    "stamp": "dmtable.sim.ink",
    "tag_of": "dmtable.sim.ink",
    "tags": "dmtable.sim.ink",
    "tags_of_bytes": "dmtable.sim.ink",
    "Link": "dmtable.sim.link",
    "LinkedDevice": "dmtable.sim.link",
    "Entry": "dmtable.sim.order",
    "History": "dmtable.sim.order",
    "Prefix": "dmtable.sim.order",
    "Violation": "dmtable.sim.order",
    "replay": "dmtable.sim.playback",
    "shrink": "dmtable.sim.playback",
    "Power": "dmtable.sim.power",
    "PowerLoss": "dmtable.sim.power",
    "SimRuntime": "dmtable.sim.runtime",
    "Script": "dmtable.sim.script",
    "Entered": "dmtable.sim.subject",
    "Group": "dmtable.sim.subject",
    "Subject": "dmtable.sim.subject",
    "Flush": "dmtable.sim.workload",
    "Workload": "dmtable.sim.workload",
    "Write": "dmtable.sim.workload",
    "Zero": "dmtable.sim.workload",
    "any_workload": "dmtable.sim.workload",
    "small_workloads": "dmtable.sim.workload",
    "World": "dmtable.sim.world",
}

__all__ = sorted(_HOME)
__getattr__ = names_on_demand(__name__, _HOME)


def __dir__() -> list[str]:
    return list(__all__)
