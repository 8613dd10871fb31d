"""What tests of other projects use: strategies, contract suites, a state machine, fixtures for pytest.

    from hypothesis import given
    from dmtable.testing import ValidTable, tables

    @given(tables())
    def test_my_loader(table: ValidTable) -> None: ...

Names are loaded when first used: pytest loads this package wherever dmtable is installed, for its plugin's sake.
Needs pytest and Hypothesis, which the extra `dmtable[testing]` brings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmtable.on_demand import names_on_demand

if TYPE_CHECKING:
    from dmtable.testing.contracts.block_device import BlockDeviceContract as BlockDeviceContract
    from dmtable.testing.contracts.dirty_log import DirtyLogContract as DirtyLogContract
    from dmtable.testing.contracts.model import Origin as Origin
    from dmtable.testing.contracts.replog import ReplicationLogContract as ReplicationLogContract
    from dmtable.testing.contracts.slink import SiteLinkContract as SiteLinkContract
    from dmtable.testing.contracts.slink_bench import SiteBench as SiteBench
    from dmtable.testing.contracts.target import TargetContract as TargetContract
    from dmtable.testing.contracts.target_words import Example as Example
    from dmtable.testing.contracts.target_words import Refused as Refused
    from dmtable.testing.damage import DamagedTable as DamagedTable
    from dmtable.testing.damage import damaged_tables as damaged_tables
    from dmtable.testing.lifecycle import LifeCycle as LifeCycle
    from dmtable.testing.model import Model as Model
    from dmtable.testing.replicators import ReplicatorTable as ReplicatorTable
    from dmtable.testing.replicators import replicator_tables as replicator_tables
    from dmtable.testing.simulations import DrawnChoices as DrawnChoices
    from dmtable.testing.simulations import fault_schedules as fault_schedules
    from dmtable.testing.simulations import faults as faults
    from dmtable.testing.simulations import operations as operations
    from dmtable.testing.simulations import workloads as workloads
    from dmtable.testing.valid_tables import DeviceSet as DeviceSet
    from dmtable.testing.valid_tables import NamedDevice as NamedDevice
    from dmtable.testing.valid_tables import Stack as Stack
    from dmtable.testing.valid_tables import ValidTable as ValidTable
    from dmtable.testing.valid_tables import device_sets as device_sets
    from dmtable.testing.valid_tables import stacks as stacks
    from dmtable.testing.valid_tables import tables as tables

_HOME = {
    "BlockDeviceContract": "dmtable.testing.contracts.block_device",
    "DirtyLogContract": "dmtable.testing.contracts.dirty_log",
    "Origin": "dmtable.testing.contracts.model",
    "ReplicationLogContract": "dmtable.testing.contracts.replog",
    "SiteLinkContract": "dmtable.testing.contracts.slink",
    "SiteBench": "dmtable.testing.contracts.slink_bench",
    "TargetContract": "dmtable.testing.contracts.target",
    "Example": "dmtable.testing.contracts.target_words",
    "Refused": "dmtable.testing.contracts.target_words",
    "DamagedTable": "dmtable.testing.damage",
    "damaged_tables": "dmtable.testing.damage",
    "LifeCycle": "dmtable.testing.lifecycle",
    "Model": "dmtable.testing.model",
    "ReplicatorTable": "dmtable.testing.replicators",
    "replicator_tables": "dmtable.testing.replicators",
    "DrawnChoices": "dmtable.testing.simulations",
    "fault_schedules": "dmtable.testing.simulations",
    "faults": "dmtable.testing.simulations",
    "operations": "dmtable.testing.simulations",
    "workloads": "dmtable.testing.simulations",
    "DeviceSet": "dmtable.testing.valid_tables",
    "NamedDevice": "dmtable.testing.valid_tables",
    "Stack": "dmtable.testing.valid_tables",
    "ValidTable": "dmtable.testing.valid_tables",
    "device_sets": "dmtable.testing.valid_tables",
    "stacks": "dmtable.testing.valid_tables",
    "tables": "dmtable.testing.valid_tables",
}

__all__ = sorted(_HOME)
_load = names_on_demand(__name__, _HOME)


def __getattr__(name: str) -> Any:
    from dmtable.testing.extra import needs_extra

    with needs_extra("the tools of dmtable.testing"):
        return _load(name)


def __dir__() -> list[str]:
    return list(__all__)
