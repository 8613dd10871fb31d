"""dmtable: device-mapper tables, read, checked and run in user space.

    import dmtable

    for finding in dmtable.check("0 1024 linear /dev/sda 0\\n1000 24 zero\\n"):
        print(finding.code, finding.span.line, finding.what)

    with dmtable.DeviceMapper(root="disks") as dm:
        md = dm.create("vol", "0 2048 linear /dev/sda 0")
        md.pwrite(bytes(4096), 0)

Names are loaded when first used, so that `import dmtable` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmtable.on_demand import names_on_demand

if TYPE_CHECKING:
    from dmtable.checks import check as check
    from dmtable.core.device_mapper import DeviceMapper as DeviceMapper
    from dmtable.core.mapped_device import MappedDevice as MappedDevice
    from dmtable.errors import CtrError as CtrError
    from dmtable.errors import DeviceLookupError as DeviceLookupError
    from dmtable.errors import DmtableError as DmtableError
    from dmtable.errors import IoctlError as IoctlError
    from dmtable.errors import UsageError as UsageError
    from dmtable.io.device import BlockDevice as BlockDevice
    from dmtable.io.file import FileDevice as FileDevice
    from dmtable.io.memory import MemoryDevice as MemoryDevice
    from dmtable.language.diagnostics import Diagnostic as Diagnostic
    from dmtable.language.diagnostics import Severity as Severity
    from dmtable.language.diagnostics import TableError as TableError
    from dmtable.language.parser import parse as parse
    from dmtable.language.tree import Line as Line
    from dmtable.language.tree import Span as Span
    from dmtable.language.tree import Table as Table

__version__ = "0.4.0"

_HOME = {
    "check": "dmtable.checks",
    "DeviceMapper": "dmtable.core.device_mapper",
    "MappedDevice": "dmtable.core.mapped_device",
    "CtrError": "dmtable.errors",
    "DeviceLookupError": "dmtable.errors",
    "DmtableError": "dmtable.errors",
    "IoctlError": "dmtable.errors",
    "TableError": "dmtable.language.diagnostics",
    "UsageError": "dmtable.errors",
    "BlockDevice": "dmtable.io.device",
    "FileDevice": "dmtable.io.file",
    "MemoryDevice": "dmtable.io.memory",
    "Diagnostic": "dmtable.language.diagnostics",
    "Severity": "dmtable.language.diagnostics",
    "parse": "dmtable.language.parser",
    "Line": "dmtable.language.tree",
    "Span": "dmtable.language.tree",
    "Table": "dmtable.language.tree",
}

__all__ = sorted(_HOME)
__getattr__ = names_on_demand(__name__, _HOME)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
