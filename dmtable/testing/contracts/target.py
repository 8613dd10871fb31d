"""What a target promises, as checks: the docstrings of Target, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import count
from typing import ClassVar, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Bio, Op
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.target import StatusKind, Target
from dmtable.errors import DmtableError, IoctlError, errno_name
from dmtable.io.constant import ERROR, ZERO
from dmtable.language.parser import parse
from dmtable.sim.choices import Seeded
from dmtable.sim.faults import Call, Fault, Ill
from dmtable.testing.contracts.bench import LEAD, Bench, CountedBio, Place, cut, fill, first_image, told_as_contract
from dmtable.testing.contracts.model import Model, Origin
from dmtable.testing.contracts.properties import ANY_CLASS
from dmtable.testing.contracts.target_words import Example, WordsContract
from dmtable.units import SECTOR_SHIFT

Got = TypeVar("Got")
Request = tuple[str, str, int, int]
"""(what, through which md, first sector, sectors)"""

_DATA_OPS = (Op.READ, Op.WRITE, Op.WRITE_ZEROES, Op.DISCARD)
_WAYS = ("md", "above", "beside")
_STEPS = ("read", "write", "zero", "discard", "flush", "suspend", "noflush", "reload")
_PIECE = 8
"""Sectors of each bio that is in flight over a suspend."""


class TargetContract(WordsContract):
    """Checks of a target. Inherit it in a class that pytest collects:

        class TestMyTarget(TargetContract):
            target = "my-target"                    # as an entry point names it; else override `registry`
            devices = {"/dev/a": 1024}
            examples = (Example("/dev/a 8", 64),)
            refused = (Refused("/dev/a x", 64, errno.EINVAL),)

            def origin(self, example: Example, sector: int) -> Origin:
                return "/dev/a", 8 + sector

    The target runs on simulated disks, in simulated time; each check builds machines of its own. Where a target
    rightly does something else, override the check and say why.
    """

    flush_reaches_devices: ClassVar[bool] = True
    """Whether a flush, or a write with FUA, leaves nothing volatile on any device; a log may do without."""

    def origin(self, example: Example, sector: int) -> Origin | None:
        """Where a sector of the target lies, counted from the target's begin; None where only the target knows."""
        return None

    # What it says of itself

    def test_its_areas_are_the_devices_that_it_uses(self) -> None:
        for example, bench, _md, target in self._machines():
            params, _ = type(target).params.inspect(example.words.split(), LEAD, example.length, bench.dm.lookup)
            assert params is not None
            used = sorted((r.dm_dev.number, r.start, r.length) for r in target.iterate_devices())
            named = example.words.split()
            areas = sorted(
                (bench.dm.lookup(named[area.word]).number, area.start, area.length)
                for area in params.areas(example.length)
            )
            assert areas == used, f"areas() are {areas} and iterate_devices() {used}: (device, start, length) each"
            for each in target.iterate_devices():
                end, size = each.start + each.length, each.dm_dev.size_sectors
                assert 0 <= each.start <= end <= size, f"{each} lies outside of its device, which has {size} sectors"

    def test_its_status_is_a_line_that_loads_again(self) -> None:
        for example, bench, _md, target in self._machines():
            for kind in StatusKind:
                said = target.status(kind)
                assert isinstance(said, str), f"status({kind.name}) returns a str, and not {said!r}"
                assert "\n" not in said, f"status({kind.name}) is one line without its end, and not {said!r}"
            table = target.status(StatusKind.TABLE)
            try:
                (line,) = parse(f"0 {example.length} {self.target} {table}").lines
                again = bench.create("again", self.target, line.texts(), example.length)
            except DmtableError as error:
                raise AssertionError(f"status(TABLE) is {table!r}, which does not load: {error}") from error
            reloaded = _target_of(again)
            said = reloaded.status(StatusKind.TABLE)
            assert said == table, f"status(TABLE) is {table!r}; loaded again it becomes {said!r}"
            used, uses = list(target.iterate_devices()), list(reloaded.iterate_devices())
            assert used == uses, f"status(TABLE) is {table!r}; loaded again the target uses {uses}, and not {used}"

    @ANY_CLASS
    @given(data=st.data())
    def test_a_message_is_answered_or_refused(self, data: st.DataObject) -> None:
        example = data.draw(st.sampled_from(self.examples))
        args = data.draw(_messages())
        with self._bench() as bench:
            target = _target_of(bench.create("md", self.target, example.words.split(), example.length))
            try:
                with told_as_contract():
                    answer = target.message(args)
            except IoctlError:
                return
            except Exception as error:
                raise AssertionError(f"message({args}) raises {error!r}; what it refuses is an IoctlError") from error
            assert isinstance(answer, str), f"message({args}) answers {answer!r}, and not a str"

    def test_it_lets_go_of_its_devices(self) -> None:
        for words, length in self._lines():
            with self._bench() as bench:
                below = {
                    path: bench.dm.create(f"below{number}", f"0 {sectors} linear {path} 0")
                    for number, (path, sectors) in enumerate(self.devices.items())
                }
                stacked = [f"/dev/mapper/{below[word].name}" if word in below else word for word in words]
                try:
                    md = bench.create("md", self.target, stacked, length)
                except IoctlError:
                    when = "a refused table"
                else:
                    when = "the md's removal"
                    bench.dm.remove(md)
                counts = {path: device.open_count for path, device in below.items()}
                assert not any(counts.values()), f"after {when} ({words}) devices are still open: {counts}"

    # Bios

    def test_every_bio_is_completed_once_and_map_waits_for_nothing(self) -> None:
        self._give_bios(failing=False)

    def test_every_bio_is_completed_once_when_devices_fail(self) -> None:
        self._give_bios(failing=True)

    def test_a_bio_within_the_io_boundary_goes_to_one_place(self) -> None:
        for example, bench, _md, target in self._machines():
            for first, sectors in _parts(target):
                whole = bench.place(target, Op.READ, first, sectors)
                for skipped in range(sectors):
                    single = bench.place(target, Op.READ, first + skipped, 1)
                    if whole is not None and single is not None:
                        assert _same(single, (whole[0], whole[1] + skipped)), (
                            f"{example}: sector {first + skipped} goes to {single[1]} of its device when it is alone, "
                            f"to {whole[1] + skipped} in a bio of {first}+{sectors}: set io_boundary, to have bios cut"
                        )

    def test_extents_and_map_send_each_sector_to_the_same_place(self) -> None:
        for example, bench, md, target in self._machines():
            extents = target.extents()
            if extents is None:
                continue
            at = LEAD
            for extent in extents:
                assert extent.start == at, f"an extent begins at md sector {extent.start}, and {at} comes next"
                at += extent.length
            assert at == LEAD + example.length, (
                f"the extents end at md sector {at}, the target at {LEAD + example.length}"
            )
            assert md.live is not None
            pieces = md.live.extent_map(lambda device: device).pieces
            for sector in range(example.length):
                ((device, there, _count),) = pieces(LEAD + sector, 1)
                place = (device, there) if device is not None else None
                for op in _DATA_OPS:
                    mapped = bench.place(target, op, sector, 1)
                    assert _same(mapped, place), f"{op.name} of sector {sector}: map says {mapped}, extents() {place}"

    def test_each_sector_lies_where_origin_says(self) -> None:
        for example, bench, _md, target in self._machines():
            for sector in range(example.length):
                origin, mapped = self.origin(example, sector), bench.place(target, Op.READ, sector, 1)
                if origin is None or mapped is None:
                    continue
                place: Place
                if isinstance(origin, str):
                    place = (ZERO if origin == "zero" else ERROR), 0
                else:
                    place = bench.disks[origin[0]], origin[1]
                assert _same(mapped, place), f"{example}: map sends sector {sector} to {mapped}, origin() says {origin}"

    # An md at work

    @ANY_CLASS
    @given(data=st.data())
    def test_any_sequence_of_requests_equals_the_model(self, data: st.DataObject) -> None:
        example = data.draw(st.sampled_from(self.examples))
        choices = Seeded(data.draw(st.integers(0, 1 << 16)))
        with self._bench(choices) as bench:
            md = bench.create("md", self.target, example.words.split(), example.length)
            model = self._model(bench, md, example)
            ways: dict[str, MappedDevice] = {
                "md": md,
                "above": bench.dm.create("above", f"0 {model.size} linear /dev/mapper/md 0"),
                "beside": bench.dm.create("beside", f"0 {model.size} linear /dev/mapper/md 0"),
            }
            for tag, (step, way, first, sectors) in enumerate(data.draw(_requests(model.size))):
                device = ways[way]
                if step == "read":
                    model.read(device, first, sectors)
                elif step == "write":
                    model.write(device, first, sectors, tag)
                elif step == "zero":
                    model.write_zeroes(device, first, sectors)
                elif step == "discard":
                    model.discard(device, first, sectors)
                elif step == "flush":
                    with told_as_contract():
                        device.flush()
                else:
                    with told_as_contract():
                        if step == "reload":
                            bench.load(md, self.target, example.words.split(), example.length)
                        else:
                            bench.dm.suspend(md, noflush=step == "noflush")
                            bench.dm.resume(md)
            model.read(md, 0, model.size)
            _check_untouched(bench, _target_of(md))

    def test_suspend_and_resume_lose_no_bio(self) -> None:
        for noflush in (False, True):
            for example, bench, md, _target in self._machines():
                model = self._model(bench, md, example)
                for tag in range(3):
                    early = _submit_writes(md, model, 2 * tag, 1)
                    with told_as_contract():
                        bench.dm.suspend(md, noflush=noflush)
                    if not noflush:
                        assert all(bio.done for bio in early), "the md is suspended, and bios of before are not done"
                    late = _submit_writes(md, model, 2 * tag + 1, 2)
                    assert not any(bio.done for bio in late), "a bio passes although the md is suspended"
                    with told_as_contract():
                        bench.dm.resume(md)
                        for bio in (*early, *late):
                            bench.runtime.wait(bio)
                            fails = model.fails(bio.sector, bio.sectors)
                            assert fails or not bio.error, f"a write over a suspend fails with {errno_name(bio.error)}"
                    for first in range(0, model.size, _PIECE):
                        model.read(md, first, min(_PIECE, model.size - first))

    def test_a_flush_reaches_every_device(self) -> None:
        if not self.flush_reaches_devices:
            return
        for _example, bench, md, target in self._machines():
            _check_flush(bench, md, target, md.flush)
            _check_flush(bench, md, target, partial(_flush_by_bio, bench, md))

    def test_a_write_with_fua_is_durable_when_it_is_done(self) -> None:
        if not self.flush_reaches_devices:
            return
        for _example, bench, _md, target in self._machines():
            for first, sectors in _parts(target):
                bio = CountedBio.to(Op.WRITE, first, sectors, fua=True)
                bench.give(target, bio)
                if not bio.error:
                    _check_durable(bench, "a write with FUA")

    def test_a_device_that_fails_once_costs_an_error_at_most(self) -> None:
        for example in self.examples:
            for number in count(1):
                with self._bench(placed={number: Fault(Ill.ERROR)}) as bench:
                    self._run_with_fault(bench, example)
                    if not bench.faults.struck:
                        break

    # Inside

    def _machines(self, *, failing: bool = False) -> Iterator[tuple[Example, Bench, MappedDevice, Target]]:
        """A fresh machine for each example; where it is `failing`, every call to a disk fails once the md runs."""
        for example in self.examples:
            with self._bench() as bench:
                md = bench.create("md", self.target, example.words.split(), example.length)
                if failing:
                    bench.fail_all()
                yield example, bench, md, _target_of(md)

    def _model(self, bench: Bench, md: MappedDevice, example: Example) -> Model:
        return Model(bench, md, example.length, lambda sector: self.origin(example, sector))

    def _give_bios(self, *, failing: bool) -> None:
        for _example, bench, _md, target in self._machines(failing=failing):
            for op in _DATA_OPS:
                for first, sectors in _parts(target):
                    _give(bench, target, CountedBio.to(op, first, sectors))
            if target.extents() is None:
                _give(bench, target, CountedBio.to(Op.FLUSH, 0, 0))
            assert not bench.calls_in_map, (
                f"map calls devices itself: {bench.calls_in_map[:4]}; it must not wait for a disk, so it rewrites the "
                "bio and returns REMAPPED, submits bios, or leaves them to a Worker"
            )

    def _run_with_fault(self, bench: Bench, example: Example) -> None:
        """The life of an md; requests may fail, and what is said to be done is done."""
        md = _attempt(lambda: bench.create("md", self.target, example.words.split(), example.length))
        if md is None:
            return
        offset, data = LEAD << SECTOR_SHIFT, fill(1, example.length)
        wrote = _attempt(lambda: md.pwrite(data, offset))
        read = _attempt(lambda: md.pread(len(data), offset))
        if wrote and read is not None:
            for sector, (mine, right) in enumerate(zip(cut(read), cut(data), strict=True)):
                assert mine == right or isinstance(self.origin(example, sector), str), (
                    f"{example}: a write of sector {sector} and a read succeed, and they disagree; this call to a "
                    f"device has failed: {bench.faults.struck}"
                )
        _attempt(md.flush)
        _attempt(lambda: md.write_zeroes(offset, len(data)))
        _attempt(lambda: md.discard(offset, len(data)))
        _attempt(lambda: bench.dm.suspend(md))
        _attempt(lambda: _target_of(md).status(StatusKind.INFO))
        _attempt(lambda: bench.dm.resume(md))
        if md.running:
            _attempt(lambda: md.pread(len(data), offset))


