"""The checkers of programs on good and on broken input: each broken promise is told, and nothing else is."""

from __future__ import annotations

import pytest

from chubby.client.recipes.service_registry import Instance
from chubby.types.time import SECOND
from tests.simulation.programs.counters import CountChecker
from tests.simulation.programs.leaders import TermChecker
from tests.simulation.programs.parties import BarrierChecker
from tests.simulation.programs.services import RollChecker
from tests.simulation.programs.settings import ValueChecker
from tests.simulation.violation import Violation


def ended() -> bool:
    """Of a leader that does not act any more."""
    return False


class TestTerms:
    """One leader acts at a time; the guard refuses former ones; followers see terms in order."""

    def test_terms_one_after_the_other(self) -> None:
        """Deeds in the order of tokens, requests of both, and values in order."""
        checker = TermChecker()
        checker.elected("c1", b"c1/a", 5, ended)
        checker.acted("c1", 5)
        checker.elected("c2", b"c2/a", 9, ended)
        checker.acted("c2", 9)
        checker.acted("c2", 9)
        checker.requested("c2", 9, admitted=True)
        checker.requested("c1", 5, admitted=False)
        checker.requested("c2", 9, admitted=True)
        for value in (b"c1/a", b"", b"c2/a"):
            checker.saw("c3", value)
        checker.check()
        assert checker.token_of(b"c2/a") == 9 and checker.token_of(b"nobody") == 0

    def test_a_deed_of_a_former_leader(self) -> None:
        """It believed itself certain, and was not."""
        checker = TermChecker()
        checker.elected("c1", b"c1/a", 5, ended)
        checker.elected("c2", b"c2/a", 9, ended)
        checker.acted("c2", 9)
        with pytest.raises(Violation, match="c1 acts with token 5 after c2 with 9"):
            checker.acted("c1", 5)

    def test_a_token_of_two_terms(self) -> None:
        """Tokens are used once."""
        checker = TermChecker()
        checker.elected("c1", b"c1/a", 5, ended)
        with pytest.raises(Violation, match="c2 was elected with token 5, as c1 was"):
            checker.elected("c2", b"c2/a", 5, ended)

    def test_a_token_smaller_than_one_before(self) -> None:
        """Tokens grow."""
        checker = TermChecker()
        checker.elected("c1", b"c1/a", 5, ended)
        with pytest.raises(Violation, match="c2 was elected with token 4 after c1's 5"):
            checker.elected("c2", b"c2/a", 4, ended)

    def test_two_leaders_at_a_time(self) -> None:
        """The former one acts as leader when another is elected; not so if it has resigned."""
        checker = TermChecker()
        checker.elected("c1", b"c1/a", 5, lambda: True)
        with pytest.raises(Violation, match="c2 was elected with token 6 while c1 acts as leader"):
            checker.elected("c2", b"c2/a", 6, ended)
        checker.left(5)
        checker.elected("c2", b"c2/a", 6, ended)

    def test_safe_and_yet_lost(self) -> None:
        """Nothing was lost, it is told, and somebody else was elected meanwhile."""
        checker = TermChecker()
        checker.elected("c1", b"c1/a", 5, ended)
        checker.kept("c1", 5)
        checker.elected("c2", b"c2/a", 6, ended)
        with pytest.raises(Violation, match="c1 is told that it kept token 5, and 6 was given out"):
            checker.kept("c1", 5)

    @pytest.mark.parametrize(("token", "admitted", "said"), [(4, True, "admits"), (5, False, "refuses")])
    def test_a_guard_that_is_wrong(self, token: int, admitted: bool, said: str) -> None:
        """It lets a former leader in, or keeps the present one out."""
        checker = TermChecker()
        checker.requested("c1", 5, admitted=True)
        with pytest.raises(Violation, match=f"the guard {said} c2"):
            checker.requested("c2", token, admitted)

    def test_a_follower_that_goes_back(self) -> None:
        """An older leader after a newer one; another follower may still be behind, and unknown values say nothing."""
        checker = TermChecker()
        checker.elected("c1", b"old", 5, ended)
        checker.elected("c2", b"new", 9, ended)
        for follower, value in (("c3", b"new"), ("c4", b"old"), ("c3", b"?"), ("c4", b"new")):
            checker.saw(follower, value)
        checker.check()
        checker.saw("c3", b"old")
        with pytest.raises(Violation, match="c3 saw leader b'old'"):
            checker.check()

    def test_a_value_may_be_seen_before_its_leader_knows(self) -> None:
        """The order is judged when all is known."""
        checker = TermChecker()
        checker.saw("c3", b"new")
        checker.saw("c3", b"old")
        checker.check()
        checker.elected("c1", b"old", 5, ended)
        checker.elected("c2", b"new", 9, ended)
        with pytest.raises(Violation):
            checker.check()


