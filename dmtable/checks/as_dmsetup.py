"""What the kernel says to a line that dmsetup reads otherwise than it was meant."""

from __future__ import annotations

from dataclasses import dataclass

from dmtable.core.devices import Lookup
from dmtable.core.layout import layout_faults
from dmtable.core.registry import Registry
from dmtable.language.diagnostics import Refusal
from dmtable.language.dmsetup_text import DmsetupLine, DmsetupTextError, read_dmsetup_text
from dmtable.language.kernel_words import quote_params, split_args
from dmtable.language.tree import Line


@dataclass(frozen=True, slots=True)
class Reading:
    """A physical line as dmsetup hands it on, None where it does not, and the words that the kernel makes of it."""

    line: DmsetupLine | None
    words: list[str]

    @classmethod
    def of(cls, physical: str) -> Reading:
        try:
            line = next(iter(read_dmsetup_text(physical)), None)
        except DmsetupTextError:
            line = None
        return cls(line, split_args(quote_params(line.params)) if line else [])

    def is_meant(self, line: Line) -> bool:
        """Whether this is the line that was meant."""
        read = self.line
        is_head = read is not None and (read.start, read.length, read.target) == (line.start, line.length, line.target)
        return is_head and self.words == line.texts()

    def refusal(self, registry: Registry, lookup: Lookup) -> Refusal | None:
        """What the kernel says to the line, wherever it should begin; devices' sizes aside."""
        read = self.line
        if read is None:
            return None
        target = registry.target(read.target)
        faults = layout_faults(
            read.start, read.length, read.target, is_known=target is not None, expected_start=read.start
        )
        for _fault, refusal in faults:
            return refusal
        assert target is not None
        _params, findings = target.params.inspect(self.words, read.start, read.length, lookup)
        return next((finding.refusal for finding in findings if finding.refusal), None)