def _target_of(md: MappedDevice) -> Target:
    target = md.live.target_at(LEAD) if md.live is not None else None
    assert target is not None
    return target


def _parts(target: Target) -> Iterator[tuple[int, int]]:
    """Bios that an md might give the target: their first sectors, counted from the target's begin, and sectors."""
    step = target.io_boundary or target.length
    wholes = range(0, target.length, step)
    for first in sorted({*wholes[:6], wholes[-1]}):
        sectors = min(step, target.length - first)
        yield first, sectors
        yield first, 1
        yield first + sectors // 2, sectors - sectors // 2


def _give(bench: Bench, target: Target, bio: CountedBio) -> None:
    what = f"{bio.op.name} of {bio.sector - LEAD}+{bio.sectors}"
    memory, written = bio.data, fill(0, bio.sectors)
    try:
        bench.give(target, bio)
    except Exception as error:
        raise AssertionError(f"{what} raises {error!r}; whatever fails ends in the bio's error") from error
    assert bio.ends == 1, f"{what} is completed {bio.ends} times, and not once"
    assert bio.error >= 0, f"{what} ends with {bio.error}; an error is a positive errno"
    if bio.op is Op.WRITE and memory is not None:
        assert bytes(memory) == written, f"{what} changes the memory that is written from, which is its caller's"


