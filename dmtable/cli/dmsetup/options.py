"""What a command line of dmsetup asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dmtable.cli.dmsetup.getopt import CommandLineError, getopt
from dmtable.cli.dmsetup.values import DEFAULT_MODE, ReadAhead, read_cookie, read_mode, read_read_ahead
from dmtable.language.mangling import MangleMode
from dmtable.language.numbers import atoi

_TREE_WORDS = (
    "device", "blkdevname", "nodevice", "status", "table", "active", "open", "uuid", "rw", "utf", "vt100", "ascii",
    "inverted", "compact", "notrunc",
)  # fmt: skip
_NAMING_WORDS = ("devno", "blkdevname", "devname")

_COOKIE_VARIABLE = "DM_UDEV_COOKIE"
_MANGLING_VARIABLE = "DM_DEFAULT_NAME_MANGLING_MODE"


@dataclass(frozen=True, slots=True)
class Options:
    """What a command line asks for. `operands` begin with the verb; `values` holds options without a value as ''."""

    operands: tuple[str, ...]
    values: Mapping[str, str]
    verbosity: int = 0
    mangling: MangleMode = MangleMode.AUTO
    cookie: int = 0
    """That of a udev transaction, 0 where there is none."""
    mode: int = DEFAULT_MODE
    """Of the nodes that are made."""
    read_ahead: ReadAhead | None = None
    """None leaves it as the kernel has it."""

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

    @property
    def is_device_selected(self) -> bool:
        """Whether an option says which device is meant, in place of an operand."""
        return "uuid" in self or "major" in self


def read_options(words: Sequence[str], environ: Mapping[str, str], complain: Callable[[str], object]) -> Options:
    """Reads a command line without its first word. Raises CommandLineError with dmsetup's message.

    `complain` is called with what dmsetup says and then leaves at that.
    """
    reader = _Reader(environ, complain)
    try:
        for option, value in getopt(words):
            if option is None:
                reader.operands.append(value)
            else:
                reader.take(option, value)
        return reader.finished()
    except CommandLineError as error:
        error.is_forgiven = reader.was_asked_for_help
        raise


class _Reader:
    """The options so far; each is checked as it comes, as the first that is odd ends the reading."""

    def __init__(self, environ: Mapping[str, str], complain: Callable[[str], object]) -> None:
        self._complain = complain
        self.operands: list[str] = []
        self._values: dict[str, str] = {}
        self._verbosity = 0
        self._cookie = 0
        self._mode = DEFAULT_MODE
        self._read_ahead: ReadAhead | None = None
        self._mangling = _mangling_of(environ)

    @property
    def was_asked_for_help(self) -> bool:
        return "help" in self._values or "version" in self._values

    def take(self, option: str, value: str) -> None:
        self._values[option] = value
        try:
            self._check(option, value)
        except ValueError as error:
            raise CommandLineError(str(error)) from None

    def _check(self, option: str, value: str) -> None:
        match option:
            case "verbose":
                self._verbosity += 1
            case "manglename":
                self._mangling = mangling_mode(value)
            case "udevcookie":
                self._cookie = _cookie(value, self._complain)
            case "mode":
                self._mode = read_mode(value)
            case "readahead":
                self._read_ahead = read_read_ahead(value)
            case "count" if atoi(value) < 0:
                raise CommandLineError("Count must be zero or greater.")
            case "interval" if atoi(value) <= 0:
                raise CommandLineError("Interval must be a positive integer.")

    def finished(self) -> Options:
        values = self._values
        if ("major" in values) != ("minor" in values):
            raise CommandLineError("Please specify both major number and minor number.")
        for one, other in (("table", "notable"), ("addnodeonresume", "addnodeoncreate")):
            if one in values and other in values:
                raise CommandLineError(f"--{one} and --{other} are incompatible.")
        return Options(
            tuple(self.operands),
            values,
            self._verbosity,
            self._mangling,
            self._cookie,
            self._mode,
            self._read_ahead,
        )


def environment_cookie(environ: Mapping[str, str], complain: Callable[[str], object]) -> int:
    """The cookie that the environment names, 0 where it names none."""
    word = environ.get(_COOKIE_VARIABLE)
    return _cookie(word, complain) if word else 0


def _cookie(word: str, complain: Callable[[str], object]) -> int:
    try:
        return read_cookie(word)
    except ValueError as error:
        complain(str(error))
        return 0


def mangling_mode(word: str) -> MangleMode:
    """The mode of `--manglename`. Raises CommandLineError."""
    try:
        return MangleMode(word.lower())
    except ValueError:
        raise CommandLineError("Unknown name mangling mode.") from None


def _mangling_of(environ: Mapping[str, str]) -> MangleMode:
    """The mode that the environment names; dmsetup passes over what is none."""
    try:
        return MangleMode(environ.get(_MANGLING_VARIABLE, "").lower())
    except ValueError:
        return MangleMode.AUTO


def tree_words(options: Options) -> list[str]:
    """The words of `-o` for a tree, written out. Raises CommandLineError where one is none of them."""
    return _whole_words(options["options"], _TREE_WORDS, "Tree options")


def naming(options: Options) -> str:
    """How `-o` wants devices to be named: the last of its words counts. Raises CommandLineError.

    With `-c` its words are fields of a report, and say nothing here.
    """
    if "columns" in options:
        return "devno"
    words = _whole_words(options["options"], _NAMING_WORDS, "Option")
    return words[-1] if words else "devno"


def _whole_words(text: str, known: Sequence[str], what: str) -> list[str]:
    """The words between commas; nothing stands for nothing, but a comma at the end for nothing more."""
    whole_words = []
    rest = text
    while rest:
        word, _, after = rest.partition(",")
        whole = next((each for each in known if each.startswith(word)), None)
        if whole is None:
            raise CommandLineError(f"{what} not recognised: {rest}.")
        whole_words.append(whole)
        rest = after
    return whole_words