class TestCounts:
    """No count is lost."""

    def test_counting(self) -> None:
        """One after the other; one that was begun and not acknowledged may have counted or not."""
        checker = CountChecker()
        for number in (1, 2):
            checker.held("c1", number * 10)
            checker.read("c1", number - 1, checker.acknowledged)
            checker.counting()
            checker.counted("c1", number)
        checker.counting()
        checker.read("c2", 2, checker.acknowledged)
        checker.read("c2", 3, checker.acknowledged)
        assert checker.acknowledged == 2 and checker.begun == 3

    def test_a_lost_update(self) -> None:
        """Two read the same, and both wrote."""
        checker = CountChecker()
        checker.counting()
        checker.counting()
        checker.counted("c1", 1)
        with pytest.raises(Violation, match="c2 counted to 1, as somebody else did"):
            checker.counted("c2", 1)

    def test_a_count_that_went_back(self) -> None:
        """A late write of an old value was let in."""
        checker = CountChecker()
        for number in (1, 2, 3):
            checker.counting()
            checker.counted("c1", number)
        with pytest.raises(Violation, match="c2 reads 1 after 3 counts: 2 are lost"):
            checker.read("c2", 1, checker.acknowledged)

    def test_a_count_out_of_nothing(self) -> None:
        """More than were begun."""
        with pytest.raises(Violation, match="only 0 counts were begun"):
            CountChecker().read("c1", 1, 0)

    def test_a_token_for_two_holders(self) -> None:
        """Also if the lock's node was another one."""
        checker = CountChecker()
        checker.held("c1", 7)
        with pytest.raises(Violation, match=r"c2 holds /count\.lock with token 7, as c1 did"):
            checker.held("c2", 7)


def there(*addresses: str) -> list[Instance]:
    """Instances by address, `name:number`."""
    return [Instance(address.partition(":")[0], address, {}) for address in addresses]


class TestRoll:
    """Who is registered is seen."""

    @pytest.fixture
    def checker(self) -> RollChecker:
        """With two instances, c1 since 10 and c2 since 20."""
        checker = RollChecker()
        for name, address, now in (("c1", "c1:1", 10), ("c2", "c2:2", 20)):
            checker.registering(name, address)
            checker.registered(name, address, now)
        return checker

    def test_looking(self, checker: RollChecker) -> None:
        """Both are there; who asked before c2 was entered may miss it; who left may be missed or seen."""
        stands = checker.standing
        checker.looked("c3", there("c1:1", "c2:2"), 30, stands)
        checker.looked("c3", there("c1:1"), 15, stands)
        checker.leaving("c1")
        checker.looked("c3", there("c2:2"), 30, stands)
        checker.looked("c3", there("c1:1", "c2:2"), 30, stands)
        assert checker.standing == {"c2": "c2:2"} and checker.sightings == 6

    def test_one_that_is_missed(self, checker: RollChecker) -> None:
        """Its session lives, and nobody sees it."""
        with pytest.raises(Violation, match="while c2 is registered at c2:2"):
            checker.looked("c3", there("c1:1"), 30, checker.standing)

    def test_one_whose_session_may_be_over(self, checker: RollChecker) -> None:
        """Nothing can be said of it."""
        checker.looked("c3", there("c1:1"), 30, {"c1": "c1:1"})

    def test_one_at_an_old_address(self, checker: RollChecker) -> None:
        """It was taken over, and that was acknowledged."""
        checker.registering("c1", "c1:3")
        checker.registered("c1", "c1:3", 25)
        with pytest.raises(Violation, match="while c1 is registered at c1:3"):
            checker.looked("c3", there("c1:1", "c2:2"), 30, checker.standing)

    def test_one_that_never_was(self, checker: RollChecker) -> None:
        """Nobody registered so."""
        with pytest.raises(Violation, match="where it never was"):
            checker.saw("c3", there("c9:9"))

    def test_one_that_goes_back(self, checker: RollChecker) -> None:
        """For one who follows, addresses of a name grow; another one may be behind."""
        checker.registering("c1", "c1:3")
        checker.saw("c3", there("c1:3"))
        checker.saw("c4", there("c1:1"))
        with pytest.raises(Violation, match="c3 is told of c1:1 after a later address"):
            checker.saw("c3", there("c1:1"))


