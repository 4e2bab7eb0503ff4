"""call_later and call_at."""

from __future__ import annotations

import asyncio
import math
import random
import time
import weakref

import pytest

from fasterapi.loop import EventLoop

RESOLUTION = time.get_clock_info("monotonic").resolution


def test_the_clock_is_the_monotonic_one(loop):
    before = time.monotonic()
    now = loop.time()
    assert before - RESOLUTION <= now <= time.monotonic() + RESOLUTION


@pytest.mark.parametrize("delay", [0, 1e-9, 0.0001, 0.0005, 0.001, 0.0011, 0.0019, 0.01, 0.0305])
def test_a_timer_is_never_early(loop, forever, delay):
    early = []

    def check(timer_index):
        now = loop.time()
        if now < timers[timer_index].when() - RESOLUTION:
            early.append(timers[timer_index].when() - now)

    timers = [loop.call_later(delay, check, 0)]
    timers += [loop.call_at(loop.time() + delay, check, number) for number in range(1, 20)]
    loop.call_later(delay + 0.002, loop.stop)
    forever(loop)
    assert not early


def test_sleep_is_never_short(run):
    async def main():
        for delay in (0.0003, 0.001, 0.0016, 0.005):
            began = time.monotonic()
            await asyncio.sleep(delay)
            assert time.monotonic() - began >= delay - RESOLUTION

    run(main())


def test_timers_run_in_the_order_of_their_times(loop, forever):
    ran = []
    start = loop.time() + 0.01
    places = list(range(1000))
    random.Random(1).shuffle(places)
    for place in places:
        loop.call_at(start + place * 1e-5, ran.append, place)
    loop.call_at(start + 1000 * 1e-5, loop.stop)
    forever(loop)
    assert ran == list(range(1000))


def test_timers_of_the_same_time_run_in_the_order_they_were_made(loop, forever, request):
    if "asyncio" in request.node.callspec.id:
        pytest.skip("asyncio does not promise it")
    ran = []
    when = loop.time() + 0.005
    for number in range(1000):
        loop.call_at(when, ran.append, number)
    loop.call_at(when + 0.001, loop.stop)
    forever(loop)
    assert ran == list(range(1000))


def test_when_is_the_time_asked_for(loop):
    timer = loop.call_at(1234.5, print)
    assert timer.when() == 1234.5
    assert isinstance(loop.call_at(1234, print).when(), (int, float))
    before = loop.time()
    later = loop.call_later(100, print)
    assert before + 100 <= later.when() <= loop.time() + 100


def test_an_earlier_timer_made_later_is_first(loop, forever):
    ran = []
    loop.call_later(3600, ran.append, "hour")
    loop.call_later(0.01, lambda: (ran.append("soon"), loop.stop()))
    forever(loop)
    assert ran == ["soon"]


def test_an_earlier_timer_can_be_made_while_waiting_for_a_later_one(loop, forever):
    ran = []
    loop.call_later(3600, ran.append, "hour")
    loop.call_later(0.005, lambda: loop.call_later(0.005, lambda: (ran.append("inner"), loop.stop())))
    forever(loop)
    assert ran == ["inner"]


def test_a_timer_that_is_due_runs_in_a_later_turn(loop, forever):
    ran = []

    def first():
        loop.call_later(0, ran.append, "timer")
        loop.call_later(-1, ran.append, "past")
        ran.append("first")
        loop.call_later(0.002, loop.stop)

    loop.call_soon(first)
    loop.call_soon(ran.append, "second")
    forever(loop)
    assert ran[:2] == ["first", "second"]
    assert sorted(ran[2:]) == ["past", "timer"]


@pytest.mark.parametrize("delay", [-1e-9, -1, -1e9, -1e300, -math.inf])
def test_a_negative_delay_is_due_at_once(loop, forever, delay):
    loop.call_later(3600, print)
    loop.call_later(delay, loop.stop)
    forever(loop)