def _attempt(request: Callable[[], Got]) -> Got | None:
    """The result, None where the request is refused or fails, as it may."""
    try:
        with told_as_contract():
            return request()
    except (OSError, IoctlError):
        return None
    except Exception as error:
        raise AssertionError(
            f"{error!r} comes out of the target; a failing device ends in OSError or IoctlError"
        ) from error


def _flush_by_bio(bench: Bench, md: MappedDevice) -> None:
    bio = Bio(Op.FLUSH, 0, 0)
    md.submit(bio)
    bench.runtime.wait(bio)


def _check_flush(bench: Bench, md: MappedDevice, target: Target, flush: Callable[[], None]) -> None:
    """After writes everywhere, a flush comes to every device that the target names."""
    used = {each.dm_dev.number for each in target.iterate_devices()}
    paths = {path for path in bench.disks if bench.dm.lookup(path).number in used}
    _attempt(lambda: md.pwrite(fill(0, md.size_bytes >> SECTOR_SHIFT), 0))
    del bench.calls[:]
    with told_as_contract():
        flush()
    flushed = {path for path, call in bench.calls if call is Call.FLUSH}
    assert paths <= flushed, f"a flush does not reach {sorted(paths - flushed)}"
    _check_durable(bench, "a flush")


def _submit_writes(md: MappedDevice, model: Model, tag: int, step: int) -> list[Bio]:
    """Submits writes of pieces of the md, each piece or every second one, and tells the model."""
    bios = []
    for first in range(0, model.size, step * _PIECE):
        data = fill(tag, min(_PIECE, model.size - first))
        bio = Bio(Op.WRITE, first, len(data) >> SECTOR_SHIFT, memoryview(data))
        model.note_write(first, data)
        md.submit(bio)
        bios.append(bio)
    return bios


