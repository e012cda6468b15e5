"""Put a figure into a page as an SVG whose colours follow the reader's light or dark mode."""

from __future__ import annotations

import base64
import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

DARK = {
    "#000000": "#e6e4df",
    "#ffffff": "#191917",
    "#222222": "#e6e4df",
    "#555555": "#a8a59e",
    "#777777": "#a3a099",
    "#9a9a9a": "#8a8780",
    "#b5b5b5": "#6b6963",
    "#b9b9b9": "#6b6963",
    "#c9c9c9": "#565550",
    "#d9d9d9": "#3a3935",
    "#eeeeee": "#3f3e3a",
    "#0b3c5d": "#7db8e0",
    "#d1495b": "#f08b98",
    "#4b8f4a": "#8ccf8a",
    "#8a6d3b": "#d3b277",
    "#6b4c9a": "#b79ae6",
    "#2f9e9e": "#66cfcf",
    "#888888": "#b4b4b4",
    "#111111": "#f4f2ee",
    "#c8803c": "#e3a971",
}
"""Colours of the plots, and what they are on a dark page."""


def svg(figure: Figure) -> str:
    """Return a figure as an SVG in a data URI; the same figure gives the same bytes."""
    file = io.BytesIO()
    with mpl.rc_context(
        {
            "svg.hashsalt": "scale_eval",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
        }
    ):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = with_dark_mode(file.getvalue().decode())
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


def with_dark_mode(text: str) -> str:
    """Return an SVG in which every colour of `DARK` changes with the mode of the screen."""
    used = sorted({color for color in re.findall(r"#[0-9a-f]{6}\b", text) if color in DARK})
    text = re.sub(
        r"#[0-9a-f]{6}\b", lambda at: f"var({_name(at[0])})" if at[0] in DARK else at[0], text
    )
    light, dark = (
        ";".join(f"{_name(color)}:{shade(color)}" for color in ["#000000", *used])
        for shade in (str, DARK.__getitem__)
    )
    style = (
        f"<style>:root{{{light}}}text{{fill:var({_name('#000000')})}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    )
    at = text.index(">", text.index("<svg ")) + 1
    return text[:at] + style + text[at:]


def _name(color: str) -> str:
    return f"--c{color[1:]}"
