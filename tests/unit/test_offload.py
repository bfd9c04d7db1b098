"""The loop's primitives: signals wake everyone once, tasks run beside, and a fault of one call costs no other."""

import eventlet
import pytest

from chatsec.offload import EventletOffload, Task, Turn


@pytest.fixture
def offload():
    return EventletOffload()


def test_a_signal_wakes_all_who_wait_and_answers_who_comes_later(offload):
    signal, woken = offload.event(), []
    for _ in range(3):
        offload.start(lambda: woken.append(signal.wait()))
    offload.turn()
    assert woken == []
    signal.send("sent")
    offload.turn()
    assert woken == ["sent"] * 3
    assert signal.wait() == "sent"
    assert signal.wait(0) == "sent"


def test_a_wait_whose_time_is_over_answers_none_and_is_not_woken_again(offload):
    signal, answers = offload.event(), []

    def impatient():
        answers.append(signal.wait(0))
        answers.append(offload.event().wait(0.001))  # a late wake-up would end this one

    offload.start(impatient)
    offload.turn()
    offload.turn()
    signal.send("late")
    eventlet.sleep(0.01)
    assert answers == [None, None]


def test_a_wait_may_be_sent_to_in_the_turn_in_which_its_time_ends(offload):
    signal, answers = offload.event(), []
    offload.start(lambda: answers.append(signal.wait(0)))
    offload.start(signal.send, "just")
    eventlet.sleep(0.01)
    assert answers in ([None], ["just"])


def test_a_task_runs_at_the_next_turn_and_can_be_joined():
    ran = []
    task = Task(Turn(), lambda *args, **kwargs: ran.append((args, kwargs)), (1,), {"two": 2})
    task.start()
    assert ran == []
    task.join()
    assert ran == [((1,), {"two": 2})]
    task.join()


def test_a_fault_of_one_call_keeps_no_other_from_being_made(capfd):
    turn, ran = Turn(), []
    turn.call(ran.append, 1)
    turn.call(ran.index, "missing")
    turn.call(ran.append, 2)
    turn.call(ran.append, 3)
    eventlet.sleep(0.01)
    assert ran == [1, 2, 3]
    assert "ValueError" in capfd.readouterr().err
    turn.call(ran.append, 4)
    eventlet.sleep(0)
    assert ran == [1, 2, 3, 4]


def test_a_task_that_fails_is_over_too(capfd):
    def fail():
        raise ValueError("no")

    task = Task(Turn(), fail)
    task.start()
    task.join()
    eventlet.sleep(0)
    assert "ValueError" in capfd.readouterr().err
