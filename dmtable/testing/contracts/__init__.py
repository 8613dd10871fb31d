"""What any block device, target, log or site link must do: inherit a contract in a test class.

Needs pytest and hypothesis, which the extra `dmtable[testing]` brings.
"""

from __future__ import annotations

from dmtable.testing.extra import needs_extra

with needs_extra("the contracts"):
    from dmtable.testing.contracts.block_device import BlockDeviceContract as BlockDeviceContract
    from dmtable.testing.contracts.dirty_log import DirtyLogContract as DirtyLogContract
    from dmtable.testing.contracts.model import Origin as Origin
    from dmtable.testing.contracts.replog import ReplicationLogContract as ReplicationLogContract
    from dmtable.testing.contracts.slink import SiteLinkContract as SiteLinkContract
    from dmtable.testing.contracts.slink_bench import SiteBench as SiteBench
    from dmtable.testing.contracts.target import TargetContract as TargetContract
    from dmtable.testing.contracts.target_words import Example as Example
    from dmtable.testing.contracts.target_words import Refused as Refused