class TestValues:
    """Newer and newer values, and no read that is older than what was acknowledged."""

    @pytest.fixture
    def checker(self) -> ValueChecker:
        """With a value of revision 10, one of 20, and one of which nobody was told."""
        checker = ValueChecker()
        for value in (b"a", b"b", b"?"):
            checker.writing(value)
        checker.wrote(b"a", 10)
        checker.wrote(b"b", 20)
        return checker

    def test_following_and_reading(self, checker: ValueChecker) -> None:
        """In order, with gaps; what nobody was told of may stand anywhere."""
        for value in (None, b"a", b"?", b"b", b"?"):
            checker.saw("c1", value)
        checker.read("c2", b"a", 10)
        checker.read("c2", b"b", 10)
        checker.read("c2", b"?", 20)
        checker.read("c2", None, 0)
        checker.check()
        assert checker.newest == 20 and checker.revision_of(b"?") == 0

    def test_an_older_value_after_a_newer_one(self, checker: ValueChecker) -> None:
        """Also with nothing known in between."""
        for value in (b"b", b"?", b"a"):
            checker.saw("c1", value)
        with pytest.raises(Violation, match="c1 saw b'a' of revision 10 after one of 20"):
            checker.check()

    def test_a_stale_read(self, checker: ValueChecker) -> None:
        """Older than what was acknowledged when it began."""
        checker.read("c1", b"a", 20)
        with pytest.raises(Violation, match="c1 read b'a' of revision 10 though 20 was acknowledged"):
            checker.check()

    def test_a_value_that_nobody_wrote(self, checker: ValueChecker) -> None:
        """Whoever tells of it."""
        with pytest.raises(Violation, match="which nobody wrote"):
            checker.saw("c1", b"z")
        with pytest.raises(Violation, match="which nobody wrote"):
            checker.read("c1", b"z", 0)

    def test_nothing_where_something_is(self, checker: ValueChecker) -> None:
        """Unless somebody deleted it."""
        with pytest.raises(Violation, match="c1 finds nothing"):
            checker.read("c1", None, 10)
        checker.deleting()
        checker.read("c1", None, 10)


class TestBarrier:
    """In with all, out with all."""

    def test_a_round(self) -> None:
        """Both begin to enter, both are let in, both leave, both are let out."""
        checker = BarrierChecker(2)
        stays = {party: checker.entering(party, now) for party, now in (("0", 10), ("1", 20))}
        for party, stay in stays.items():
            checker.let_in(party, stay, 30)
        for stay in stays.values():
            checker.leaving(stay, 40)
        for party in stays:
            checker.let_out(party, 40, frozenset(stays))
        assert checker.entered == 2

    def test_let_in_alone(self) -> None:
        """The other one never came, or had left before."""
        checker = BarrierChecker(2)
        stay = checker.entering("0", 10)
        with pytest.raises(Violation, match="party 0 is let in at /barrier though party 1 is not there"):
            checker.let_in("0", stay, 20)
        former = checker.entering("1", 1)
        checker.leaving(former, 5)
        with pytest.raises(Violation):
            checker.let_in("0", stay, 20)

    def test_who_was_there_may_have_left_meanwhile(self) -> None:
        """A slow one is let in when a quick one is on its way out."""
        checker = BarrierChecker(2)
        slow, quick = checker.entering("0", 10), checker.entering("1", 10)
        checker.let_in("1", quick, 20)
        checker.leaving(quick, 30)
        checker.let_in("0", slow, 40)

    def test_who_died_counts_as_there_for_a_while(self) -> None:
        """Its node outlives it; but not for ever."""
        checker = BarrierChecker(2)
        checker.gone(checker.entering("1", 5 * SECOND), 6 * SECOND)
        checker.let_in("0", checker.entering("0", 10 * SECOND), 11 * SECOND)
        with pytest.raises(Violation):
            checker.let_in("0", checker.entering("0", 500 * SECOND), 501 * SECOND)

    def test_let_out_while_somebody_is_inside(self) -> None:
        """It was let in, has not begun to leave, and acts upon being inside."""
        checker = BarrierChecker(2)
        one, other = checker.entering("0", 10), checker.entering("1", 10)
        checker.let_in("0", one, 20)
        checker.let_in("1", other, 20)
        checker.leaving(one, 30)
        checker.let_out("0", 30, frozenset({"0"}))
        with pytest.raises(Violation, match="party 0 is let out of /barrier though party 1 is still inside"):
            checker.let_out("0", 30, frozenset({"0", "1"}))
