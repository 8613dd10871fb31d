"""What the parameters of a target promise, as checks: its words, what it takes and what it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.registry import Registry
from dmtable.core.target import Params
from dmtable.errors import IoctlError, errno_name
from dmtable.language.diagnostics import Refusal
from dmtable.sim.choices import Choices
from dmtable.sim.faults import Fault
from dmtable.testing.contracts.bench import LEAD, Bench
from dmtable.testing.contracts.properties import ANY_CLASS

_ODD_WORDS = ("", "-1", "+8", "0x10", "8k", "0", "1", "18446744073709551624", "9" * 5000, "7:0", "253:0", "700", "\0")
_ODD_LENGTHS = (1, 7, 8, 64, 1 << 40)


@dataclass(frozen=True, slots=True)
class Example:
    """A line that the target accepts: its words, and its length in sectors."""

    words: str
    length: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that the target refuses, with a positive errno."""

    words: str
    length: int
    errno: int


class WordsContract:
    """The part of a target's contract that needs no I/O."""

    target: ClassVar[str]
    """Its name in tables."""
    devices: ClassVar[Mapping[str, int]] = {}
    """The devices that the words name: paths, and sizes in sectors."""
    examples: ClassVar[Sequence[Example]]
    """Lines of every shape that it accepts, at least one."""
    refused: ClassVar[Sequence[Refused]] = ()
    """Lines that it refuses."""

    def registry(self) -> Registry:
        """Where the target is found; override it for one without an entry point: `registry.add(MyTarget)`."""
        return Registry()

    def test_it_says_who_it_is(self) -> None:
        found = self.registry().target(self.target)
        assert found is not None, f"no target is called {self.target!r}; override registry(), or mend the entry point"
        assert found.name == self.target, f"the class of {self.target!r} says that its name is {found.name!r}"
        assert len(self.target.encode()) < 16, f"the kernel's interface has room for 15 bytes of {self.target!r}"
        version = found.version
        assert len(version) == 3, f"a version is three numbers, and not {version!r}"
        assert all(isinstance(number, int) for number in version), f"a version is three numbers, and not {version!r}"
        assert issubclass(found.params, Params), "`params` is the class that judges the words, a subclass of Params"
        assert self.examples, "name at least one line in `examples`"

    def test_good_words_are_taken_and_bad_ones_refused(self) -> None:
        for example in self.examples:
            with self._bench() as bench:
                assert self._accepted(bench, example.words.split(), example.length), f"{example} is refused"
        for refused in self.refused:
            with self._bench() as bench:
                error = self._refusal(bench, refused.words.split(), refused.length)
                assert error is not None, f"{refused} is not refused"
                given = errno_name(error.errno)
                assert error.errno == refused.errno, f"{refused} is refused with {given}: {error}"
                self._accepted(bench, refused.words.split(), refused.length)

    @ANY_CLASS
    @given(data=st.data())
    def test_inspect_judges_any_words_without_raising(self, data: st.DataObject) -> None:
        words, length = data.draw(self._words()), data.draw(self._lengths())
        with self._bench() as bench:
            for lookup in (None, bench.dm.lookup):
                try:
                    params, findings = self._params_class().inspect(words, LEAD, length, lookup)
                except Exception as error:
                    raise AssertionError(f"inspect of {words} raises {error!r}; what is wrong is a Finding") from error
                refusals = [finding.refusal for finding in findings if finding.refusal is not None]
                assert (params is None) == bool(refusals), (
                    f"inspect of {words} returns {params} and the refusals {refusals}: parameters where nothing is "
                    "refused, and None where something is"
                )

    @ANY_CLASS
    @given(data=st.data())
    def test_words_survive_being_written_and_read_again(self, data: st.DataObject) -> None:
        words, length = data.draw(self._words()), data.draw(self._lengths())
        params, _ = self._params_class().inspect(words, LEAD, length, None)
        if params is not None:
            again, findings = self._params_class().inspect(params.words(), LEAD, length, None)
            assert again == params, f"{params} writes {params.words()}, which is read as {again} with {findings}"

    @ANY_CLASS
    @given(data=st.data())
    def test_a_table_loads_exactly_where_inspect_finds_no_refusal(self, data: st.DataObject) -> None:
        words, length = data.draw(self._words()), data.draw(self._lengths())
        with self._bench() as bench:
            self._accepted(bench, words, length)

    # Inside

    def _bench(self, choices: Choices | None = None, placed: Mapping[int, Fault] | None = None) -> Bench:
        return Bench(self.devices, self.registry(), choices=choices, placed=placed)

    def _params_class(self) -> type[Params]:
        found = self.registry().params(self.target)
        assert found is not None, f"no target is called {self.target!r}"
        return found

    def _accepted(self, bench: Bench, words: Sequence[str], length: int) -> bool:
        """Whether a table with these words loads; inspect and the constructor are of one opinion."""
        _, findings = self._params_class().inspect(words, LEAD, length, bench.dm.lookup)
        refusals = [finding.refusal for finding in findings if finding.refusal is not None]
        error = self._refusal(bench, words, length)
        if error is None:
            assert not refusals, f"{list(words)} is loaded, although inspect refuses it with {refusals[0].text!r}"
        elif any("error adding target to table" in line for line in error.log):
            _check_same(words, refusals, error)
        # Else a device is too small, which is not the target's to judge.
        return error is None

    def _refusal(self, bench: Bench, words: Sequence[str], length: int) -> IoctlError | None:
        try:
            bench.dm.remove(bench.create("md", self.target, words, length))
        except IoctlError as error:
            return error
        except Exception as error:
            raise AssertionError(f"loading {list(words)} raises {error!r}; a target refuses with CtrError") from error
        return None

    def _lines(self) -> list[tuple[list[str], int]]:
        """Words and length of all lines that we are given, good ones and bad ones."""
        good = [(line.words.split(), line.length) for line in self.examples]
        return good + [(line.words.split(), line.length) for line in self.refused]

    def _words(self) -> st.SearchStrategy[list[str]]:
        return _words_like(tuple(tuple(words) for words, _length in self._lines()), tuple(self.devices))

    def _lengths(self) -> st.SearchStrategy[int]:
        return st.sampled_from([*(length for _words, length in self._lines()), *_ODD_LENGTHS])


