"""Draw the sample of a run, and let it grow until its intervals are narrow enough."""

from __future__ import annotations

from collections.abc import Iterator

from scale_eval.datasets import Dataset
from scale_eval.planning.company_sample import (
    Sample,
    SamplingFrame,
    companies_more,
    larger_sample,
)
from scale_eval.planning.run_options import RunOptions, Sampling
from scale_eval.results.directory import SAMPLE, RunDiffers, RunDirectory
from scale_eval.results.evaluation_parts import evaluation_files
from scale_eval.storage import write_table


def draw_sample(
    directory: RunDirectory, dataset: Dataset, n: int | None, seed: int
) -> Sample | None:
    """Draw the sample of a run, without writing it; return None for a run of all companies.

    Raises `RunDiffers` where the directory holds a run of all companies and a sample is wanted, or
    the other way round; `ValueError` where the sample is too small.
    """
    before = directory.document.get("sample")
    if evaluation_files(directory.store) and (before is None) != (n is None):
        raise RunDiffers(
            f"{directory.store.root} holds a run of {sample_in_words(before)}; repeat that, or "
            "choose another place"
        )
    size = sample_size(directory, n)
    return None if size is None else SamplingFrame(dataset.manifest_table, seed).sample(size)


def write_sample(directory: RunDirectory, dataset: Dataset, sample: Sample | None) -> None:
    """Write the sample of a run, and record its size; None is a run of all companies."""
    if sample is not None:
        write_table(directory.store, SAMPLE, sample.table())
        directory.record(sample=len(sample.company_ids), population=len(dataset.company_ids))


def growing_samples(
    sample: Sample | None, directory: RunDirectory, dataset: Dataset, chosen: RunOptions
) -> Iterator[Sample | None]:
    """Yield the sample of a run, then larger ones until its intervals are narrow enough."""
    yield sample
    while more := _companies_to_add(directory, chosen.sampling):
        n = directory.document["sample"]
        if larger_sample(n, more) == n:
            return
        larger = draw_sample(directory, dataset, larger_sample(n, more), chosen.settings.seed)
        write_sample(directory, dataset, larger)
        yield larger


def sample_size(directory: RunDirectory, n: int | None) -> int | None:
    """Return the size of a run's sample if `n` companies are wanted: a sample only grows."""
    return None if n is None else max(n, directory.document.get("sample") or 0)


def sample_in_words(n: int | None) -> str:
    """Name the sample of a run of `n` companies; None means all of them."""
    return "all companies" if n is None else f"a sample of {n:,} companies"


def _companies_to_add(directory: RunDirectory, sampling: Sampling) -> int:
    """Return how many companies to add; 0 if every model's interval is narrow enough."""
    if sampling.until_half_width is None:
        return 0
    figures = directory.table("sampled")
    figures = figures[
        (figures["metric"] == sampling.until_metric)
        & figures["model_b"].isna()
        & (figures["estimand"] == "equal_company")
        & (figures["coverage"] == "common")
        & (figures["figure"] == "value")
    ]
    return max(
        (
            companies_more(
                (row.ci_high - row.ci_low) / 2,
                sampling.until_half_width,
                row.n_sampled,
                row.n_certain,
                row.n_population,
            )
            for row in figures.itertuples()
        ),
        default=0,
    )
