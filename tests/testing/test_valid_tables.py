"""The strategies for tables keep their word: sound ones load, damaged ones have the finding that they promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtable.checks import check
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.target import Params
from dmtable.errors import DmtableError, UsageError
from dmtable.io.memory import MemoryDevice
from dmtable.language import rules
from dmtable.language.diagnostics import Severity
from dmtable.language.parser import parse
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams
from dmtable.testing.damage import AMBIENT, DAMAGES, DamagedTable, damaged_tables
from dmtable.testing.replicators import ReplicatorTable, replicator_tables
from dmtable.testing.valid_tables import TARGETS, DeviceSet, NamedDevice, Stack, ValidTable, device_sets, stacks, tables
from dmtable.units import SECTOR_SHIFT

DEVICES = DeviceSet((NamedDevice("/dev/sda", 256, 4096), NamedDevice("/dev/sdb", 100)))

# A table that cannot cause them: bytes that are no text, a file, an md without a table.
NOT_BY_A_TABLE = {"DM004", "DM202", "DM210"}


def errors(table: ValidTable) -> list[str]:
    found = check(table.text, devices=table.devices.sizes, md=table.name)
    return [each.code for each in found if each.severity is Severity.ERROR]


@given(device_sets(min_devices=2, max_devices=4, min_sectors=10, max_sectors=99, block_sizes=[512, 1024]))
def test_devices_are_as_asked_for_and_can_be_added(devices: DeviceSet) -> None:
    assert 2 <= len(devices.devices) <= 4
    with DeviceMapper() as dm:
        added = devices.add_to(dm)
        assert list(added) == list(devices.sizes)
        for device in devices.devices:
            memory = dm.lookup(device.path).device
            assert isinstance(memory, MemoryDevice)
            assert 10 <= memory.size_bytes >> SECTOR_SHIFT <= 99
            assert devices.sizes[device.path] == (device.sectors, memory.logical_block_size)


@given(tables())
def test_tables_load_and_nothing_is_wrong_with_them(table: ValidTable) -> None:
    assert errors(table) == []
    with DeviceMapper() as dm:
        table.devices.add_to(dm)
        assert dm.create(table.name, table.text).size_bytes >> SECTOR_SHIFT == table.sectors


@given(tables())
def test_text_and_lines_say_the_same(table: ValidTable) -> None:
    read = [(line.start, line.length, line.target, tuple(line.texts())) for line in parse(table.text)]
    assert read == [(line.start, line.length, line.target, line.words) for line in table.lines]


@settings(max_examples=50)
@given(stacks())
def test_stacks_load_and_nothing_is_wrong_with_them(stack: Stack) -> None:
    assert [errors(table) for table in stack.tables] == [[]] * len(stack.tables)
    with DeviceMapper() as dm:
        stack.devices.add_to(dm)
        mds = stack.create(dm)
        for table in stack.tables:
            md = mds[table.name]
            assert md.size_bytes >> SECTOR_SHIFT == table.sectors
            # What a table above takes for the md's size and blocks is what they are.
            for above in stack.tables:
                if md.name in above.text:
                    assert above.devices.sizes[f"/dev/mapper/{md.name}"] == (table.sectors, md.logical_block_size)


@given(st.data())
def test_parameters_are_kept_to(data: st.DataObject) -> None:
    table = data.draw(
        tables(devices=DEVICES, targets=["striped", "zero"], min_lines=2, max_lines=3, tidy=True, name="x")
    )
    assert table.devices is DEVICES
    assert {line.target for line in table.lines} <= {"striped", "zero"}
    assert len(table.text.splitlines()) == len(table.lines)
    assert 2 <= len(table.lines) <= 3
    assert not set("#\t") & set(table.text)
    assert table.name == "x"


def test_the_layout_varies() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=200, database=None)
    @given(tables())
    def look(table: ValidTable) -> None:
        seen["tab"] += "\t" in table.text
        seen["comment"] += "#" in table.text
        seen["empty line"] += "\n\n" in table.text
        seen["one line"] += len(table.lines) == 1
        seen["many lines"] += len(table.lines) > 3
        seen["large blocks"] += table.devices.block_sectors == 8
        seen["odd size"] += table.sectors % 2
        seen.update(line.target for line in table.lines)

    look()
    wanted = {"tab", "comment", "empty line", "one line", "many lines", "large blocks", "odd size", *TARGETS}
    assert {what for what, count in seen.items() if count} == wanted


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_drawn_and_causes_its_finding(name: str) -> None:
    drawn: list[DamagedTable] = []

    @settings(max_examples=8, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged_tables(damages=[name]))
    def judge(table: DamagedTable) -> None:
        found = check(table.text, devices=table.devices.sizes, md=table.md)
        assert (table.code, table.line) in [(each.code, each.span.line) for each in found]
        assert {each.code for each in found} <= {table.code} | table.consequences | AMBIENT
        assert (table.damage, table.code) == (name, DAMAGES[name].code)
        drawn.append(table)

    judge()
    assert drawn


def test_every_rule_that_a_table_can_break_is_broken() -> None:
    assert {damage.code for damage in DAMAGES.values()} == {rule.code for rule in rules.all_rules()} - NOT_BY_A_TABLE
    assert all(rules.rule(code) for damage in DAMAGES.values() for code in damage.consequences)


@settings(max_examples=60)
@given(damaged_tables())
def test_the_emulator_refuses_what_the_kernel_would(table: DamagedTable) -> None:
    found = check(table.text, devices=table.devices.sizes, md=table.md)
    refused = any(each.refusal is not None for each in found)
    with DeviceMapper() as dm:
        table.devices.add_to(dm)
        try:
            dm.create("other", table.text)
        except DmtableError:
            return
        assert not refused


@given(replicator_tables())
def test_replicator_tables_are_right(table: ReplicatorTable) -> None:
    assert {each.code for each in check(table.text)} <= {"DM308"}
    lines = list(parse(table.text))
    classes: dict[str, type[Params]] = {"replicator": ReplicatorParams, "replicator-dev": ReplicatorDevParams}
    for line, params in zip(lines, table.params, strict=True):
        assert classes[line.target].inspect(line.texts(), line.start, line.length, None)[0] == params


@settings(max_examples=30)
@given(replicator_tables(dialects=["2008"], continued=False))
def test_a_dialect_can_be_chosen(table: ReplicatorTable) -> None:
    (params,) = table.params
    assert isinstance(params, ReplicatorParams)
    assert all(site.copy for site in params.sites)
    assert "\\" not in table.text


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: device_sets(min_devices=0),
        lambda: device_sets(min_devices=3, max_devices=2),
        lambda: device_sets(block_sizes=[600]),
        lambda: device_sets(block_sizes=[]),
        lambda: device_sets(min_sectors=9, max_sectors=15),
        lambda: device_sets(prefix="sd"),
        lambda: tables(targets=["mirror"]),
        lambda: tables(targets="zero"),
        lambda: tables(min_lines=2, max_lines=1),
        lambda: tables(devices={"/dev/sda": 8}),  # type: ignore[arg-type]
        lambda: stacks(min_tables=0),
        lambda: damaged_tables(damages=["nonsense"]),
        lambda: damaged_tables(damages=[]),
        lambda: damaged_tables(devices=DeviceSet((NamedDevice("/dev/sda", 1),))),
        lambda: damaged_tables(devices=DeviceSet((NamedDevice("/dev/sda", 64),)), damages=["end-inside-a-block"]),
        lambda: replicator_tables(dialects=["2010"]),
        lambda: replicator_tables(max_sites=0),
        lambda: NamedDevice("sda", 8),
        lambda: NamedDevice("/dev/sda", 9, 4096),
        lambda: DeviceSet(()),
        lambda: DeviceSet((NamedDevice("/dev/sda", 8), NamedDevice("/dev/sda", 9))),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(wrong: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        wrong()
