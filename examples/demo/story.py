"""The story, chapter by chapter: what is done, what is waited for, what is said."""

from __future__ import annotations

import filecmp
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from dmtable.errors import DmtableError
from examples import slides
from examples.demo.failure import DemoError
from examples.demo.files import Files, make_files
from examples.demo.measures import Measures
from examples.demo.primary import Link, Primary
from examples.demo.remains import clear
from examples.demo.remote import Found, look
from examples.demo.shop import Shop, make_database
from examples.demo.timeline import Course, Event, draw
from examples.demo.watch import Instant, Watch


class Story:
    """Everything happens in the folder; `cleanup` takes back what would be left otherwise, however it ends."""

    def __init__(self, folder: Path, measures: Measures, cleanup: ExitStack) -> None:
        self._shown = folder
        self._folder = folder.absolute()
        self._measures = measures
        self._cleanup = cleanup
        self._primary = Primary(self._folder, measures)
        self._watch = Watch(self._primary)
        self._files: Files | None = None
        self._shop: Shop | None = None
        self._commits: list[float] = []
        self._dark = (0.0, 0.0)
        self._events: list[Event] = []

    def tell(self) -> None:
        """All of it. Raises DemoError where something does not come as promised."""
        clear(self._folder, self._primary)
        self._cleanup.callback(self._end)
        if not self._switch_on():
            return
        self._make_contents()
        self._good_days()
        self._slow_link()
        self._cut()
        self._restart(self._power_loss())
        self._compare()
        print("\nA kill is as much as a demo can do: the caches of this computer's disks keep their power.")
        print("`dmtable torture` takes them along, at every point of a run.")
        print(f"\nThe time line: {self._draw()}")

    # Chapters.

    def _switch_on(self) -> bool:
        """Whether volumes are files here, without which there is little to tell."""
        size = self._measures.volume >> 11
        print(f"Berlin writes, Tokyo follows: two volumes of {size} MiB at each, image files in {self._shown}/disks.\n")
        self._primary.make_disks()
        notes = self._primary.switch_on(log_is_new=True)
        if self._primary.node("vol0").exists():
            return True
        print(f"Left out, nearly all of it: {notes}\nWhat can be had without, the first tables of the slides:\n")
        slides.main(self._shown)
        return False

    def _make_contents(self) -> None:
        self._watch.start()
        self._say(f"an emulated machine runs, its tables are in {self._shown}/tables; look on from elsewhere:")
        self._add(f"dmtable --dir {self._shown}/machine status")
        self._files, why_not = make_files(self._primary.node("vol0"), self._folder / "files")
        if self._files is None:
            self._say(f"left out, a file system on vol0: {why_not}")
        elif self._files.has_journal:
            self._say(f"vol0 is an ext4 file system, made on its node and mounted at {self._shown}/files")
        else:
            self._say("vol0 is an ext4 file system, filled by mke2fs -d and debugfs")
            self._add(f"left out, mounting it: {why_not}")
        make_database(self._primary.node("db"), self._folder / "new.db")
        self._say("vol1 is a SQLite database and its rollback journal, opened by SQLite as the nodes db and db-journal")
        self._wait(_is_even, "Tokyo has all of it")

    def _good_days(self) -> None:
        self._say("the shop opens: for each sale a receipt in vol0, then a transaction in vol1", "the shop opens")
        shop = self._open_shop(self._files)
        self._wait(lambda _: shop.committed >= self._measures.good_commits, "the shop sells")
        if self._files is not None and not self._files.has_journal:
            self._say("no more receipts: debugfs keeps no journal, and would be caught halfway by what follows")
            shop.files, last = None, shop.committed
            # The receipt under way is the last: with the sale after it, the file system is sound.
            self._wait(lambda _: shop.committed > last + 1, "the shop sells")
            self._wait(_is_even, "Tokyo has all of it")
        self._add_figures()

    def _slow_link(self) -> None:
        self._primary.set_link(Link.SLOW)
        self._say("the link gets slow: its tables are `delay` now, 20 ms; nobody waits for it", "the link gets slow")
        self._wait(lambda now: now.behind >= 0.4 * self._measures.limit, "Tokyo falls behind")
        self._add_figures()

    def _cut(self) -> None:
        self._primary.set_link(Link.CUT)
        self._say("the link is cut: its tables are `error` now", "the link is cut")
        self._wait(lambda now: now.waits, "the fall-behind crosses its limit")
        self._say("Tokyo lacks more than it may: the site is synchronous now, and writers wait for it", "writers wait")
        time.sleep(self._measures.wait_seconds)
        self._add_figures()

    def _power_loss(self) -> int:
        """How many sales were committed."""
        begin = self._watch.now()
        self._primary.lose_power()
        self._dark = (begin, begin)
        self._event("power fails")
        shop = self._close_shop()
        if self._files is not None:
            self._files.end()
        self._say(f"Berlin loses power, {shop.committed} sales committed and one under way (its daemon gets SIGKILL)")
        found = self._look_at_tokyo()
        if found.sales > shop.committed + 1:
            raise DemoError(f"Tokyo has {found.sales} sales, more than were ever made")
        self._say("Tokyo's disks as they are, copies of them looked at:")
        if self._files is not None:
            self._add("e2fsck: a clean file system")
        self._add(f"SQLite: integrity_check ok, sales 1 to {found.sales} of {shop.committed}, none missing")
        if found.receipts:
            self._add(f"sales 1 to {found.receipts} have their receipts, whole: one order of writes over both volumes")
        return shop.committed

    def _restart(self, committed: int) -> None:
        self._primary.switch_on(log_is_new=False)
        self._dark = (self._dark[0], self._watch.now())
        self._event("power is back")
        owed = self._wait(_always, "the status can be read").behind
        self._say(
            f"power is back, the tables say `open` now: the log owes Tokyo {owed:,} writes, the link is still cut"
        )
        time.sleep(self._measures.wait_seconds / 3)
        self._primary.set_link(Link.GOOD)
        self._say("the link heals: its tables are `linear` again", "the link heals")
        self._wait(_is_even, "Tokyo catches up")
        self._say("Tokyo has all that Berlin has", "Tokyo is even")
        files = self._files if self._files is not None and self._files.has_journal else None
        if files is not None:
            files.begin()
        shop = self._open_shop(files)
        self._event("the shop is open again")
        self._wait(lambda _: len(shop.commit_times) >= self._measures.good_commits, "the shop sells again")
        if shop.found < committed:
            raise DemoError(f"Berlin has lost sales {shop.found + 1} to {committed}, which were committed")
        self._say(f"the shop is open again, and had all {committed} sales that were committed")
        self._add_figures()

    def _compare(self) -> None:
        self._check_shop()
        self._close_shop()
        self._event("the shop closes")
        if self._files is not None:
            self._files.end()
        self._wait(_is_even, "Tokyo has all of it")
        self._watch.stop()
        self._primary.switch_off()
        for name in ("vol0", "vol1"):
            berlin, tokyo = (self._primary.disks / site / name for site in ("berlin", "tokyo"))
            if not filecmp.cmp(berlin, tokyo, shallow=False):
                raise DemoError(f"{berlin} and {tokyo} differ")
        found = self._look_at_tokyo()
        self._say(f"the shop closes, {found.sales} sales; Berlin's and Tokyo's images are equal, byte for byte")

    # What chapters are made of.

    def _open_shop(self, files: Files | None) -> Shop:
        self._shop = Shop(self._primary.node("db"), files)
        self._shop.start()
        return self._shop

    def _close_shop(self) -> Shop:
        shop, self._shop = self._shop, None
        assert shop is not None
        shop.close()
        self._commits += [at - self._watch.begin for at in shop.commit_times]
        return shop

    def _look_at_tokyo(self) -> Found:
        tokyo, place = self._primary.disks / "tokyo", self._folder / "found"
        return look(tokyo, place, self._measures, has_files=self._files is not None)

    def _wait(self, holds: Callable[[Instant], bool], what: str) -> Instant:
        """Until something holds, which `what` names should it never."""
        return self._watch.until(holds, what, self._check_shop)

    def _check_shop(self) -> None:
        if self._shop is not None and self._shop.failure is not None:
            raise DemoError(f"the shop failed: {self._shop.failure}")

    def _say(self, text: str, event: str = "") -> None:
        print(f"{self._watch.now():6.1f} s  {text}", flush=True)
        if event:
            self._event(event)

    def _add(self, text: str) -> None:
        print(f"{'':12}{text}", flush=True)

    def _event(self, text: str) -> None:
        self._events.append(Event(self._watch.now(), text))

    def _add_figures(self) -> None:
        """Where things stand."""
        now, shop = self._watch.instants[-1], self._shop
        assert shop is not None
        self._add(f"{shop.committed:,} sales · Tokyo lacks {now.behind:,} writes · log {now.log_share:.0%} full")

    def _draw(self) -> Path:
        path = self._shown / "timeline.svg"
        course = Course(self._watch.instants, self._events, self._commits, self._measures.limit, self._dark)
        with path.open("w", encoding="utf-8") as picture:
            picture.writelines(draw(course))
        return path

    def _end(self) -> None:
        """Writers wait for a site that may never come back: so power is lost first, which ends every wait."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._watch.stop()
        self._primary.lose_power()
        if self._shop is not None:
            self._shop.close()
        if self._files is not None:
            with suppress(DemoError):
                self._files.end()
        with suppress(DmtableError):
            self._primary.switch_off()


def _is_even(now: Instant) -> bool:
    return not now.behind and not now.here


def _always(_: Instant) -> bool:
    return True
