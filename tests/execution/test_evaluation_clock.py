"""The clock of evaluations outside the worker: what it counts, and what it reads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from scale_eval.execution import evaluation_clock
from scale_eval.execution.evaluation_clock import EvaluationClock, Stopwatch, leave_worker
from scale_eval.execution.running_evaluation import (
    RunningEvaluation,
    SharedEntry,
    parse_entry,
    read_entry,
)

WORKER = """
import sys, time
from scale_eval.execution.running_evaluation import RunningEvaluation, SharedEntry
entry = SharedEntry()
print(entry.descriptor, flush=True)
for number, line in enumerate(sys.stdin):
    seconds = float(line)
    if seconds:
        entry.write(RunningEvaluation(number, ("key", "oak"), ("oak", 5, "m")))
        print("began", flush=True)
        time.sleep(seconds)
    entry.write(None)
    print("ended", flush=True)
"""


class TestStopwatch:
    @pytest.fixture
    def at(self, monkeypatch):
        now = SimpleNamespace(seconds=100.0)
        monkeypatch.setattr(
            evaluation_clock, "time", SimpleNamespace(monotonic=lambda: now.seconds)
        )
        return now

    def watch(self, at, looks):
        """The seconds counted at looks of (seconds since the last, what is done, is stopped)."""
        stopwatch, counted = Stopwatch(1.0), []
        for passed, thing, is_stopped in looks:
            at.seconds += passed
            counted.append(stopwatch.seconds(thing, is_stopped=is_stopped))
        return counted

    def test_it_counts_from_the_first_sight_of_a_thing(self, at):
        assert self.watch(at, [(1, "a", False), (1, "a", False), (2, "a", False)]) == [0, 1, 3]

    def test_another_thing_begins_at_nothing(self, at):
        looks = [(1, "a", False), (4, "a", False), (1, "b", False), (1, "b", False)]
        assert self.watch(at, looks) == [0, 4, 0, 1]

    def test_nothing_is_not_counted(self, at):
        assert self.watch(at, [(1, None, False), (1, None, False), (1, b"", False)]) == [0, 0, 0]

    def test_the_time_in_which_the_worker_is_stopped_is_left_out(self, at):
        looks = [(1, "a", False), (1, "a", False), (4, "a", True), (1, "a", False)]
        assert self.watch(at, looks) == [0, 1, 1, 2]

    def test_a_pause_of_the_counting_process_is_not_held_against_the_worker(self, at):
        looks = [(1, "a", False), (3600, "a", False), (1, "a", False)]
        assert self.watch(at, looks) == [0, 5, 6]


class TestSharedEntry:
    @pytest.mark.parametrize("company_id", ["oak", "größe \U0001f332", "x" * 100_000, ""])
    def test_another_descriptor_of_the_memory_reads_what_was_written(self, company_id):
        entry = SharedEntry()
        other = os.open(f"/proc/self/fd/{entry.descriptor}", os.O_RDONLY)
        assert read_entry(other) == b""
        running = RunningEvaluation(1, ("a", "b"), (company_id, -5, "model"))
        entry.write(running)
        assert parse_entry(read_entry(other)) == running
        entry.write(None)
        assert read_entry(other) == b""
        os.close(other)

    def test_the_same_evaluation_begun_again_is_another_entry(self):
        entry = SharedEntry()
        running = RunningEvaluation(1, ("a",), ("oak", 5, "m"))
        entry.write(running)
        first = read_entry(entry.descriptor)
        entry.write(running)
        assert read_entry(entry.descriptor) != first


class Nanny:
    """What a clock uses of a nanny; `reports` are those that it sent."""

    def __init__(self):
        self.plugins, self.reports = {}, []
        self.scheduler = SimpleNamespace(log_event=self.log_event)

    async def log_event(self, topic, msg):
        self.reports.append((topic, msg))


@pytest.fixture
def worker():
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.descriptor = int(process.stdout.readline())
        yield process
        process.kill()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(evaluation_clock, "ARRIVAL_SECONDS", 0.05)


def say(process, seconds):
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


async def started(process, timeout):
    nanny = Nanny()
    clock = EvaluationClock("run", timeout, process.pid, process.descriptor)
    nanny.plugins[clock.name] = clock
    await clock.setup(nanny)
    return nanny, clock


class TestEvaluationClock:
    def test_an_evaluation_that_takes_too_long_is_reported_and_its_process_killed(self, worker):
        async def story():
            nanny, clock = await started(worker, 0.2)
            assert say(worker, 60) == "began"
            await asyncio.wait_for(clock._watching, 10)
            return nanny

        nanny = asyncio.run(story())
        event = {"key": ["key", "oak"], "timed_out": ["oak", 5, "m"], "in_coordinator": False}
        assert nanny.reports == [("run", event)]
        assert worker.wait(10) == -signal.SIGKILL
        assert not nanny.plugins

    def test_many_short_evaluations_are_left_alone(self, worker):
        async def story():
            nanny, clock = await started(worker, 0.4)
            for _ in range(8):
                say(worker, 0.1)
                await asyncio.sleep(0.12)
                worker.stdout.readline()
            await clock.teardown(nanny)
            return nanny

        assert not asyncio.run(story()).reports
        assert worker.poll() is None

    def test_a_worker_that_is_stopped_meanwhile_goes_on(self, worker):
        async def story():
            nanny, clock = await started(worker, 0.4)
            say(worker, 0.2)
            worker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.0)
            worker.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.3)
            await clock.teardown(nanny)
            return nanny

        assert not asyncio.run(story()).reports
        assert worker.stdout.readline() == "ended\n"

    def test_the_clock_ends_with_its_worker(self, worker):
        async def story():
            nanny, clock = await started(worker, 5)
            worker.kill()
            await asyncio.wait_for(clock._watching, 5)
            return nanny

        assert not asyncio.run(story()).plugins

    def test_a_run_that_leaves_ends_the_clock_of_an_idle_worker_at_once(self, worker):
        async def story():
            nanny, clock = await started(worker, 3600)
            await asyncio.sleep(0)
            leave_worker("another run", nanny)
            leave_worker("run", nanny)
            began = time.monotonic()
            await asyncio.wait_for(clock._watching, 5)
            return time.monotonic() - began

        assert asyncio.run(story()) < 0.5
        assert worker.poll() is None

    def test_a_run_that_leaves_does_not_leave_a_worker_busy_for_long(self, worker, monkeypatch):
        monkeypatch.setattr(evaluation_clock, "LEAVING_SECONDS", 0.1)

        async def story():
            nanny, clock = await started(worker, 4)
            say(worker, 60)
            await asyncio.sleep(0.1)
            leave_worker("run", nanny)
            await asyncio.wait_for(clock._watching, 10)

        asyncio.run(story())
        assert worker.wait(10) == -signal.SIGKILL