def _same(one: Place | None, other: Place | None) -> bool:
    """Whether both are one place; on a device without data all sectors are."""
    if one is None or other is None or one[0] is not other[0]:
        return one is other
    return one[1] == other[1] or one[0] in (ZERO, ERROR)


def _check_durable(bench: Bench, what: str) -> None:
    volatile = {path: sorted(disk.unflushed)[:8] for path, disk in bench.disks.items() if disk.unflushed}
    assert not volatile, f"after {what} these sectors would not survive a power loss: {volatile}"


def _check_untouched(bench: Bench, target: Target) -> None:
    """No sector has changed that `iterate_devices` does not name."""
    for path, disk in bench.disks.items():
        areas = [each for each in target.iterate_devices() if each.dm_dev.device is disk]
        used = {sector for each in areas for sector in range(each.start, each.start + each.length)}
        for sector, (now, first) in enumerate(zip(disk.image, first_image(path, len(disk.image)), strict=True)):
            assert now == first or sector in used, f"sector {sector} of {path} was written; iterate_devices has {areas}"


@cache
def _requests(size: int) -> st.SearchStrategy[list[Request]]:
    def request(step: str, way: str, first: int, sectors: int) -> Request:
        return step, way, first, min(sectors, size - first)

    sectors = st.integers(1, 40)
    return st.lists(
        st.builds(request, st.sampled_from(_STEPS), st.sampled_from(_WAYS), st.integers(0, size - 1), sectors),
        max_size=12,
    )


@cache
def _messages() -> st.SearchStrategy[list[str]]:
    return st.lists(st.one_of(st.sampled_from(("", "0", "-1", "help")), st.text(max_size=8)), max_size=4)
