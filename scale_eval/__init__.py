"""scale_eval: which purchase model to deploy, for whom, and what to expect of it.

>>> import scale_eval as se
>>> dataset = se.open_dataset("datasets/shops")           # doctest: +SKIP
>>> run = se.evaluate(dataset, ["bgnbd"], out="runs/one")  # doctest: +SKIP
>>> run.pooled                                            # doctest: +SKIP
"""

from importlib.metadata import version

from scale_eval.datasets import Dataset, open_dataset
from scale_eval.datasets.demo import demo_dataset
from scale_eval.datasets.ingest.ingest import ingest
from scale_eval.datasets.synthetic.synthesize import synthesize
from scale_eval.evaluate import evaluate, reduce
from scale_eval.evaluation.evaluate import evaluate_one
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.metrics import Metric, Undefined, metric
from scale_eval.models import ClassifierModel, Model
from scale_eval.planning.run_options import Execution, Reduction, Sampling
from scale_eval.planning.settings import Settings, make_settings
from scale_eval.preview import Preview, preview
from scale_eval.run import Run, open_run

__version__ = version("scale_eval")

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
