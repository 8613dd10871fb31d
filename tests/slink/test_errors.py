"""What failed at a site, against a model: a set of (device, kind of error)."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dmtable.core.target import Context
from dmtable.io.device import BlockDevice
from dmtable.slink.blockdev import BlockdevLink
from dmtable.slink.link import DeviceError, Policy, SiteDevice
from dmtable.testing.contracts import SiteBench

DEVICES = st.integers(0, 2)
ERRORS = st.sampled_from([*DeviceError])


class _OneDisk(BlockdevLink):
    """All its devices are the bench's disk; those in `unreachable` cannot be opened."""

    def __init__(self) -> None:
        super().__init__(1, Policy(), None)
        self.unreachable: set[str] = set()

    def connect(self, context: Context, word: str) -> tuple[BlockDevice, str]:
        if word in self.unreachable:
            raise OSError(f"{word} is away")
        return super().connect(context, SiteBench.word)


class Errors(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench, self.link = SiteBench(), _OneDisk()
        for number in range(3):
            self.link.devices[number] = SiteDevice(number, str(number), 32, None)
        self.model: set[tuple[int, DeviceError]] = set()
        self.failures = 0

    def teardown(self) -> None:
        self.bench.close()

    @rule(device=DEVICES, error=ERRORS)
    def fails(self, device: int, error: DeviceError) -> None:
        assert self.link.failed(device, error) == ((device, error) not in self.model)
        self.model.add((device, error))
        self.failures += 1

    @rule(device=DEVICES)
    def goes_away(self, device: int) -> None:
        if self.link.devices[device].device is None:
            self.link.unreachable.add(str(device))

    @rule()
    def all_come_back(self) -> None:
        self.link.unreachable.clear()

    @rule()
    def is_tested(self) -> None:
        away = {int(word) for word in self.link.unreachable}
        failed = dict.fromkeys(device for device in self.link.errors)
        try:
            self.bench.run(self.link.testing(self.bench))
        except OSError:
            first = next(device for device in failed if device in away)
            failed = dict.fromkeys(list(failed)[: list(failed).index(first)])
        else:
            assert not away & {*failed}, "a device that cannot be opened was forgiven"
        self.model = {(device, error) for device, error in self.model if device not in failed}

    @rule(paused=st.booleans())
    def is_paused(self, paused: bool) -> None:
        self.link.paused = paused

    @invariant()
    def agrees(self) -> None:
        letters = [("R", DeviceError.READ), ("W", DeviceError.WRITE)]
        expected = "".join(letter for letter, error in letters if error in {kind for _, kind in self.model})
        assert self.link.error_letters == (expected or "A")
        assert self.link.accessible == (not self.model and not self.link.paused)
        assert self.link.failures == self.failures


TestErrors = Errors.TestCase
TestErrors.settings = settings(max_examples=60, stateful_step_count=30)