@pytest.mark.parametrize("when", [0, -0.0, -1, -1e300, -math.inf])
def test_a_time_in_the_past_is_due_at_once(loop, forever, when):
    loop.call_later(3600, print)
    loop.call_at(when, loop.stop)
    forever(loop)


@pytest.mark.parametrize("delay", [1e6, 1e9, 1e15, 1e300, math.inf])
def test_a_huge_delay_keeps_nobody_waiting(loop, forever, delay):
    ran = []
    loop.call_later(delay, ran.append, "never")
    timer = loop.call_later(delay, ran.append, "never")
    loop.call_later(0.003, loop.stop)
    forever(loop)
    timer.cancel()
    loop.call_later(0.003, loop.stop)
    forever(loop)
    assert ran == []


def test_a_delay_that_is_no_number_is_due_at_once_or_refused(loop, forever):
    try:
        loop.call_later(math.nan, loop.stop)
        forever(loop)
    except ValueError:
        pass


@pytest.mark.parametrize("delay", [None, "1", [], object()])
def test_a_delay_of_a_wrong_type_is_refused(loop, delay):
    with pytest.raises(TypeError):
        loop.call_later(delay, print)


def test_a_cancelled_timer_does_not_run(loop, forever):
    ran = []
    first = loop.call_later(0.001, ran.append, "first")
    loop.call_later(0.005, lambda: (ran.append("second"), loop.stop()))
    first.cancel()
    first.cancel()
    assert first.cancelled()
    forever(loop)
    assert ran == ["second"]


def test_timers_may_cancel_each_other_and_themselves(loop, forever):
    ran = []

    def first():
        ran.append("first")
        timers[0].cancel()
        timers[1].cancel()

    when = loop.time() - 1
    timers = [loop.call_at(when, first), loop.call_at(when + 0.1, ran.append, "cancelled")]
    loop.call_at(when + 0.2, ran.append, "third")
    loop.call_later(0.002, loop.stop)
    forever(loop)
    assert ran == ["first", "third"]
    assert [timer.cancelled() for timer in timers] == [True, True]


def test_many_of_many_timers_are_cancelled(loop, forever):
    chance = random.Random(2)
    ran = []
    start = loop.time() + 0.05
    timers = [loop.call_at(start + number * 1e-6, ran.append, number) for number in range(20_000)]
    cancelled = chance.sample(range(20_000), 15_000)
    for number in cancelled:
        timers[number].cancel()
    loop.call_at(start + 0.021, loop.stop)
    forever(loop)
    assert ran == sorted(set(range(20_000)) - set(cancelled))


def test_a_hundred_thousand_timers(loop, forever):
    count = 100_000
    chance = random.Random(3)
    due = []

    def fire(when):
        due.append(when)
        if len(due) == count:
            loop.stop()

    now = loop.time()
    for _ in range(count):
        when = now + chance.random() * 0.5
        loop.call_at(when, fire, when)
    forever(loop)
    assert len(due) == count
    assert due == sorted(due)


def test_timers_of_hours_cost_nothing_to_cancel(loop, forever):
    """As servers do with time limits: a timer for each request, nearly all cancelled."""
    for _ in range(50_000):
        loop.call_later(3600, print).cancel()
    loop.call_later(0.001, loop.stop)
    forever(loop)


def test_cancel_lets_go_of_the_callback(loop):
    class Callback:
        def __call__(self):
            pass

    callback = Callback()
    alive = weakref.ref(callback)
    timer = loop.call_later(3600, callback)
    del callback
    timer.cancel()
    assert alive() is None


def test_sleep_zero_gives_others_one_turn(run):
    async def main():
        ran = []

        async def other(name):
            for step in range(3):
                ran.append((name, step))
                await asyncio.sleep(0)

        await asyncio.gather(other("a"), other("b"))
        assert ran == [(name, step) for step in range(3) for name in "ab"]

    run(main())


