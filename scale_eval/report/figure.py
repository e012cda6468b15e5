"""The figure that plots are drawn on."""

from __future__ import annotations

import io
from collections.abc import Iterator

import matplotlib.figure
from matplotlib.axes import Axes


class Figure(matplotlib.figure.Figure):
    """A `matplotlib.figure.Figure` that a notebook shows even if pyplot was never imported.

    It describes itself in words, for those who cannot see it: `alt` is the text of a cell's output
    and stands in the metadata of its picture, from where nbconvert's template ``classic`` takes it.
    """

    @property
    def alt(self) -> str:
        """Return what the figure shows: its heading, its notes, and what stands on its axes."""
        texts = [self.get_suptitle(), *(text.get_text() for text in self.texts)]
        words = [*texts, *(_described(axis) for axis in self.axes)]
        return ". ".join(dict.fromkeys(part for part in map(_one_line, words) if part))

    def __repr__(self) -> str:
        return f"<Figure: {self.alt}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        """Return the picture, and its metadata: the alternative text."""
        file = io.BytesIO()
        self.savefig(file, format="png", bbox_inches="tight", metadata={"Description": self.alt})
        return file.getvalue(), {"alt": self.alt}


def _described(axis: Axes) -> str:
    """Return the title of a part of a figure, its axes, and what is drawn on it."""
    titles = [axis.get_title(loc) for loc in ("left", "center", "right")]
    labels = [f"{name}: {text}" for name, text in zip("xy", _labels(axis), strict=True) if text]
    names = [label for label in axis.get_legend_handles_labels()[1] if label]
    shown = [f"drawn: {', '.join(names)}"] if names else []
    return "; ".join(_one_line(text) for text in (*titles, *labels, *shown) if text)


def _labels(axis: Axes) -> Iterator[str]:
    """Return the label of each axis; the names of its rows or columns, where it has only these."""
    for each in (axis.xaxis, axis.yaxis):
        texts = [tick.get_text() for tick in each.get_ticklabels()]
        names = [text for text in texts if any(map(str.isalpha, text)) and "\\math" not in text]
        yield each.get_label_text() or ", ".join(names)


def _one_line(text: str) -> str:
    return " ".join(text.split())
