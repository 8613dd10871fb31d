"""Both kinds of site link keep the contract, and links that were made to break it are found out."""

from __future__ import annotations

import pytest

from dmtable.sim.faults import Call
from dmtable.slink.link import SiteLink
from dmtable.testing.contracts import SiteBench, SiteLinkContract
from tests.contracts import message_of
from tests.slink.broken import BROKEN, BROKEN_ERRORS
from tests.slink.nbd_site import NbdSite
from tests.slink.needs import needs_libnbd


class TestBlockdevLink(SiteLinkContract):
    kind = "blockdev"


@needs_libnbd
class TestNbdLink(SiteLinkContract):
    kind = "nbd"

    def make_site(self) -> SiteBench:
        return NbdSite()


@needs_libnbd
class TestNbdLinkToAPlainServer(TestNbdLink):
    """A server that knows no FUA, no TRIM and no WRITE_ZEROES."""

    def make_site(self) -> SiteBench:
        return NbdSite(plain=True)


@pytest.mark.parametrize(("check", "says", "broken"), BROKEN, ids=lambda what: getattr(what, "__name__", ""))
def test_a_broken_link_is_found_out(check: str, says: str, broken: type[SiteLink]) -> None:
    assert says in message_of(_contract_of(broken), check)


@pytest.mark.parametrize(("call", "says", "broken"), BROKEN_ERRORS, ids=lambda what: getattr(what, "__name__", ""))
def test_a_link_that_takes_errors_lightly_is_found_out(call: str, says: str, broken: type[SiteLink]) -> None:
    with pytest.raises(AssertionError) as caught:
        _contract_of(broken).test_an_error_is_told_and_forgiven_when_a_test_goes_well(Call(call))
    assert says in str(caught.value)


def _contract_of(broken: type[SiteLink]) -> SiteLinkContract:
    class Contract(TestBlockdevLink):
        def link_class(self) -> type[SiteLink]:
            return broken

    return Contract()
