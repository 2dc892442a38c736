"""Ctrl-C while processes are begun: it waits, it is not lost, and what is begun does not feel it."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from automl_phys import interrupts

FEELS = "import signal; print(signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"


def feels():
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def feels_again():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)  # waits, since the process was begun while it was held
    try:
        interrupts.let()
    except KeyboardInterrupt:
        return feels()
    return False


@pytest.fixture(autouse=True)
def python_s_own_handler():
    """Tests that were started in the background of a script ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the block")
    assert done == ["the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert feels()


def test_an_error_in_the_block_is_the_error_that_is_raised():
    with pytest.raises(ZeroDivisionError), interrupts.held():
        os.kill(os.getpid(), signal.SIGINT)
        1 / 0  # noqa: B018
    assert feels()


def test_processes_that_are_begun_in_the_block_do_not_feel_it():
    def told():
        return subprocess.run([sys.executable, "-c", FEELS], check=True, capture_output=True, text=True).stdout.strip()

    with interrupts.held():
        inside = told()
    assert (inside, told()) == ("False", "True")


def test_a_pool_s_first_process_does_not_feel_it_until_it_is_let_through():
    """Python's tracker of resources, which the first process brings, lets Ctrl-C through where it is begun."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with interrupts.held():
            first = pool.submit(feels)
        assert first.result() is False
        assert pool.submit(feels_again).result() is True
