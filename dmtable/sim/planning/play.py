"""Plays a plan: the production replicator, with its ring, its Workers and its policies, in simulated time.

Only the devices are not real. The local disks and the log's take no time and hold nothing but zeroes; those of the
other site are reached over the link. Writes come when the load says, however long those before them wait.
"""

from __future__ import annotations

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.errors import DmtableError
from dmtable.sim.planning.course import Course, Instant
from dmtable.sim.planning.load import Load, Write
from dmtable.sim.planning.model import Model, Plan
from dmtable.sim.planning.wan import BlankDevice, FarDevice, Pipe, Wan
from dmtable.sim.planning.watch import Watch
from dmtable.sim.runtime import SimRuntime
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.target import Replicator
from dmtable.units import SECTOR_SHIFT

_INSTANTS = 240
"""So many while the load lasts, and as many in the same time behind it."""
_TIMES_LONGER, _LEAST_WAIT_SECONDS = 4, 60.0
_LEAST_SECONDS = 0.01
_REMOTE = 1


def play(load: Load, wan: Wan, model: Model, plan: Plan) -> Course:
    """Runs the load, and then waits until the site has everything: at most four times as long, or a minute."""
    runtime = SimRuntime(traced=False)
    try:
        return _play(runtime, load, wan, model, plan)
    finally:
        # What is still under way ends here: an orderly end would wait for it.
        runtime.close()


def _play(runtime: SimRuntime, load: Load, wan: Wan, model: Model, plan: Plan) -> Course:
    pipe = Pipe(runtime, wan, model.one_in)
    mds, running = _group(DeviceMapper(runtime=runtime), pipe, load, model, plan)
    own = (model.one_in - 1) * wan.write_seconds(load.mean_sectors)
    watch = Watch(runtime, running, running.group.sites[_REMOTE], model.one_in, own)
    pipe.on_durable = watch.arrived
    instants = _apply(runtime, mds, watch, load, model)
    acknowledged = watch.acknowledged
    caught_up_at = _wait(runtime, watch, instants, load.duration_seconds)
    watch.end()
    return Course(
        plan=plan,
        one_in=model.one_in,
        instants=tuple(instants),
        worst_behind=watch.worst_behind,
        worst_loss_seconds=watch.worst_loss_seconds,
        log_full_at=watch.log_full_at,
        takeovers=runtime.sightings["replicator: entries are dropped"],
        disordered=watch.disordered,
        worst_resync_bytes=watch.worst_resync_bytes,
        writes=load.count,
        acknowledged=acknowledged,
        waited_writes=watch.waited_writes,
        longest_wait_seconds=watch.longest_wait_seconds,
        total_wait_seconds=watch.total_wait_seconds,
        caught_up_at=caught_up_at,
    )


def _apply(runtime: SimRuntime, mds: list[MappedDevice], watch: Watch, load: Load, model: Model) -> list[Instant]:
    """The load, from the first moment on; the group at many instants of it."""
    instants = [watch.sample()]
    step = _step(load.duration_seconds)
    data = memoryview(bytes(load.max_sectors << SECTOR_SHIFT))
    for write in load.every(model.one_in):
        while len(instants) * step < write.seconds:
            _pass_until(runtime, len(instants) * step)
            instants.append(watch.sample())
        _pass_until(runtime, write.seconds)
        _write(mds, watch, model, write, data)
        runtime.settle()
        watch.look()
    _pass_until(runtime, load.duration_seconds)
    instants.append(watch.sample())
    return instants


def _wait(runtime: SimRuntime, watch: Watch, instants: list[Instant], duration: float) -> float | None:
    """Until the site has everything; when that was."""
    end = runtime.now() + max(duration * _TIMES_LONGER, _LEAST_WAIT_SECONDS)
    while not watch.settled:
        if runtime.now() >= end:
            return None
        runtime.pass_time(_step(duration), lambda: watch.settled)
        instants.append(watch.sample())
    return runtime.now()


def _pass_until(runtime: SimRuntime, seconds: float) -> None:
    runtime.pass_time(max(0.0, seconds - runtime.now()))


def _step(duration: float) -> float:
    return max(duration / _INSTANTS, _LEAST_SECONDS)


def _group(
    mapper: DeviceMapper, pipe: Pipe, load: Load, model: Model, plan: Plan
) -> tuple[list[MappedDevice], RunningGroup]:
    mapper.add(BlankDevice(), "/log")
    mds: list[MappedDevice] = []
    for number in range(load.devices):
        mapper.add(BlankDevice(), f"/local{number}")
        mapper.add(FarDevice(pipe), f"/remote{number}")
        mds.append(mapper.create(f"device{number}", model.table(plan, number)))
    for target in mds[0].live.targets() if mds[0].live is not None else ():
        if isinstance(target, Replicator):
            return mds, target.running
    raise DmtableError("the group does not run")


def _write(mds: list[MappedDevice], watch: Watch, model: Model, write: Write, data: memoryview) -> None:
    bio = Bio(Op.WRITE, model.fold(write.sector), write.sectors, data[: write.sectors << SECTOR_SHIFT])
    watch.comes(bio)
    submit(mds[write.device], bio)
    if write.flush:
        submit(mds[write.device], Bio(Op.FLUSH, 0, 0))
