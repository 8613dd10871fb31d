"""Table text for tests of the language: well formed, damaged, and plain nonsense."""

from __future__ import annotations

from hypothesis import strategies as st

BLANKS = " \t\r\v\f"
NASTY = BLANKS + "\n\n\n##\\\\0189_+-x.:|,\0\x1c\x1f\x7f\x85\u00a0\u0661\u00b2\u00e0\ud800\udca0ae"
"""Characters that readers of numbers, words and lines get wrong, each in its own way."""

numbers = st.one_of(
    st.integers(0, 5000).map(str),
    st.integers(0, 5000).map(lambda number: f"{number:05}"),
    st.sampled_from([str((1 << bits) + step) for bits in (31, 32, 62, 63, 64) for step in (-1, 0, 1)]),
    st.integers(4290, 4310).map(lambda digits: "7" * digits),
)
offsets = st.one_of(st.integers(0, 1 << 20).map(str), numbers)
devices = st.sampled_from(
    ["/dev/sda", "/dev/mapper/vg-a_b", "8:16", "7:0", "a", "|", "linear", "0", "-", "/dev/é", "d#1"]
)
odd_words = st.text(st.characters(exclude_characters=BLANKS + "\n"), min_size=1, max_size=6).filter(
    lambda word: word[0] != "#" and word[-1] != "\\"
)
counts = st.integers(0, 5).map(str)
policies = st.sampled_from(
    ["async", "sync", "asynchronous", "synchronous", "stall", "s", "sy", "a", "async+stall", "async+epoch+h"]
)
limits = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["ios", "size", "TIMEOUT", "data"]),
        st.sampled_from([" ", "="]),
        st.sampled_from(["0", "100", "64k"]),
    ).map("".join),
)
first_states = st.sampled_from(["", " sync", " nosync"])
dirty_logs = st.one_of(
    st.sampled_from(["- 0", "nolog 0"]),
    st.tuples(st.just("core 2 8192"), first_states).map("".join),
    st.tuples(st.sampled_from(["disk 3 32768 /dev/log", "disk 2 /dev/log 32768", "disk 3 700 8192"]), first_states).map(
        "".join
    ),
)


@st.composite
def links(draw: st.DrawFn) -> str:
    """One site link: kind, count, number, policy and fall-behind."""
    text = f"{draw(st.sampled_from(['local', 'blockdev', 'nbd']))} {draw(counts)} {draw(counts)}"
    if draw(st.booleans()):
        text += f" {draw(policies)}"
        limit = draw(limits)
        text += f" {limit}" if limit else ""
    return text


@st.composite
def replicators(draw: st.DrawFn) -> str:
    """A replicator or replicator-dev line from its target on, of either dialect."""
    if draw(st.booleans()):
        sites = [f" {draw(counts)} 1 {draw(devices)} {draw(dirty_logs)}" for _ in range(draw(st.integers(1, 3)))]
        return f"replicator-dev {draw(devices)} {draw(counts)}" + "".join(sites)
    log = f"memory {draw(counts)} 65536"
    if draw(st.booleans()):
        mode = draw(st.sampled_from(["", " open", " create 2097152", " auto 4096", " o", " auto"]))
        kind = draw(st.sampled_from(["default", "replog", "tape"]))
        log = f"{kind} {draw(counts)} {draw(devices)} {draw(offsets)}{mode}"
    sites = [draw(links()) for _ in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        sites = [f"{site} 2 {draw(counts)} {draw(devices)} {draw(dirty_logs)}" for site in sites]
    return f"replicator {log} {' '.join(sites)}"


@st.composite
def mappings(draw: st.DrawFn) -> str:
    """A line from its target on: any target, words that fit it and words that do not."""
    kind = draw(st.sampled_from(["linear", "striped", "zero", "error", "other", "replicator", "misfit"]))
    if kind == "linear":
        return f"linear {draw(devices)} {draw(offsets)}"
    if kind == "striped":
        pairs = draw(st.lists(st.tuples(devices, offsets).map(" ".join), max_size=3))
        return " ".join([f"striped {draw(st.sampled_from(['2', '+2', '02']))} {draw(counts)}", *pairs])
    if kind == "replicator":
        return draw(replicators())
    words = draw(st.lists(st.one_of(devices, offsets, odd_words), max_size=4))
    targets = {"zero": st.just("zero"), "error": st.just("error"), "other": st.sampled_from(["mirror", "zero#", "12"])}
    known = st.sampled_from(["linear", "striped", "zero", "replicator", "replicator-dev", "replicator", "error"])
    return " ".join([draw(targets.get(kind, known)), *words])


separators = st.sampled_from([" "] * 8 + ["  ", "\t", " \t", "\r", "\v", "\f", " \\\n", "\\\r\n ", " \\\n\\\n"])
line_ends = st.sampled_from(
    ["\n"] * 8 + ["\r\n", " \n", " # a comment\n", "\t#\n", "\n\n", "\n# alone \\\n", "\n  # é\n", " \\\n\n"]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A table that is well formed by its shape: short runs of adjoining linear lines, and anything else."""
    text, start = draw(st.sampled_from(["", "", "\n", "# a table\n", " "])), 0
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            device = draw(st.lists(devices.filter(str.isascii), min_size=1, max_size=3))
            for row in range(draw(st.integers(1, 24))):
                length = draw(st.sampled_from([8, 8, 8, 16, 0, 3]))
                text += f"{start} {length} linear {device[row % len(device)]} {draw(st.integers(0, 99))}\n"
                start += length
        else:
            words = [str(start) if draw(st.booleans()) else draw(numbers), draw(numbers), *draw(mappings()).split(" ")]
            text += words[0] + "".join(draw(separators) + word for word in words[1:]) + draw(line_ends)
    return text.removesuffix("\n") if draw(st.booleans()) else text


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A table with a few characters inserted, replaced and removed."""
    text = draw(texts())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        kept = at + draw(st.integers(0, 1))
        text = text[:at] + draw(st.text(st.sampled_from(NASTY), max_size=2)) + text[kept:]
    return text


nonsense = st.one_of(
    st.text(st.sampled_from(NASTY)), st.text(), st.text(st.characters(categories=["Cc", "Zs", "Nd", "Cs"]))
)
any_text = st.one_of(texts(), damaged(), damaged(), nonsense)
