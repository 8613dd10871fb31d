"""What may happen in a life: each act draws what it needs, and does nothing where it does not apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from dmtable.sim.choices import Choices
from dmtable.sim.workload import Flush, Operation, Zero, any_workload
from tests.replication.drawn.life import LOG_SECTORS, Life, Volume
from tests.replication.drawn.record import DEVICES
from tests.replication.simulated import DEVICE_SECTORS

Act = Callable[[Life, Choices], None]

_BLOCKS = 256
_BLOCKS_OF_A_REQUEST = 8
_Value = TypeVar("_Value")


def _one_of(values: Sequence[_Value], choices: Choices, what: str) -> _Value:
    return values[choices.pick(len(values), what)]


def _any_volume(life: Life, choices: Choices) -> Volume | None:
    """One that has an md."""
    present = [volume for volume in life.volumes if volume.md is not None]
    return _one_of(present, choices, "which device") if present else None


# Requests.


def _scaled(operation: Operation, sectors: int) -> Operation:
    """The same for blocks of so many sectors."""
    if isinstance(operation, Flush):
        return operation
    return replace(operation, sector=operation.sector * sectors, sectors=operation.sectors * sectors)


def _requests(life: Life, choices: Choices) -> None:
    """In the first sectors of the devices, or in sixteen times larger blocks all over them."""
    block = _one_of((1, 16), choices, "how large is a block")
    clients = any_workload([_BLOCKS] * DEVICES, choices, boundary_sectors=_BLOCKS_OF_A_REQUEST)
    for operation in chain(*clients):
        life.submit(_scaled(operation, block))
        if choices.chance(3, "some time passes"):
            life.place.wait(_one_of((0.001, 0.02), choices, "how long"))


def _burst(life: Life, choices: Choices) -> None:
    """Often more than the log has room for."""
    for _ in range(10 + choices.pick(30, "how many requests")):
        _requests(life, choices)


def _zero_much(life: Life, choices: Choices) -> None:
    """Across the border between regions, too."""
    device = choices.pick(DEVICES, "which device")
    sectors = _one_of((500, 1000, DEVICE_SECTORS), choices, "how many sectors")
    sector = choices.pick(DEVICE_SECTORS - sectors + 1, "which sector")
    life.submit(Zero(device, sector, sectors, discard=bool(choices.pick(2, "zero or discard"))))


# Time and weather.


def _wait(life: Life, choices: Choices) -> None:
    life.place.wait(_one_of((0.01, 0.3, 2, 20), choices, "how long"))


def _cut_link(life: Life, choices: Choices) -> None:
    life.place.link.cut()


def _hang_link(life: Life, choices: Choices) -> None:
    life.place.link.cut(hang=True)


def _cut_link_soon(life: Life, choices: Choices) -> None:
    life.place.link.cut_at = life.place.link.calls + 1 + choices.pick(32, "during which call")


def _slow_link(life: Life, choices: Choices) -> None:
    life.place.link.slow(_one_of((0.01, 1), choices, "how slow"))


def _heal_link(life: Life, choices: Choices) -> None:
    life.place.link.heal()


def _change_disk(life: Life, choices: Choices) -> None:
    """A disk here becomes slower, or quicker."""
    name = _one_of(("l0", "l1", "log", "d0"), choices, "which disk")
    life.place.world.disks[name].latency_seconds = _one_of((0, 0.01, 1), choices, "how slow")


def _lose_power(life: Life, choices: Choices) -> None:
    life.lose_power(choices)


def _lose_power_soon(life: Life, choices: Choices) -> None:
    """In the midst of what comes."""
    power = life.place.world.power
    power.cut_at = power.calls + 1 + choices.pick(100, "before which call")


# Messages.


def _pause_link(life: Life, choices: Choices) -> None:
    life.tell(f"slink pause {choices.pick(2, 'which site')}")


def _resume_links(life: Life, choices: Choices) -> None:
    for site in range(2):
        life.tell(f"slink resume {site}")


def _stop(life: Life, choices: Choices) -> None:
    life.tell("stop")


def _start(life: Life, choices: Choices) -> None:
    life.tell("start")


def _stop_device(life: Life, choices: Choices) -> None:
    if volume := _any_volume(life, choices):
        life.tell("stop", volume.md)


def _start_devices(life: Life, choices: Choices) -> None:
    for volume in life.volumes:
        if volume.md is not None:
            life.tell("start", volume.md)


def _take_from_site(life: Life, choices: Choices) -> None:
    if volume := _any_volume(life, choices):
        life.take_from_site(volume)


def _add_to_site(life: Life, choices: Choices) -> None:
    if volume := _any_volume(life, choices):
        life.add_to_site(volume)


def _resize_log(life: Life, choices: Choices) -> None:
    life.tell(f"replog resize {_one_of(LOG_SECTORS, choices, 'how large')}")


def _forget_device(life: Life, choices: Choices) -> None:
    """Where the device is in use, this is refused."""
    if life.tell(f"replog forget {choices.pick(DEVICES, 'which device')}"):
        life.record.is_order = False


# Tables.


def _reload(life: Life, choices: Choices) -> None:
    """Now and then with another kind of dirty log."""
    if volume := _any_volume(life, choices):
        if choices.chance(4, "another kind of dirty log"):
            volume.forgetful = not volume.forgetful
        life.reload(volume, life.table(volume, choices))
        volume.deleted = False


def _reload_without_site(life: Life, choices: Choices) -> None:
    if volume := _any_volume(life, choices):
        life.reload(volume, life.place.device_table(volume.number, None))


def _suspend(life: Life, choices: Choices) -> None:
    """For a while, in which others go on."""
    if volume := _any_volume(life, choices):
        md = volume.md
        assert md is not None
        life.finish(lambda: life.place.dm.suspend(md))
        if choices.pick(2, "others go on"):
            _requests(life, choices)
            _wait(life, choices)
        life.finish(lambda: life.place.dm.resume(md))


def _remove(life: Life, choices: Choices) -> None:
    if volume := _any_volume(life, choices):
        life.remove(volume)


def _bring_back(life: Life, choices: Choices) -> None:
    for volume in life.volumes:
        life.bring_back(volume, choices)


def _remove_all(life: Life, choices: Choices) -> None:
    life.remove_all()
    life.open(choices)


_ACTS: dict[Act, int] = {
    _requests: 10,
    _burst: 2,
    _zero_much: 1,
    _wait: 3,
    _cut_link: 2,
    _hang_link: 2,
    _cut_link_soon: 2,
    _slow_link: 1,
    _heal_link: 4,
    _change_disk: 1,
    _lose_power: 1,
    _lose_power_soon: 1,
    _pause_link: 2,
    _resume_links: 2,
    _stop: 1,
    _start: 1,
    _stop_device: 1,
    _start_devices: 1,
    _take_from_site: 1,
    _add_to_site: 1,
    _resize_log: 1,
    _forget_device: 1,
    _reload: 2,
    _reload_without_site: 1,
    _suspend: 1,
    _remove: 1,
    _bring_back: 2,
    _remove_all: 1,
}
"""How often each happens, in proportion."""
_DRAWN = [act for act, often in _ACTS.items() for _ in range(often)]


def any_act(choices: Choices) -> Act:
    return _one_of(_DRAWN, choices, "what happens")
