"""The state machine finds nothing in the emulator, and finds each of these faults in broken ones."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from dmtable.core.bio import Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.table import Lines, TargetSpec
from dmtable.errors import IoctlError
from dmtable.language.parser import parse
from dmtable.language.tree import Table
from dmtable.sim.runtime import SimRuntime
from dmtable.testing.lifecycle import LifeCycle
from dmtable.testing.model import Model
from dmtable.testing.valid_tables import DeviceSet, NamedDevice

QUICK = settings(max_examples=30, stateful_step_count=40, suppress_health_check=list(HealthCheck))
SEARCH = settings(
    QUICK,
    max_examples=600,
    stateful_step_count=25,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


TestLifeCycle = LifeCycle.TestCase
TestLifeCycle.settings = QUICK


class LosesInactive(DeviceMapper):
    """A load that fails takes the inactive table along."""

    def load(self, md: MappedDevice, lines: Lines | Table, *, read_only: bool = False) -> None:
        try:
            super().load(md, lines, read_only=read_only)
        except IoctlError:
            self.clear(md)
            raise


class ResumesAnyway(DeviceMapper):
    """A table that no longer fits its devices is dropped, and the md goes on with the old one."""

    def resume(self, md: MappedDevice, *, noflush: bool = False) -> None:
        try:
            super().resume(md, noflush=noflush)
        except IoctlError:
            with suppress(IoctlError):
                super().resume(md)
            raise


class RemovesNothingLater(DeviceMapper):
    """The last close of an md that was to be removed does not remove it."""

    def last_close(self, md: MappedDevice) -> None:
        pass


class SwapsOnResumeOnly(DeviceMapper):
    """A resume of an md that runs leaves its inactive table where it is."""

    def resume(self, md: MappedDevice, *, noflush: bool = False) -> None:
        if md.suspended or md.live is None:
            super().resume(md, noflush=noflush)


class LetsIoPass(DeviceMapper):
    """A suspended md holds no I/O."""

    def suspend(self, md: MappedDevice, *, noflush: bool = False) -> None:
        super().suspend(md, noflush=noflush)
        md.release_io()


class LosesHeldIo(DeviceMapper):
    """What an md held while it was suspended is never heard of again where its table was swapped."""

    def resume(self, md: MappedDevice, *, noflush: bool = False) -> None:
        if md.suspended and md.inactive is not None:
            md.release_io = lambda: None  # type: ignore[method-assign]
        super().resume(md, noflush=noflush)


class StaysSuspended(DeviceMapper):
    """A resume without a new table lets no I/O pass."""

    def resume(self, md: MappedDevice, *, noflush: bool = False) -> None:
        has_new = md.inactive is not None
        super().resume(md, noflush=noflush)
        if not has_new:
            md.hold_io()


class ForgetsWhoWaits(DeviceMapper):
    """Closing leaves requests that wait for a suspended md waiting for ever."""

    def close(self) -> None:
        pass


BROKEN = (
    *(LosesInactive, ResumesAnyway, RemovesNothingLater, SwapsOnResumeOnly),
    *(LetsIoPass, LosesHeldIo, StaysSuspended, ForgetsWhoWaits),
)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_device_mapper_is_found_out(broken: type[DeviceMapper]) -> None:
    class Broken(LifeCycle):
        # A small world, in which faults are found soon.
        names = ("a", "b")
        max_lines = 1

        def make(self) -> DeviceMapper:
            return broken(runtime=SimRuntime())

    with pytest.raises(AssertionError, match="the device-mapper says"):
        run_state_machine_as_test(Broken, settings=SEARCH)


class Manager:
    """A volume manager: volumes are linear mds, one behind the other on a disk."""

    def __init__(self, dm: DeviceMapper, *, forgets_to_resume: bool) -> None:
        self._dm = dm
        self._forgets = forgets_to_resume
        self._used = 0

    def new_volume(self, name: str, sectors: int) -> TargetSpec:
        line = TargetSpec(0, sectors, "linear", ("/dev/lv", str(self._used)))
        self._used += sectors
        md = self._dm.create_device(name)
        self._dm.load(md, [line])
        if not self._forgets or self._used < 20:
            self._dm.resume(md)
        return line


class Volumes(LifeCycle):
    """A rule of one's own beside all others, with a device of its own."""

    devices = DeviceSet((*LifeCycle.devices.devices, NamedDevice("/dev/lv", 64)))
    forgets = False

    def __init__(self) -> None:
        super().__init__()
        self.manager = Manager(self.dm, forgets_to_resume=self.forgets)
        self.volumes = 0

    @precondition(lambda self: self.volumes < 6)
    @rule(sectors=st.integers(1, 10))
    def new_volume(self, sectors: int) -> None:
        name = f"lv{self.volumes}"
        self.volumes += 1
        line = self.manager.new_volume(name, sectors)
        assert self.model.create(name) == 0
        assert self.model.load(name, [line]) == 0
        assert self.model.resume(name) == 0


def test_a_volume_manager_is_tested_by_rules_of_its_own() -> None:
    run_state_machine_as_test(Volumes, settings=settings(QUICK, max_examples=15))

    class Forgetful(Volumes):
        forgets = True

    with pytest.raises(AssertionError):
        run_state_machine_as_test(Forgetful, settings=SEARCH)


def test_the_model_by_hand() -> None:
    """Striping, a shrunk md below, requests that are held on their way down: as anyone would work them out."""
    model = Model(DeviceSet((NamedDevice("/dev/sda", 8), NamedDevice("/dev/sdb", 8))))
    load = partial(_load, model)
    load("low", "0 4 linear /dev/sda 2")
    load("top", "0 8 striped 2 2 /dev/mapper/low 0 /dev/sdb 4")
    assert model.submit("top", Op.WRITE, 1, 4, 7).done
    assert model.disks == {"/dev/sda": [0, 0, 0, 7, 7, 0, 0, 0], "/dev/sdb": [0, 0, 0, 0, 7, 7, 0, 0]}
    assert model.remove("low") == 16
    model.suspend("low")
    held = model.submit("top", Op.WRITE, 0, 3, 8)
    assert not held.done
    assert model.disks["/dev/sdb"][4:6] == [8, 7]
    assert model.disks["/dev/sda"][2:4] == [0, 7]
    assert model.would_wait("top")
    assert model.load("low", _lines("0 1 linear /dev/sda 0")) == 0
    assert model.resume("low") == 0
    assert (held.done, held.error) == (True, 5)
    assert model.disks["/dev/sda"] == [0, 0, 0, 7, 7, 0, 0, 0]
    assert model.load("top", _lines("0 2 linear /dev/mapper/low 0")) == 0
    assert model.resume("top") == 22
    assert model.mds["top"].suspended


def _load(model: Model, name: str, text: str) -> None:
    assert model.create(name) == 0
    assert model.load(name, _lines(text)) == 0
    assert model.resume(name) == 0


def _lines(text: str) -> list[TargetSpec]:
    return [TargetSpec(line.start, line.length, line.target, tuple(line.texts())) for line in parse(text)]
