"""Kinds of damage: a function each, named after what it does, beside the rule of `check` that it breaks.

The rules that none can break: DM004 is about bytes that are no text, DM202 and DM210 about files and mds that a table
alone does not have.
"""

from __future__ import annotations

from hypothesis import strategies as st

from dmtable.testing.draft import (
    CHUNK,
    COUNT,
    DEVICE,
    LENGTH,
    MD,
    OFFSET,
    START,
    TARGET,
    Draft,
    damage,
    large_block,
)
from dmtable.testing.valid_tables import DeviceSet

_WIDE = 1 << 64


# ---- DM0: reading


@damage("DM001")
def _words_missing(draw: st.DrawFn, draft: Draft) -> None:
    del draft.row[draw(st.integers(1, 2)) :]


@damage("DM002")
def _no_number(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[draw(st.integers(0, 1))] = draw(st.sampled_from(["8k", "8_000", "1e3", "8:16"]))


@damage("DM003", "DM106", "DM201")
def _control_character(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[TARGET] += draw(st.sampled_from("\0\1\a\x1b\x7f"))


@damage("DM005")
def _backslash_at_the_end(draw: st.DrawFn, draft: Draft) -> None:
    draft.tails[draft.at] = draw(st.sampled_from([" \\ ", " \\\t", "\t\\  "]))


@damage("DM006")
def _backslash_in_front(draw: st.DrawFn, draft: Draft) -> None:
    index = draw(st.integers(LENGTH, len(draft.row) - 1))
    draft.row[index] = "\\" + draft.row[index]


@damage("DM007", on="replicator")
def _continuation_missing(draw: st.DrawFn, draft: Draft) -> None:
    # Behind the log's words, where a site's kind stands: a word that begins no line.
    index = 5 + int(draft.row[4])
    draft.row[index] = "\n" + draft.row[index]
    draft.lower = 1


@damage("DM008")
def _all_lines_lost(draw: st.DrawFn, draft: Draft) -> None:
    draft.rows.clear()


@damage("DM009")
def _name_in_front(draw: st.DrawFn, draft: Draft) -> None:
    draft.row.insert(0, draw(st.sampled_from(["vol:", "vg-lv:"])))


@damage("DM010", "DM101", place="earlier")
def _line_end_missing(draw: st.DrawFn, draft: Draft) -> None:
    draft.row.extend(draft.rows.pop(draft.at + 1))


# ---- DM1: layout


@damage("DM101", place="inner")
def _line_missing(draw: st.DrawFn, draft: Draft) -> None:
    del draft.rows[draft.at]


@damage("DM101", place="last")
def _start_too_high(draw: st.DrawFn, draft: Draft) -> None:
    if len(draft.rows) == 1:
        draft.append(draft.unit, "zero")
        draft.at = 1
    draft.row[START] = str(draft.start + draft.unit * draw(st.integers(1, 100)))


@damage("DM102", place="later")
def _start_too_low(draw: st.DrawFn, draft: Draft) -> None:
    del draft.rows[draft.at + 1 :]
    draft.row[START] = str(draft.start - draft.unit * draw(st.integers(1, draft.start // draft.unit)))


@damage("DM102")
def _line_twice(draw: st.DrawFn, draft: Draft) -> None:
    draft.rows.insert(draft.at, list(draft.row))
    draft.at += 1


@damage("DM103", place="earlier")
def _first_line_missing(draw: st.DrawFn, draft: Draft) -> None:
    del draft.rows[: draft.at + 1]
    draft.at = 0


@damage("DM104")
def _length_zero(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[LENGTH] = draw(st.sampled_from(["0", "00"]))


@damage("DM105", on="zero")
def _length_too_large(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[LENGTH] = str(draw(st.integers(1 << 54, 1 << 63)))


@damage("DM106")
def _target_misspelt(draw: st.DrawFn, draft: Draft) -> None:
    name = draft.row[TARGET]
    draft.row[TARGET] = draw(st.sampled_from([name.upper(), name.title(), name[:-1], name[1:], name + "s", "x" + name]))


@damage("DM107", on="linear")
def _target_of_the_kernel_only(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[TARGET:] = "snapshot-origin", draft.row[DEVICE]


@damage("DM108")
def _words_of_a_kernel_target(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[TARGET:] = draw(st.sampled_from([["snapshot-origin"], ["multipath"], ["thin", "/dev/sda"]]))


@damage("DM109", place="earlier")
def _lines_swapped(draw: st.DrawFn, draft: Draft) -> None:
    draft.rows.insert(draft.at, draft.rows.pop(draft.at + 1))


# ---- DM2: devices


def _needs_blocks(devices: DeviceSet) -> bool:
    unit = devices.block_sectors
    return unit > 1 and large_block(devices).sectors >= 2 * unit


@damage("DM201", on="linear")
def _device_unknown(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[DEVICE] = draw(st.sampled_from(["/dev/none", "dev/sda", draft.row[DEVICE] + "x"]))


@damage("DM201", on="striped")
def _stripe_unknown(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[_leg(draw, draft)] += "x"


@damage("DM203", on="linear")
def _number_too_large(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[DEVICE] = draw(st.sampled_from(["4096:0", "0:1048576", "65536:65536"]))


@damage("DM204", on="linear")
def _number_unknown(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[DEVICE] = draw(st.sampled_from(["4095:77", "8:1048575"]))


@damage("DM205", "DM501", on="linear")
def _offset_too_large(draw: st.DrawFn, draft: Draft) -> None:
    size = _sectors(draft, draft.row[DEVICE])
    beyond = draft.unit * draw(st.integers(1, 100))
    draft.row[OFFSET] = str(size - size % draft.unit - draft.length + beyond)


@damage("DM205", "DM501", on="striped")
def _stripe_too_large(draw: st.DrawFn, draft: Draft) -> None:
    at = _leg(draw, draft)
    size = _sectors(draft, draft.row[at])
    width = draft.length // int(draft.row[COUNT])
    draft.row[at + 1] = str(size - size % draft.unit - width + draft.unit * draw(st.integers(1, 100)))


@damage("DM206", "DM211", on="linear", needs=_needs_blocks)
def _offset_inside_a_block(draw: st.DrawFn, draft: Draft) -> None:
    device = large_block(draft.devices)
    del draft.rows[draft.at + 1 :]
    blocks = device.sectors // draft.unit
    length = draw(st.integers(1, blocks - 1))
    offset = draft.unit * draw(st.integers(0, blocks - 1 - length)) + draw(st.integers(1, draft.unit - 1))
    draft.replace(length * draft.unit, "linear", device.path, offset)


@damage("DM207", on="linear")
def _sectors_used_twice(draw: st.DrawFn, draft: Draft) -> None:
    draft.append(*draft.row[LENGTH:])
    draft.at = len(draft.rows) - 1


@damage("DM208", on="linear")
def _device_is_the_md_itself(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[DEVICE] = f"/dev/mapper/{MD}"


@damage("DM209", "DM204", on="linear")
def _device_in_hexadecimal(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[DEVICE] = draw(st.sampled_from(["801", "fd00", "a"]))


@damage("DM211", needs=_needs_blocks)
def _end_inside_a_block(draw: st.DrawFn, draft: Draft) -> None:
    device = large_block(draft.devices)
    draft.append(draft.unit, "linear", device.path, 0)
    draft.append(draft.unit * draw(st.integers(0, 9)) + draw(st.integers(1, draft.unit - 1)), "zero")
    draft.at = len(draft.rows) - 1


# ---- DM3: dmsetup's own reading


@damage("DM301", "DM201", on="linear")
def _hash_in_a_path(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[DEVICE] += draw(st.sampled_from(["#1", "#"]))


@damage("DM301", on="linear")
def _hash_behind_a_number(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[OFFSET] += draw(st.sampled_from(["#", "#offset"]))


@damage("DM302")
def _hexadecimal(draw: st.DrawFn, draft: Draft) -> None:
    index = draw(st.integers(0, 1))
    draft.row[index] = hex(int(draft.row[index]))


@damage("DM303", "DM205", "DM206", "DM414", "DM415", "DM501")
def _negative(draw: st.DrawFn, draft: Draft) -> None:
    index = draw(st.integers(0, 1))
    draft.row[index] = "-" + draft.row[index]


@damage("DM304")
def _plus_sign(draw: st.DrawFn, draft: Draft) -> None:
    index = draw(st.integers(0, 1))
    draft.row[index] = "+" + draft.row[index]


@damage("DM305", "DM105")
def _start_of_more_than_64_bits(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[START] = str(_WIDE + draft.start)


@damage("DM305", on="linear")
def _offset_of_more_than_64_bits(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[OFFSET] = str(_WIDE + int(draft.row[OFFSET]))


@damage("DM306", "DM106")
def _target_name_too_long(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[TARGET] += "-" + "x" * draw(st.integers(15, 30))


@damage("DM307")
def _line_too_long(draw: st.DrawFn, draft: Draft) -> None:
    draft.tails[draft.at] = " # " + "x" * draw(st.integers(4097, 4200))


@damage("DM308")
def _continued(draw: st.DrawFn, draft: Draft) -> None:
    index = draw(st.integers(1, len(draft.row) - 1))
    draft.row[index] = "\\\n" + draft.row[index]


@damage("DM309", "DM201", on="linear")
def _letter_with_byte_a0(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[DEVICE] += draw(st.sampled_from("à\u0420"))


@damage("DM310")
def _fraction(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[draw(st.integers(0, 1))] += draw(st.sampled_from([".0", ".5", "."]))


# ---- DM4: the words of one target


_NO_SECTORS = ("x", "0x8", "-8", "+8", "8.5", "1k")


def _leg(draw: st.DrawFn, draft: Draft) -> int:
    """The index of a stripe's device in the row."""
    return 5 + 2 * draw(st.integers(0, int(draft.row[COUNT]) - 1))


def _sectors(draft: Draft, path: str) -> int:
    return next(device.sectors for device in draft.devices.devices if device.path == path)


@damage("DM401", on="linear")
def _offset_missing(draw: st.DrawFn, draft: Draft) -> None:
    del draft.row[draw(st.sampled_from([DEVICE, OFFSET])) :]


@damage("DM401", on="linear")
def _word_too_many(draw: st.DrawFn, draft: Draft) -> None:
    draft.row.append(draw(st.sampled_from(["0", "ro", "/dev/sdb"])))


@damage("DM402", on="linear")
def _offset_is_no_number(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[OFFSET] = draw(st.sampled_from(_NO_SECTORS))


@damage("DM411", on="striped")
def _stripes_missing(draw: st.DrawFn, draft: Draft) -> None:
    del draft.row[draw(st.sampled_from([COUNT, CHUNK])) :]


@damage("DM412", "DM416", on="striped")
def _no_count_of_stripes(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[COUNT] = draw(st.sampled_from(["0", "x", "-2", "0x2"]))


@damage("DM413", on="striped")
def _no_chunk_size(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[CHUNK] = draw(st.sampled_from(["0", "x", "64k", "-8"]))


@damage("DM413", on="striped")
def _count_of_stripes_missing(draw: st.DrawFn, draft: Draft) -> None:
    del draft.row[COUNT]


@damage("DM414", on="striped", place="last")
def _length_off_the_stripes(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[LENGTH] = str(draft.length + draw(st.integers(1, int(draft.row[COUNT]) - 1)))


@damage("DM415", on="striped", place="last")
def _length_off_the_chunks(draw: st.DrawFn, draft: Draft) -> None:
    count, chunk = int(draft.row[COUNT]), int(draft.row[CHUNK])
    draft.row[LENGTH] = str(draft.length - count * draw(st.integers(1, chunk - 1)))


@damage("DM416", on="striped")
def _stripe_too_few(draw: st.DrawFn, draft: Draft) -> None:
    del draft.row[draw(st.sampled_from([-1, -2])) :]


@damage("DM416", on="striped")
def _stripe_too_many(draw: st.DrawFn, draft: Draft) -> None:
    draft.row.extend(draft.row[5:7])


@damage("DM417", on="striped")
def _offset_of_a_stripe_is_no_number(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[_leg(draw, draft) + 1] = draw(st.sampled_from(_NO_SECTORS))


@damage("DM418", place="last", needs=lambda devices: large_block(devices).sectors >= 3 * devices.block_sectors)
def _chunk_of_an_odd_size(draw: st.DrawFn, draft: Draft) -> None:
    chunk = 3 * draft.unit
    draft.replace(2 * chunk, "striped", 2, chunk, *[large_block(draft.devices).path, 0] * 2)


@damage("DM421", on="zero")
def _zero_with_words(draw: st.DrawFn, draft: Draft) -> None:
    draft.row.append(draw(st.sampled_from(["0", "/dev/sda"])))


@damage("DM431", on="error")
def _error_with_words(draw: st.DrawFn, draft: Draft) -> None:
    draft.row.append(draw(st.sampled_from(["5", "EIO"])))


# ---- DM5: units and habits


@damage("DM501", "DM205", place="last", needs=lambda devices: _needs_bytes(devices))
def _offset_in_bytes(draw: st.DrawFn, draft: Draft) -> None:
    size = large_block(draft.devices).sectors
    first, last = _sure_to_be_bytes(draft.devices)
    offset = draft.unit * draw(st.integers(first, last))
    draft.replace(draft.unit, "linear", large_block(draft.devices).path, offset * 512)
    assert offset * 512 >= size


def _sure_to_be_bytes(devices: DeviceSet) -> tuple[int, int]:
    """The first and last block of a device that lie on it, and behind its end where bytes are given for sectors."""
    unit, size = devices.block_sectors, large_block(devices).sectors
    return max(-(-size // (512 * unit)), 1), size // unit - 1


def _needs_bytes(devices: DeviceSet) -> bool:
    first, last = _sure_to_be_bytes(devices)
    return first <= last


@damage("DM502", "DM205", place="last")
def _length_in_bytes(draw: st.DrawFn, draft: Draft) -> None:
    device = large_block(draft.devices)
    length = draft.unit * draw(st.integers(1, device.sectors // draft.unit))
    draft.replace(length * 512, "linear", device.path, device.sectors - length)


@damage("DM503", on="striped")
def _status_for_a_table(draw: st.DrawFn, draft: Draft) -> None:
    devices = draft.row[5::2]
    draft.row[CHUNK:] = *devices, "1", "A" * len(devices)
