"""The catalogue: every rule that a finding can break, by code. `dmtable explain CODE` has an example of each.

DM0 reading the text · DM1 how lines lie beside one another · DM2 devices · DM3 what dmsetup would
misread · DM4 the words of one target · DM5 legal, yet probably not what was meant.
"""

from __future__ import annotations

from dmtable.language.diagnostics import Rule, Severity

_RULES: dict[str, Rule] = {}


def _rule(severity: Severity, code: str, title: str, why: str, how: str) -> Rule:
    assert code not in _RULES, code
    _RULES[code] = Rule(code, severity, title, why, how)
    return _RULES[code]


def _error(code: str, title: str, why: str, how: str) -> Rule:
    return _rule(Severity.ERROR, code, title, why, how)


def _warning(code: str, title: str, why: str, how: str) -> Rule:
    return _rule(Severity.WARNING, code, title, why, how)


def _note(code: str, title: str, why: str, how: str) -> Rule:
    return _rule(Severity.NOTE, code, title, why, how)


def rule(code: str) -> Rule | None:
    """The rule with this code in any case of letters, None where there is none."""
    return _RULES.get(code.upper())


def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code."""
    return tuple(_RULES[code] for code in sorted(_RULES))


# DM0: reading

NOT_A_LINE = _error(
    "DM001",
    "line is not `start length target …`",
    "dmsetup reads a line as two numbers and a target's name and stops at the first line that is none",
    "write the first sector, the length in sectors and the target, then the target's own words",
)
NOT_A_NUMBER = _error(
    "DM002",
    "start or length is not a number",
    "the first two words of a line are counts of 512-byte sectors, in decimal digits",
    "write plain decimal digits",
)
CONTROL_CHARACTER = _error(
    "DM003",
    "control character in the text",
    "C programs stop reading at NUL, and other control characters become part of a word that nobody can see",
    "remove the character",
)
NOT_UTF8 = _error(
    "DM004",
    "text is not UTF-8",
    "the bytes reach the kernel as they are, but no editor shows them alike",
    "save the file as UTF-8, or write the name in ASCII",
)
OPEN_CONTINUATION = _error(
    "DM005",
    "backslash continues nothing",
    "a backslash joins two lines only when it is the very last character of the first and another line follows",
    "remove the backslash, or whatever stands behind it",
)
STRAY_BACKSLASH = _error(
    "DM006",
    "word begins or ends with a backslash",
    "dmsetup passes the backslash on as part of the word, and no target, device or number begins or ends with one",
    "remove the backslash",
)
MISSING_CONTINUATION = _error(
    "DM007",
    "line ends without the backslash that would continue it",
    "what follows carries on the line before, but without a backslash at its end it is read as a line of its own",
    "end the line before with a space and a backslash",
)
EMPTY_TABLE = _note(
    "DM008",
    "table has no lines",
    "dmsetup creates a device without a table from it, of size 0, to which no I/O is possible",
    "add a line such as `0 2048 zero`",
)
NAME_PREFIX = _error(
    "DM009",
    "line starts with a device's name",
    "`dmsetup table` without a device prints each line behind `NAME: `; a table has no such words",
    "remove the name, or print one device with `dmsetup table NAME`",
)

TWO_LINES_IN_ONE = _error(
    "DM010",
    "two lines printed as one",
    "dmsetup takes everything behind the first target for that target's words",
    "begin each mapping on a line of its own",
)

# DM1: layout

GAP = _error(
    "DM101",
    "gap between two lines",
    "a table must map every sector from 0 to its end",
    "move the line, lengthen the one before, or fill the gap with an `error` or `zero` line",
)
OVERLAP = _error(
    "DM102",
    "line begins before the one before it ends",
    "each sector is mapped by exactly one line, and lines stand in rising order",
    "move the line behind the end of the one before, or shorten that one",
)
FIRST_START = _error(
    "DM103",
    "first line does not begin at sector 0",
    "a mapped device begins at sector 0, so its first line must",
    "begin the first line at 0, or put an `error` or `zero` line before it",
)
ZERO_LENGTH = _error(
    "DM104",
    "line of length 0",
    "a target maps at least one sector",
    "give the number of sectors, or remove the line",
)
TOO_LARGE = _error(
    "DM105",
    "line ends beyond the largest device there can be",
    "start and length together must stay below 2^54 sectors, which is 2^63 bytes",
    "write smaller numbers; they are sectors of 512 bytes",
)
UNKNOWN_TARGET = _error(
    "DM106",
    "unknown target type",
    "the kernel finds a target by its exact name, and loads the module dm-NAME when it has none",
    "write the target's name in small letters as `dmsetup targets` lists it",
)
NOT_EMULATED = _note(
    "DM107",
    "target that dmtable does not run",
    "a table with it can be checked and rewritten, and loading it here fails",
    "nothing, if the table is meant for a kernel that has the target",
)
UNREAD_WORDS = _error(
    "DM108",
    "wrong number of words for this target",
    "the kernel's constructor refuses the line before it looks at any word",
    "see the target's own documentation for its words",
)

MISORDERED = _error(
    "DM109",
    "lines are not in the order of their starts",
    "the lines fit together and stand in the wrong order; the kernel takes them as they come",
    "put the lines in rising order, by number (`sort -n`) and not by letters",
)

# DM2: devices

NO_SUCH_DEVICE = _error(
    "DM201",
    "device does not exist",
    "the kernel looks a device up when the table is loaded, and refuses the table where it finds none",
    "correct the path, or create the device before",
)
NOT_BLOCK = _error(
    "DM202",
    "path is not a block device",
    "only block devices can be mapped; a regular file needs a loop device in the kernel, and none here",
    "name a block device or an image file",
)
DEVICE_NUMBER_RANGE = _error(
    "DM203",
    "device number out of range",
    "a major number has 12 bits and a minor number 20",
    "write MAJOR:MINOR with a major up to 4095 and a minor up to 1048575",
)
NO_SUCH_NUMBER = _error(
    "DM204",
    "no device has this number",
    "the kernel looks a device up when the table is loaded, and refuses the table where it finds none",
    "correct the number, or create the device before",
)
TOO_SMALL = _error(
    "DM205",
    "device is too small for the line",
    "the line would map sectors behind the end of the device",
    "shorten the line, lower the offset, or use a larger device",
)
BLOCK_MISALIGNED = _error(
    "DM206",
    "not a multiple of the device's logical block size",
    "a disk with 4,096-byte blocks can read and write those only, at multiples of 8 sectors",
    "round offset and length to the block size",
)
SHARED_SECTORS = _warning(
    "DM207",
    "two lines use the same sectors of a device",
    "what is written through one line changes what is read through the other",
    "check the offsets; if it is meant, nothing",
)
LOOP = _error(
    "DM208",
    "device is mapped by itself",
    "I/O to such a device would never arrive anywhere",
    "name the device underneath",
)
HEX_DEVICE = _warning(
    "DM209",
    "word is read as a device number in hexadecimal",
    "a word that is no path and no MAJOR:MINOR is taken for one hexadecimal number, so 700 means device 7:0",
    "write the path, or MAJOR:MINOR",
)
NO_TABLE_BELOW = _error(
    "DM210",
    "mapped device below has no table",
    "a mapped device is no disk before its first table is loaded, and cannot be opened by another",
    "load a table into the device below first",
)

BLOCK_CUT = _error(
    "DM211",
    "line ends inside a logical block",
    "a mapped device has the largest logical block of its devices, and no line may cut one that it must serve",
    "let lines begin and end at multiples of the block",
)

# DM3: dmsetup's own reading

HASH_IN_WORD = _error(
    "DM301",
    "`#` inside a word",
    "dmsetup cuts a line at the first `#` behind the target, even in the middle of a path",
    "put a space before a comment; name a device with `#` in its path by MAJOR:MINOR",
)
HEXADECIMAL = _error(
    "DM302",
    "start or length in hexadecimal",
    "dmsetup reads decimal only: it takes 0x40 for 0 and goes on reading at the x",
    "write the number in decimal",
)
NEGATIVE = _error(
    "DM303",
    "negative start or length",
    "dmsetup lets it wrap: -8 becomes 18446744073709551608",
    "write the number of sectors without a sign",
)
PLUS_SIGN = _warning(
    "DM304",
    "start or length with a plus sign",
    "dmsetup reads it, other readers of tables do not",
    "write the number without a sign",
)
NUMBER_WRAPS = _error(
    "DM305",
    "number of more than 64 bits",
    "dmsetup takes a too large start or length for 2^64 - 1, and the kernel takes an offset modulo 2^64",
    "write a number of sectors below 2^64",
)
LONG_TARGET_NAME = _error(
    "DM306",
    "target's name has 16 or more characters",
    "the name field of the kernel's interface holds 15 characters, and dmsetup refuses more",
    "check the name; the longest of the kernel's own targets has 15 characters",
)
LONG_LINE = _warning(
    "DM307",
    "line of more than 4,096 bytes",
    "a dmsetup built without getline() reads lines in pieces of 4,096 bytes and takes the rest for the next line",
    "split the mapping into several lines where the target allows it",
)
CONTINUED_LINE = _note(
    "DM308",
    "line continued with a backslash",
    "dmsetup does not join lines: it reads the part behind the line end as a line of its own",
    "join the parts (`dmtable convert --to kernel`) before a table goes to dmsetup",
)
BYTE_A0 = _error(
    "DM309",
    "character that the kernel splits in two",
    "the kernel takes byte 0xA0 for a blank, and the character's UTF-8 form contains one",
    "rename the device, or name it by MAJOR:MINOR",
)
FRACTION = _error(
    "DM310",
    "start or length with a fraction",
    "dmsetup reads the digits before the point and takes the rest for the next word",
    "write whole sectors",
)

# DM4: the words of one target

LINEAR_COUNT = _error(
    "DM401",
    "linear takes two words",
    "linear maps its sectors onto one device from one offset on",
    "write `linear DEVICE OFFSET`",
)
LINEAR_OFFSET = _error(
    "DM402",
    "offset is not a number of sectors",
    "linear's second word is the first sector on the device, in decimal digits",
    "write the offset in sectors, in plain decimal digits",
)
STRIPED_SHORT = _error(
    "DM411",
    "striped lacks its numbers",
    "striped needs the number of stripes and the chunk size before its devices",
    "write `striped COUNT CHUNK DEVICE OFFSET …`",
)
STRIPE_COUNT = _error(
    "DM412",
    "invalid number of stripes",
    "striped's first word says how many pairs of device and offset follow",
    "write a number of at least 1",
)
STRIPE_CHUNK = _error(
    "DM413",
    "invalid chunk size",
    "striped's second word is the number of sectors that go to one device before the next one's turn comes",
    "write a number of sectors of at least 1",
)
STRIPE_LENGTH = _error(
    "DM414",
    "length is no multiple of the number of stripes",
    "every stripe holds the same number of sectors",
    "round the length to a multiple of stripes times chunk size",
)
STRIPE_WIDTH = _error(
    "DM415",
    "length of a stripe is no multiple of the chunk size",
    "every stripe holds whole chunks",
    "round the length to a multiple of stripes times chunk size",
)
STRIPE_DEVICES = _error(
    "DM416",
    "number of devices does not match the number of stripes",
    "behind the chunk size stand exactly as many pairs of device and offset as there are stripes",
    "add or remove devices, or correct the number of stripes",
)
STRIPE_OFFSET = _error(
    "DM417",
    "offset of a stripe is not a number of sectors",
    "each device is followed by its first sector, in decimal digits",
    "write the offset in sectors, in plain decimal digits",
)
STRIPE_CHUNK_ADVICE = _warning(
    "DM418",
    "chunk size below a page or no power of two",
    "the kernel's documentation asks for a power of two of at least one page (8 sectors); its code does not",
    "choose 8, 16, 32 … sectors if the table should be portable",
)
ZERO_WORDS = _error(
    "DM421",
    "zero takes no words",
    "zero has nothing to configure",
    "remove the words",
)
ERROR_WORDS = _warning(
    "DM431",
    "words behind error are ignored",
    "the kernel takes any words and forgets them",
    "remove the words",
)
REPLICATOR_LOG_COUNT = _error(
    "DM451",
    "number of log parameters is off",
    "the count before the log's parameters must be the number of words that follow for the log",
    "correct the count",
)
REPLICATOR_SLINK_COUNT = _error(
    "DM452",
    "number of site link parameters is off",
    "the count before a site link's parameters must be the number of words that follow for the link",
    "correct the count",
)
REPLICATOR_COUNT = _error(
    "DM453",
    "number of device or dirty log parameters is off",
    "the count before a list of parameters must be the number of words that follow",
    "correct the count",
)
REPLICATOR_SHAPE = _error(
    "DM454",
    "words do not form a replicator line",
    "a replicator line is a log and one or more site links, each with its counts",
    "write `replicator LOG COUNT … SLINK COUNT …`",
)
REPLICATOR_WORD_ORDER = _note(
    "DM455",
    "dirty log's words in the order of the slides",
    "the kernel's dirty log takes the device before the region size; the slides print them the other way round",
    "nothing: both orders are read",
)
REPLICATOR_KIND = _error(
    "DM456",
    "unknown type of replication log or site link",
    "a log is a ringbuffer (default, replog) or memory, a site link a blockdev (local) or nbd; packages add others",
    "write one of the known types",
)
REPLICATOR_SITE = _error(
    "DM457",
    "number that a site cannot have",
    "sites have numbers from 0 to 2047, each once; 0 is the local site and comes first",
    "number the sites anew",
)
REPLICATOR_POLICY = _error(
    "DM458",
    "policy or fall-behind limit that makes no sense",
    "a policy is asynchronous, synchronous or stall, joined by `+`; a limit is ios, size or timeout with a number",
    "write `async ios 100`, `async+stall size 64m`, `sync`",
)
REPLICATOR_DEVICE = _error(
    "DM459",
    "device or dirty log that its site cannot have",
    "site 0 has no dirty log, every other site has one for each device; all sites of a line hold the same device",
    "give remote sites a core or disk log and the local one none, and use one device number and region size",
)
GROUP_CONFLICT = _error(
    "DM471",
    "site link differs from that of another table of its group",
    "tables with the same log are one group and share its site links; the first table says what they are",
    "repeat the words of the first table, or change a site link by a message",
)
GROUP_CREATE = _error(
    "DM472",
    "log of a group is created again",
    "`create` overwrites a log, and is refused while another table of the group uses it",
    "write `open` in every table of the group but the first",
)
GROUP_TWICE = _error(
    "DM473",
    "device number twice in a group",
    "the number is the device's identity in the log, so that each device of a group needs its own",
    "give each table of the group another device number",
)
MIRROR_LOG_COUNT = _error(
    "DM441",
    "number of the dirty log's words is off",
    "a mirror begins with the name of its dirty log, the number of the log's words, and the words",
    "write `mirror core 1 SIZE …` or `mirror disk 2 DEVICE SIZE …`",
)
MIRROR_COUNT = _error(
    "DM442",
    "invalid number of legs",
    "behind the dirty log stands how many pairs of device and offset follow",
    "write a number from 2 to 9",
)
MIRROR_LEGS = _error(
    "DM443",
    "fewer legs than said",
    "behind the number of legs stand so many pairs of device and offset",
    "add devices, or correct the number of legs",
)
MIRROR_OFFSET = _error(
    "DM444",
    "offset of a leg is not a number of sectors",
    "each device is followed by its first sector, in decimal digits",
    "write the offset in sectors, in plain decimal digits",
)
MIRROR_FEATURE_COUNT = _error(
    "DM445",
    "number of features does not match the features",
    "behind the legs stands how many features follow, and then exactly these",
    "correct the number, or the features",
)
MIRROR_FEATURE = _error(
    "DM446",
    "unknown feature",
    "a mirror knows handle_errors and keep_log",
    "write handle_errors, with keep_log or without",
)
MIRROR_KEEP_LOG = _error(
    "DM447",
    "keep_log without handle_errors",
    "keep_log says what becomes of writes that handle_errors would hold back",
    "write `2 handle_errors keep_log`",
)
DIRTY_LOG_KIND = _error(
    "DM461",
    "unknown type of dirty log",
    "the kernel finds a dirty log by its exact name, and loads the module dm-log-NAME when it has none",
    "write core or disk",
)
DIRTY_LOG_COUNT = _error(
    "DM462",
    "wrong number of words for this dirty log",
    "core takes a region size, disk a device before it; both take one of sync and nosync behind it",
    "write `core 1 SIZE`, `disk 2 DEVICE SIZE`, or one more with sync or nosync",
)
DIRTY_LOG_SYNC = _error(
    "DM463",
    "word is neither sync nor nosync",
    "the last word of a dirty log says whether all regions are taken for out of sync (sync) or in sync (nosync)",
    "write sync, nosync, or nothing to go by what the log says",
)
REGION_SIZE = _error(
    "DM464",
    "invalid region size",
    "a region is a power of two of sectors, at least 2 and at most the length of the line",
    "write a power of two; 1024 sectors are 512 KiB",
)
LOG_DEVICE_SMALL = _error(
    "DM465",
    "log device is too small",
    "a disk log needs 1,024 bytes and one bit for each region, in whole logical blocks",
    "use a larger device or a larger region size",
)
FAULT_OFFSET = _error(
    "DM481",
    "offset of flakey, delay or dust is not a number of sectors",
    "behind a device stands its first sector, in decimal digits",
    "write the offset in sectors, in plain decimal digits",
)
DELAY_TIME = _error(
    "DM482",
    "delay is not a number of milliseconds",
    "delay's words come in threes: a device, its first sector, and how many milliseconds a request waits",
    "write the milliseconds in plain decimal digits; 0 is no delay",
)
FLAKEY_INTERVALS = _error(
    "DM483",
    "invalid up or down interval",
    "flakey works for the first number of seconds and fails for the second, in turn, from the loading of the table on",
    "write two numbers of seconds that are not both 0",
)
FLAKEY_FEATURES = _error(
    "DM484",
    "invalid features of flakey",
    "behind the intervals stand the number of words that follow, and one or two features made of them",
    "write `1 drop_writes`, `1 error_writes`, or `5 corrupt_bio_byte NTH r|w VALUE FLAGS`",
)
DUST_BLOCK = _error(
    "DM485",
    "invalid block size of dust",
    "dust's third word is the size of a block in bytes: a power of two from 512 to 2^30, no longer than the line",
    "write 512, 1024, 2048, …",
)
WRAPS_AT_32_BITS = _warning(
    "DM486",
    "number of more than 32 bits",
    "the kernel takes this number modulo 2^32",
    "write a number below 2^32",
)

# DM5: units and habits

OFFSET_IN_BYTES = _warning(
    "DM501",
    "offset looks like bytes",
    "a table counts sectors of 512 bytes; taken as bytes this number fits the device, as it stands it does not",
    "divide the number by 512",
)
LENGTH_IN_BYTES = _warning(
    "DM502",
    "length looks like bytes",
    "every number in a table counts sectors of 512 bytes; divided by 512 this one fits the device exactly",
    "divide the number by 512 (`blockdev --getsz` prints sectors, `--getsize64` bytes)",
)
STATUS_LINE = _error(
    "DM503",
    "line looks like status output",
    "`dmsetup status` prints what a target reports, not the words that make it",
    "use the output of `dmsetup table`",
)
SYNC_AND_STALL = _warning(
    "DM511",
    "stall at a synchronous site",
    "stall keeps the log from dropping what an asynchronous site lacks; a synchronous one is waited for in any case",
    "write sync, or async+stall",
)
FIRST_STATE = _note(
    "DM512",
    "sync or nosync of a replicator's dirty log",
    "the word sets only the first state of a device that is new to its replication log; then what is stored holds",
    "nothing, or leave the word out: a new device is copied as a whole (sync)",
)
SMALL_RING = _warning(
    "DM513",
    "small log and a site without a limit",
    "when the log is full, what the site lacks is dropped and resynchronised, without any order in between",
    "give the site a limit (`ios 100`), the policy `async+stall`, or the group a larger log",
)
HUGE_REGION = _warning(
    "DM514",
    "device has hardly any regions",
    "one write that a site misses marks a region, and a resync copies the region as a whole",
    "choose a smaller region size, as 2048 sectors",
)
TIMEOUT_UNIT = _warning(
    "DM515",
    "timeout of less than a second",
    "without a unit a timeout is in milliseconds; LVM2 writes seconds into its tables",
    "write the unit: `30s`, or `500t` for milliseconds",
)
SHARED_LOG = _warning(
    "DM516",
    "replication log lies on sectors that something else uses",
    "the log overwrites what stands there, and is overwritten in turn",
    "give the log sectors of its own",
)
