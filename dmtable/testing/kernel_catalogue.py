"""Kinds of damage, continued: to the lines of targets that `tables` does not draw, mirror and the targets for faults.

Each puts a line of such a target, damaged, in the place of a sound line.
"""

from __future__ import annotations

from hypothesis import strategies as st

from dmtable.testing.draft import Draft, damage, large_block
from dmtable.testing.valid_tables import DeviceSet


def _mirror(draft: Draft, *log: object, units: int = 2) -> None:
    """Puts a mirror of two equal stretches of a device in the place of the line."""
    path, length = large_block(draft.devices).path, units * draft.unit
    draft.replace(length, "mirror", *log, 2, path, 0, path, length)


def _has_room_for_a_mirror(devices: DeviceSet) -> bool:
    return large_block(devices).sectors >= 4 * devices.block_sectors


def _bare_mirror(draft: Draft, count: object, *features: object, offset: object = 0) -> None:
    """A mirror of two stretches with these words behind them, and a number of legs before them."""
    path, length = large_block(draft.devices).path, 2 * draft.unit
    draft.replace(length, "mirror", "core", 1, 2, count, path, offset, path, length, *features)


@damage("DM441", place="last", needs=_has_room_for_a_mirror)
def _number_of_log_words_off(draw: st.DrawFn, draft: Draft) -> None:
    _mirror(draft, "core", draw(st.sampled_from(["x", "-1", 9, 99])), 2)


@damage("DM442", place="last", needs=_has_room_for_a_mirror)
def _no_number_of_legs(draw: st.DrawFn, draft: Draft) -> None:
    _bare_mirror(draft, draw(st.sampled_from(["two", 0, 1, 10])))


@damage("DM443", place="last", needs=_has_room_for_a_mirror)
def _fewer_legs_than_said(draw: st.DrawFn, draft: Draft) -> None:
    _bare_mirror(draft, draw(st.integers(3, 9)))


@damage("DM444", place="last", needs=_has_room_for_a_mirror)
def _no_offset_of_a_leg(draw: st.DrawFn, draft: Draft) -> None:
    _bare_mirror(draft, 2, offset=draw(st.sampled_from(["x", "-8", "0x8", "+8"])))


@damage("DM445", place="last", needs=_has_room_for_a_mirror)
def _number_of_features_off(draw: st.DrawFn, draft: Draft) -> None:
    _bare_mirror(draft, 2, *draw(st.sampled_from([("x",), (2, "handle_errors"), (0, "handle_errors"), (9,)])))


@damage("DM446", place="last", needs=_has_room_for_a_mirror)
def _no_such_feature(draw: st.DrawFn, draft: Draft) -> None:
    _bare_mirror(draft, 2, 1, draw(st.sampled_from(["block_on_error", "Handle_errors", "nosync"])))


@damage("DM447", place="last", needs=_has_room_for_a_mirror)
def _keep_log_alone(draw: st.DrawFn, draft: Draft) -> None:
    _bare_mirror(draft, 2, 1, "keep_log")


@damage("DM461", place="last", needs=_has_room_for_a_mirror)
def _no_type_of_dirty_log(draw: st.DrawFn, draft: Draft) -> None:
    _mirror(draft, draw(st.sampled_from(["Core", "none", "-", "clustered-core"])), 1, 2)


@damage("DM462", place="last", needs=_has_room_for_a_mirror)
def _words_of_the_dirty_log_off(draw: st.DrawFn, draft: Draft) -> None:
    _mirror(draft, *draw(st.sampled_from([("core", 0), ("core", 3, 2, "sync", "sync"), ("disk", 0), ("disk", 1, 2)])))


@damage("DM463", place="last", needs=_has_room_for_a_mirror)
def _neither_sync_nor_nosync(draw: st.DrawFn, draft: Draft) -> None:
    _mirror(draft, "core", 2, 2, draw(st.sampled_from(["Sync", "no", "block_on_error"])))


@damage("DM464", place="last", needs=_has_room_for_a_mirror)
def _no_region_size(draw: st.DrawFn, draft: Draft) -> None:
    _mirror(draft, "core", 1, draw(st.sampled_from(["0", "1", "x", "+2", 3 * draft.unit, 4 * draft.unit])))


@damage("DM465", "DM205", place="last")
def _too_many_regions_for_the_log(draw: st.DrawFn, draft: Draft) -> None:
    _mirror(draft, "disk", 2, large_block(draft.devices).path, 2, units=3 << draw(st.integers(25, 28)))


@damage("DM481", place="last")
def _no_offset_of_a_fault_target(draw: st.DrawFn, draft: Draft) -> None:
    target, *words = draw(st.sampled_from([("flakey", 1, 1), ("delay", 10), ("dust", 512)]))
    offset = draw(st.sampled_from(["x", "-8", "0x8", "+8"]))
    draft.replace(draft.unit, target, large_block(draft.devices).path, offset, *words)


@damage("DM482", place="last")
def _no_milliseconds(draw: st.DrawFn, draft: Draft) -> None:
    draft.replace(draft.unit, "delay", large_block(draft.devices).path, 0, draw(st.sampled_from(["10ms", "-1", "x"])))


@damage("DM483", place="last")
def _never_up_and_never_down(draw: st.DrawFn, draft: Draft) -> None:
    up, down = draw(st.sampled_from([(0, 0), ("x", 1), (1, "-1"), ("1s", 1)]))
    draft.replace(draft.unit, "flakey", large_block(draft.devices).path, 0, up, down)


@damage("DM484", place="last")
def _no_such_feature_of_flakey(draw: st.DrawFn, draft: Draft) -> None:
    features = draw(st.sampled_from([(1, "drop_reads"), (2, "drop_writes", "error_writes"), (1, "corrupt_bio_byte")]))
    draft.replace(draft.unit, "flakey", large_block(draft.devices).path, 0, 1, 1, *features)


@damage("DM485", place="last")
def _no_block_size_of_dust(draw: st.DrawFn, draft: Draft) -> None:
    draft.replace(draft.unit, "dust", large_block(draft.devices).path, 0, draw(st.sampled_from([0, 256, 513, "x"])))


@damage("DM486", place="last")
def _more_than_32_bits(draw: st.DrawFn, draft: Draft) -> None:
    milliseconds = (1 << 32) + draw(st.integers(1, 99))
    draft.replace(draft.unit, "delay", large_block(draft.devices).path, 0, milliseconds)
