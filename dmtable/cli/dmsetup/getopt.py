"""dmsetup's command line, cut as glibc's getopt_long does: options may follow operands, long ones be cut short.

The table of options is dmsetup 1.02.185's, in its order, which shows where an abbreviation is ambiguous.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dmtable.errors import DmsetupError

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


class CommandLineError(DmsetupError):
    """The command line cannot be read; dmsetup adds `Couldn't process command line.`

    It forgives that where help or the version was asked for before: its exit code is 0 then.
    """

    is_forgiven = False


def getopt(words: Sequence[str]) -> Iterator[tuple[str | None, str]]:
    """(option, its value) and (None, operand), in the order of the words. Raises CommandLineError at the first odd one.

    An option without a value has ''.
    """
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