@cache
def _words_like(known: tuple[tuple[str, ...], ...], devices: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Words of all kinds: known ones, with changes or without, and any others."""
    texts = sorted({*_ODD_WORDS, *devices, *(word for words in known for word in words)})
    word = st.one_of(st.sampled_from(texts), st.text(max_size=6))
    new = st.one_of(word.map(lambda text: [text]), st.lists(word, max_size=2))
    changed = st.builds(_changed, st.sampled_from(known), st.integers(0, 20), new)
    return st.one_of(st.sampled_from(known).map(list), changed, st.lists(word, max_size=10))


def _changed(words: Sequence[str], at: int, new: Iterable[str]) -> list[str]:
    at %= len(words) + 1
    return [*words[:at], *new, *words[at + 1 :]]


def _check_same(words: Sequence[str], refusals: Sequence[Refusal], error: IoctlError) -> None:
    """The constructor's refusal is the first one that inspect finds."""
    given = errno_name(error.errno)
    assert refusals, f"inspect finds nothing to refuse in {list(words)}, and the constructor says {error.log[0]!r}"
    said = error.log[min(len(refusals[0].log), len(error.log) - 1)]
    text, expected = refusals[0].text, errno_name(refusals[0].errno)
    assert said.endswith(text), f"inspect refuses {list(words)} with {text!r}, and the constructor says {said!r}"
    assert given == expected, f"inspect refuses {list(words)} with {expected}, and loading ends with {given}"
