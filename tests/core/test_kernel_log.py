"""The log of the emulated kernel keeps readable."""

from __future__ import annotations

from dmtable.core.kernel_log import KernelLog
from dmtable.sim.runtime import SimRuntime


def test_a_form_is_lost_beyond_ten_lines_in_five_seconds_and_others_are_not() -> None:
    runtime = SimRuntime()
    runtime.pass_time(100.0)
    log = KernelLog(runtime)
    for number in range(12):
        log.write_limited("region {}", number)
    runtime.pass_time(5.0)
    log.write_limited("region {}", 12)
    log.write_limited("leg {:#x}", 1)
    log.write("as it is: {}")
    written = [f"device-mapper: region {number}" for number in range(10)]
    assert [*log.lines] == [*written, "device-mapper: leg 0x1", "device-mapper: as it is: {}"]
    runtime.pass_time(0.1)
    for number in range(13, 25):
        log.write_limited("region {}", number)
    assert [*log.lines][12:] == [f"device-mapper: region {number}" for number in range(13, 23)]
