"""What stands where a target's name belongs, and is none."""

from __future__ import annotations

from dmtable.core.devices import read_number
from dmtable.core.registry import Registry
from dmtable.errors import DeviceLookupError
from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Edit, Fix, Refusal, diagnose
from dmtable.language.numbers import is_decimal
from dmtable.language.tree import Line, Span
from dmtable.targets.unemulated import NAMES

_ONLY_IN_LINUX = frozenset(
    {"cache", "clone", "ebs", "era", "integrity", "unstriped", "vdo", "verity", "writecache", "zoned"}
)
_CLOSE_ENOUGH = 0.7


def unknown_target(line: Line, registry: Registry, refusal: Refusal) -> Diagnostic:
    """The finding on a line whose target nothing can run, with the name that was meant where that is clear."""
    name, span = line.target, line.token(-1).span
    if registry.params(name) is not None:
        what = f"the words of {name} are checked, and dmtable cannot run it"
        return diagnose(rules.NOT_EMULATED, span, what, refusal=refusal)
    if _is_device(name):
        what = f"a device, {name}, stands where the target's name belongs"
        fix = None
        if len(line.words) == 1 and is_decimal(line.words[0].text):
            before = Span(span.start, span.start, span.line, span.column)
            fix = Fix("write `linear` before it", (Edit(before, "linear "),))
        how = "write the target before it, as `linear`"
        return diagnose(rules.UNKNOWN_TARGET, span, what, how=how, refusal=refusal, fix=fix)
    if name in _ONLY_IN_LINUX:
        what = f"dmtable does not know {name}; Linux has it in the module dm-{name}"
        how = f"load it with `modprobe dm-{name}` before the table"
        return diagnose(rules.UNKNOWN_TARGET, span, what, how=how, refusal=refusal)
    meant = _meant(name, registry)
    if meant is None:
        return diagnose(rules.UNKNOWN_TARGET, span, f"no target is called {name!r}", refusal=refusal)
    what = f"no target is called {name!r}; did you mean {meant!r}?"
    fix = Fix(f"write {meant}", (Edit(span, meant),))
    return diagnose(rules.UNKNOWN_TARGET, span, what, how=fix.title, refusal=refusal, fix=fix)


def _is_device(name: str) -> bool:
    try:
        return name.startswith("/") or (":" in name and read_number(name) is not None)
    except DeviceLookupError:
        return True


def _meant(name: str, registry: Registry) -> str | None:
    from difflib import get_close_matches

    known = sorted({*registry.names(), *NAMES, *_ONLY_IN_LINUX})
    close = get_close_matches(name.lower(), known, 1, _CLOSE_ENOUGH)
    return close[0] if close else None
