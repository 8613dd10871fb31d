"""dmsetup's command line, read as glibc's getopt_long does: options may follow operands, long ones be cut short.

The table of options is dmsetup 1.02.185's, in its order, which shows where an abbreviation is ambiguous.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dmtable.errors import DmsetupError
from dmtable.language.mangling import MangleMode
from dmtable.language.numbers import atoi

_LONG = (
    "alias=", "alldevices", "allprograms", "allregions", "area", "areas=", "areasize=", "addnodeonresume",
    "addnodeoncreate", "bounds=", "checks", "clear", "columns", "concise", "count=", "deferred", "select=", "exec=",
    "filemap", "follow=", "force", "foreground", "gid=", "group", "groupid=", "help", "histogram", "inactive",
    "interval=", "length=", "manglename=", "major=", "minor=", "mode=", "nameprefixes", "nogroup", "noflush",
    "noheadings", "nolockfs", "noopencount", "nosuffix", "notable", "notimesuffix", "nomonitor", "udevcookie=",
    "noudevrules", "noudevsync", "options=", "precise", "programid=", "readonly", "raw", "readahead=", "region",
    "regions=", "regionid=", "relative", "retry", "rows", "segments", "separator=", "setuuid", "showkeys", "sort=",
    "start=", "table=", "target=", "tree", "uid=", "units=", "uuid=", "unbuffered", "unquoted", "userdata=",
    "verbose=", "verifyudev", "version", "yes",
)  # fmt: skip

_SHORT = {
    "c": "columns", "C": "columns", "f": "force", "G": "gid", "h": "help", "j": "major", "m": "minor", "M": "mode",
    "n": "notable", "o": "options", "O": "sort", "r": "readonly", "S": "select", "u": "uuid", "U": "uid",
    "v": "verbose", "y": "yes",
}  # fmt: skip
_SHORT_WITHOUT_VALUE = {"v"}
"""`-v` takes no value, though `--verbose` wants one."""

_TAKES_VALUE = {option.rstrip("="): option.endswith("=") for option in _LONG}

_TREE_WORDS = (
    "device", "blkdevname", "nodevice", "status", "table", "active", "open", "uuid", "rw", "utf", "vt100", "ascii",
    "inverted", "compact", "notrunc",
)  # fmt: skip
_NAMING_WORDS = ("devno", "blkdevname", "devname")


class CommandLineError(DmsetupError):
    """The command line cannot be read; dmsetup adds `Couldn't process command line.`"""


@dataclass(frozen=True, slots=True)
class Options:
    """What a command line asks for. `operands` begin with the verb; `values` holds options without a value as ''."""

    operands: tuple[str, ...]
    values: Mapping[str, str]
    verbosity: int = 0
    mangling: MangleMode = MangleMode.AUTO

    def __contains__(self, option: str) -> bool:
        return option in self.values

    def __getitem__(self, option: str) -> str:
        return self.values.get(option, "")

    def get(self, option: str, default: str) -> str:
        return self.values.get(option, default)

    @property
    def number(self) -> tuple[int, int] | None:
        """Major and minor, as C reads them: what is no number is 0."""
        return (atoi(self["major"]), atoi(self["minor"])) if "major" in self else None


def read_options(words: Sequence[str]) -> Options:
    """Reads a command line without its first word. Raises CommandLineError with dmsetup's message."""
    operands: list[str] = []
    values: dict[str, str] = {}
    verbosity = 0
    mangling = MangleMode.AUTO
    for option, value in _getopt(words):
        if option is None:
            operands.append(value)
            continue
        values[option] = value
        if option == "verbose":
            verbosity += 1
        elif option == "manglename":
            mangling = mangling_mode(value)
    if ("major" in values) != ("minor" in values):
        raise CommandLineError("Please specify both major number and minor number.")
    if "table" in values and "notable" in values:
        raise CommandLineError("--table and --notable are incompatible.")
    return Options(tuple(operands), values, verbosity, mangling)


def mangling_mode(word: str) -> MangleMode:
    """The mode of `--manglename`. Raises CommandLineError."""
    if word not in MangleMode.__members__.values():
        raise CommandLineError("Unknown name mangling mode.")
    return MangleMode(word)


def tree_words(options: Options) -> list[str]:
    """The words of `-o` for a tree, written out. Raises CommandLineError where one is none of them."""
    return [_whole_word(word, _TREE_WORDS, "Tree options") for word in _listed(options["options"])]


def naming(options: Options) -> str:
    """How `-o` wants devices to be named: the last of its words counts. Raises CommandLineError.

    With `-c` its words are fields of a report, and say nothing here.
    """
    if "columns" in options:
        return "devno"
    words = [_whole_word(word, _NAMING_WORDS, "Option") for word in _listed(options["options"])]
    return words[-1] if words else "devno"


def _listed(text: str) -> list[str]:
    """The words between commas; nothing stands for nothing, but a comma at the end for nothing more."""
    return text.removesuffix(",").split(",") if text else []


def _whole_word(word: str, known: Sequence[str], what: str) -> str:
    for whole in known:
        if whole.startswith(word):
            return whole
    raise CommandLineError(f"{what} not recognised: {word}.")


def _getopt(words: Sequence[str]) -> Iterator[tuple[str | None, str]]:
    """(option, its value) and (None, operand), in the order of the words."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from ((None, operand) for operand in rest)
        elif word.startswith("--"):
            yield _long_option(word, rest)
        elif word.startswith("-") and word != "-":
            yield from _short_options(word[1:], rest)
        else:
            yield None, word


def _long_option(word: str, rest: Iterator[str]) -> tuple[str, str]:
    name, equals, value = word[2:].partition("=")
    option = name if name in _TAKES_VALUE else _abbreviated(name, word)
    if not _TAKES_VALUE[option]:
        if equals:
            raise CommandLineError(f"dmsetup: option '--{option}' doesn't allow an argument")
        return option, ""
    if not equals:
        try:
            value = next(rest)
        except StopIteration:
            raise CommandLineError(f"dmsetup: option '--{option}' requires an argument") from None
    return option, value


def _abbreviated(name: str, word: str) -> str:
    meant = [option for option in _TAKES_VALUE if option.startswith(name)]
    if not meant:
        raise CommandLineError(f"dmsetup: unrecognized option '{word}'")
    if len(meant) > 1:
        possible = " ".join(f"'--{option}'" for option in meant)
        raise CommandLineError(f"dmsetup: option '{word}' is ambiguous; possibilities: {possible}")
    return meant[0]


def _short_options(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for at, letter in enumerate(letters, 1):
        option = _SHORT.get(letter)
        if option is None:
            raise CommandLineError(f"dmsetup: invalid option -- '{letter}'")
        if letter in _SHORT_WITHOUT_VALUE or not _TAKES_VALUE[option]:
            yield option, ""
            continue
        try:
            yield option, letters[at:] or next(rest)
        except StopIteration:
            raise CommandLineError(f"dmsetup: option requires an argument -- '{letter}'") from None
        return
