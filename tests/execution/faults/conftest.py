"""The runs that what happens in a fault is compared with."""

from __future__ import annotations

import pytest

import scale_eval as se
from tests.support import models
from tests.support.faults import BATCH_COMPANIES, CHOSEN, bound_batches, evaluate


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    place = tmp_path_factory.mktemp("many") / "dataset"
    return se.synthesize(
        place, companies=300, seed=11, median_customers=40, sigma=0.7, observed_whole=True
    )


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    bound_batches(monkeypatch, BATCH_COMPANIES * 2 * (len(CHOSEN) + 1))


@pytest.fixture(scope="session")
def quiet(many, client, tmp_path_factory):
    """An undisturbed run in batches, beside a model that takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        bound_batches(patch, BATCH_COMPANIES * 2 * (len(CHOSEN) + 1))
        place = tmp_path_factory.mktemp("quiet") / "run"
        return evaluate(many, place, client, [models.Unhurried(seconds=0)])


@pytest.fixture(scope="session")
def harmless(many, client, tmp_path_factory):
    """An undisturbed run beside the harmless twin of models that strike."""
    place = tmp_path_factory.mktemp("harmless") / "run"
    return evaluate(many, place, client, [models.Harmless()])


@pytest.fixture(scope="session")
def twin(many, client, tmp_path_factory):
    """An undisturbed run beside one model for all companies."""
    with pytest.MonkeyPatch.context() as patch:
        bound_batches(patch, BATCH_COMPANIES * 2 * (len(CHOSEN) + 1))
        place = tmp_path_factory.mktemp("twin") / "run"
        return evaluate(many, place, client, [models.OneForAll()])


@pytest.fixture
def places(many, harmless):
    """By number, as they lie on disk: "company cutoff" of what is evaluated."""
    rows = harmless.evaluations.query("model == 'at' and status == 'ok'")
    names = (rows["company_id"] + rows["cutoff"].dt.strftime(" %Y-%m-%d")).groupby(
        rows["company_id"]
    )
    held = {company_id: list(of) for company_id, of in names}
    order = many.reading_order(many.company_ids)
    every = [place for name in order for place in held.get(name, [])]
    return lambda *numbers: [every[number] for number in numbers]
