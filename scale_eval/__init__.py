"""scale_eval: which purchase model to deploy, for whom, and what to expect of it.

>>> import scale_eval as se
>>> dataset = se.open_dataset("datasets/shops")           # doctest: +SKIP
>>> run = se.evaluate(dataset, ["bgnbd"], out="runs/one")  # doctest: +SKIP
>>> run.pooled                                            # doctest: +SKIP

Each public name is imported when it is first used: ``scale-eval --help`` needs none of them.
"""

from typing import TYPE_CHECKING, Any

from scale_eval.lazy import lazy_names

if TYPE_CHECKING:
    from scale_eval.datasets import Dataset, open_dataset
    from scale_eval.datasets.demo import demo_dataset
    from scale_eval.datasets.ingest.ingest import ingest
    from scale_eval.datasets.synthetic.synthesize import synthesize
    from scale_eval.evaluate_run import evaluate, reduce
    from scale_eval.evaluation.evaluate import evaluate_one
    from scale_eval.evaluation.history import History
    from scale_eval.evaluation.no_prediction import Skipped
    from scale_eval.metrics import Metric, Undefined, metric
    from scale_eval.models import ClassifierModel, Model
    from scale_eval.planning.run_options import Execution, Reduction, Sampling
    from scale_eval.planning.settings import Settings, make_settings
    from scale_eval.preview_run import Preview, preview
    from scale_eval.run import Run, open_run

    __version__: str

__all__ = [
    "ClassifierModel",
    "Dataset",
    "Execution",
    "History",
    "Metric",
    "Model",
    "Preview",
    "Reduction",
    "Run",
    "Sampling",
    "Settings",
    "Skipped",
    "Undefined",
    "demo_dataset",
    "evaluate",
    "evaluate_one",
    "ingest",
    "make_settings",
    "metric",
    "open_dataset",
    "open_run",
    "preview",
    "reduce",
    "synthesize",
]

_public_name, __dir__ = lazy_names(
    __name__,
    {
        "ClassifierModel": "scale_eval.models.scikit_learn",
        "Dataset": "scale_eval.datasets.dataset",
        "Execution": "scale_eval.planning.run_options",
        "History": "scale_eval.evaluation.history",
        "Metric": "scale_eval.metrics",
        "Model": "scale_eval.evaluation.model",
        "Preview": "scale_eval.preview_run",
        "Reduction": "scale_eval.planning.run_options",
        "Run": "scale_eval.run",
        "Sampling": "scale_eval.planning.run_options",
        "Settings": "scale_eval.planning.settings",
        "Skipped": "scale_eval.evaluation.no_prediction",
        "Undefined": "scale_eval.metrics",
        "demo_dataset": "scale_eval.datasets.demo",
        "evaluate": "scale_eval.evaluate_run",
        "evaluate_one": "scale_eval.evaluation.evaluate",
        "ingest": "scale_eval.datasets.ingest.ingest",
        "make_settings": "scale_eval.planning.settings",
        "metric": "scale_eval.metrics",
        "open_dataset": "scale_eval.datasets.dataset",
        "open_run": "scale_eval.run",
        "preview": "scale_eval.preview_run",
        "reduce": "scale_eval.evaluate_run",
        "synthesize": "scale_eval.datasets.synthetic.synthesize",
    },
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("scale_eval")
    return _public_name(name)