def test_wait_for_ends_in_time(run):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.005)
        assert await asyncio.wait_for(asyncio.sleep(0, "result"), 10) == "result"

    run(main())


def test_arguments_by_name(loop, forever):
    ran = []
    loop.call_soon(callback=lambda: ran.append("soon"))
    loop.call_at(when=loop.time() + 0.001, callback=lambda: ran.append("at"))
    loop.call_later(delay=0.002, callback=lambda: ran.append("later"))
    loop.call_later(0.003, callback=loop.stop)
    loop.call_soon_threadsafe(callback=lambda: ran.append("threadsafe"), context=None)
    forever(loop)
    assert ran == ["soon", "threadsafe", "at", "later"]


def test_arguments_that_are_missing_doubled_or_unknown(loop):
    for wrong in (
        lambda: loop.call_soon(),
        lambda: loop.call_later(1),
        lambda: loop.call_later(callback=print),
        lambda: loop.call_at(1, print, when=2),
        lambda: loop.call_later(1, print, callback=print),
        lambda: loop.call_soon(print, delay=1),
        lambda: loop.call_soon_threadsafe(print, other=1),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_timer_handles_are_ordered_by_their_times(loop):
    late, soon = loop.call_later(20, print), loop.call_later(10, print)
    assert sorted([late, soon]) == [soon, late]
    assert soon < late
    assert late >= soon
    assert soon != late
    assert hash(soon) == hash(soon.when())
    with pytest.raises(TypeError):
        soon < 1  # noqa: B015
    late.cancel()
    soon.cancel()


def test_the_text_of_a_timer_handle_says_when(loop):
    timer = loop.call_at(1e9, print, 1)
    # From Python 3.14 on the arguments are shown in debug mode only.
    assert repr(timer).startswith("<TimerHandle when=1000000000.0 print(")
    timer.cancel()
    assert repr(timer) == "<TimerHandle cancelled when=1000000000.0>"


def test_in_debug_mode_the_text_says_where_it_was_made(loop):
    loop.set_debug(True)
    timer = loop.call_later(10, print)
    assert f" created at {__file__}:" in repr(timer)
    timer.cancel()


def test_timers_go_by_a_clock_that_replaces_the_loops(loop, forever, monkeypatch):
    ran = []
    clock = 1000.0
    monkeypatch.setattr(loop, "time", lambda: clock)
    timer = loop.call_later(3600, ran.append, "later")
    assert timer.when() == 4600
    loop.call_soon(loop.stop)
    forever(loop)
    assert ran == []
    clock = 4600.0
    loop.call_soon(loop.stop)
    forever(loop)
    loop.call_soon(loop.stop)
    forever(loop)
    assert ran == ["later"]


def test_the_loops_own_clock_counts_again_when_another_is_taken_away(loop, forever, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(loop, "time", lambda: 0.0)
    assert "time" not in vars(loop)
    before = time.monotonic()
    assert loop.call_later(0.001, loop.stop).when() >= before + 0.001 - RESOLUTION
    forever(loop)


def test_timers_go_by_a_subclasss_clock():
    class Later(EventLoop):
        def time(self):
            return super().time() + 3600

    loop = Later()
    ran = []
    loop.call_at(time.monotonic() + 3600, ran.append, "due")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert ran == ["due"]


@pytest.mark.parametrize("answer", [ZeroDivisionError, "noon"])
def test_a_clock_that_fails_ends_the_run_as_with_asyncio(loop, forever, monkeypatch, answer):
    def clock():
        if answer == "noon":
            return "noon"
        raise answer

    loop.call_later(3600, print)
    monkeypatch.setattr(loop, "time", clock)
    expected = TypeError if answer == "noon" else answer
    with pytest.raises(expected):
        loop.call_later(1, print)
    loop.call_soon(loop.stop)
    with pytest.raises(expected):
        forever(loop)
