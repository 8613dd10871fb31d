"""What programs under the supervisor find in their environment, and LVM in its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dmtable.control.folder import MachineFolder

_MARK = "DMTABLE_EXEC"
"""Names the machine's folder to whoever runs under its supervisor."""

_LVM_CONF = """\
# Written by `dmtable exec`; what you change here it leaves alone.
devices {{
	obtain_device_list_from_udev = 0
	external_device_info_source = "none"
	use_devicesfile = 0
	multipath_component_detection = 0
	md_component_detection = 0
	hints = "none"
}}
global {{
	locking_dir = "{lvm}/lock"
	use_lvmpolld = 0
	event_activation = 0
	notify_dbus = 0
}}
activation {{
	udev_sync = 0
	udev_rules = 0
	monitoring = 0
}}
backup {{
	backup_dir = "{lvm}/backup"
	archive_dir = "{lvm}/archive"
}}
"""


def environment(folder: MachineFolder, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for programs; what is set already stays. Writes LVM's settings where there are none."""
    path = f"{folder.lvm}/lvm.conf"
    if not os.path.exists(path):
        new = f"{path}.{os.getpid()}"
        with open(new, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(_LVM_CONF.format(lvm=folder.lvm))
        os.replace(new, path)
    return {"LVM_SYSTEM_DIR": folder.lvm, **environ, "DM_DISABLE_UDEV": "1", _MARK: folder.path}


def outer_machine(environ: Mapping[str, str]) -> MachineFolder | None:
    """The machine whose supervisor serves this process already: there can be one only."""
    path = environ.get(_MARK)
    return MachineFolder(path) if path else None
