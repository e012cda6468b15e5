"""Models and metrics are sent to workers that do not have the user's modules."""

from __future__ import annotations

import functools
import io
import pickle
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scale_eval.evaluation.no_prediction import NoPrediction
from scale_eval.evaluation.rules import Rules
from scale_eval.execution.shipping import CANNOT_BE_SENT, pack, require_metrics_can_be_sent
from scale_eval.execution.tasks import RunContext
from scale_eval.metrics import user_metric
from scale_eval.models.registry import named_models
from scale_eval.storage import open_store
from tests.support.models import Constant
from tests.support.paths import PROJECT

MODULES = {
    "sent_models.py": """
        import threading, sqlite3
        import numpy as np
        from functools import lru_cache
        from sent_package.kinds import Kind, Sizes
        LOCK = threading.Lock()
        DATABASE = sqlite3.connect(":memory:")
        class Base:
            def fit(self, history):
                self.kind = Kind.WARM
        class Locked(Base):
            def predict_proba(self, history):
                with LOCK:
                    return [self.kind.value, Sizes(2).n, cached(3)]
        class Late(Base):
            def predict_proba(self, history):
                import sent_late
                from sent_package import other
                return [sent_late.rate(), other.rate()]
        @lru_cache
        def cached(n): return n / 10
        """,
    "sent_plain.py": """
        import sent_late
        import sent_folder.inner.deep
        from functools import lru_cache
        class Plain:
            def fit(self, history): ...
            def predict_proba(self, history): return [sent_late.rate(), cached(3)]
        class InFolders(Plain):
            def predict_proba(self, history): return [sent_folder.inner.deep.RATE]
        @lru_cache
        def cached(n): return n / 10
        """,
    "sent_folder/inner/deep.py": "RATE = .5",
    "sent_late.py": "RATE = .25\ndef rate(): return RATE",
    "sent_package/__init__.py": "",
    "sent_package/kinds.py": """
        from dataclasses import dataclass
        from enum import Enum
        class Kind(Enum):
            WARM = .5
        @dataclass(frozen=True)
        class Sizes:
            n: int = 1
        """,
    "sent_package/other.py": """
        def rate():
            from .kinds import Sizes
            return Sizes().n
        """,
}

WORKER = """
import pickle, sys
sys.path.insert(0, {project!r})
parcel = pickle.load(sys.stdin.buffer)
models, failures = parcel.load("run")
assert not failures, failures
for name in {names!r}:
    fresh = models[name].fresh()
    fresh.fit(None)
    print(fresh.predict_proba(None))
"""


def context_of(models, tmp_path) -> RunContext:
    chosen = {k: m for k, m in named_models(models).items() if k not in ("base_rate", "recency")}
    return RunContext(None, chosen, Rules(), open_store(tmp_path / "run"))


@pytest.mark.slow
def test_modules_locks_and_what_is_imported_late_reach_a_process_that_has_none_of_it(
    tmp_path, monkeypatch
):
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    names = ["sent_plain:Plain", "sent_plain:InFolders", "sent_models:Locked", "sent_models:Late"]
    try:
        parcel = pickle.dumps(pack(context_of(names, tmp_path)))
    finally:
        for name in [name for name in sys.modules if name.startswith("sent_")]:
            del sys.modules[name]
    worker = WORKER.format(project=str(PROJECT), names=names)
    done = subprocess.run(
        [sys.executable, "-P", "-c", worker],
        input=parcel,
        capture_output=True,
        cwd="/",
        check=False,
    )
    predicted = ["[0.25, 0.3]", "[0.5]", "[0.5, 2, 0.3]", "[0.25, 1]"]
    assert done.stdout.decode().splitlines() == predicted, done


class Part:
    def __init__(self, thing):
        self.thing = thing


class Holds(Constant):
    def __init__(self, **things):
        self.__dict__ |= things


def numbers():
    yield 1


def listening():
    with socket.socket() as opened:
        return opened


UNPICKLABLE = {
    "lock is a _thread.lock": lambda: Holds(lock=threading.Lock()),
    "db is a sqlite3.Connection": lambda: Holds(db=sqlite3.connect(":memory:")),
    "g is a generator": lambda: Holds(g=numbers()),
    "parts[1].thing is a _thread.RLock": lambda: Holds(parts=[1, Part(threading.RLock())]),
    "by['a'] is a socket.socket": lambda: Holds(by={"a": listening()}),
    "pool is a concurrent.futures.thread.ThreadPoolExecutor": lambda: Holds(
        pool=ThreadPoolExecutor(1)
    ),
    "f is a _io.BufferedWriter": lambda: Holds(f=io.BufferedWriter(io.BytesIO())),
    "p.func, its variable lock, is a _thread.lock": lambda: Holds(
        p=functools.partial(closing_over(threading.Lock()), 1)
    ),
}


def closing_over(lock):
    def function(n):
        with lock:
            return n

    return function


@pytest.mark.parametrize("part", UNPICKLABLE)
def test_a_model_that_cannot_be_pickled_says_which_part_and_leaves_the_others(tmp_path, part):
    bad = UNPICKLABLE[part]()
    bad.name = "bad"
    context = pack(context_of([bad, Constant], tmp_path)).unpack("run")
    with pytest.raises(NoPrediction) as caught:
        context.models["bad"].fresh().fit(None)
    assert caught.value.reason == CANNOT_BE_SENT
    told, _, rest = caught.value.note.partition(", which cannot be pickled")
    assert told.replace(", is", " is") == part.replace(", is", " is")
    assert "make it in fit" in rest
    assert context.models["constant"].prototype.name == "constant"


class Refuses(Constant):
    """A model whose pickling, or loading, ends in something that is no `Exception`."""

    name = "refuses"

    def __init__(self, at_once):
        self.at_once = at_once

    def __reduce__(self):
        if self.at_once:
            sys.exit(7)
        return sys.exit, (8,)


@pytest.mark.parametrize(("at_once", "told"), [(True, "SystemExit: 7"), (False, "SystemExit: 8")])
def test_a_model_that_ends_the_process_by_an_exception_is_told_like_any_other(
    tmp_path, at_once, told
):
    models, failures = pack(context_of([Refuses(at_once), Constant], tmp_path)).load("run")
    assert isinstance(models["constant"].prototype, Constant)
    why = models["refuses"].prototype.note if at_once else failures["refuses"]
    assert told in why


def test_functions_without_a_name_and_files_to_read_can_be_sent(tmp_path):
    (tmp_path / "rates").write_text("0.5")
    with (tmp_path / "rates").open() as file:
        model = Holds(rate=lambda history: 0.5, file=file)
        model.name = "mine"
        sent = pack(context_of([model], tmp_path)).unpack("run").models["mine"].prototype
    assert sent.rate(None) == 0.5
    assert sent.file.read() == "0.5"


def test_a_metric_that_cannot_be_sent_is_refused_with_its_part():
    lock = threading.Lock()

    def share(outcomes, probabilities, future_spend):
        with lock:
            return np.mean(outcomes)

    with pytest.raises(ValueError, match=r"the metric 'share' .* its variable lock is a _thread"):
        require_metrics_can_be_sent([user_metric(share)])
