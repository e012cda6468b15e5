"""Put a figure into a page as an SVG whose colours follow the reader's light or dark mode."""

from __future__ import annotations

import base64
import io
import re

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

DARK = {
    "#ffffff": "#191917",
    "#0b3c5d": "#7db8e0",
    "#d1495b": "#f08b98",
    "#4b8f4a": "#8ccf8a",
    "#8a6d3b": "#d3b277",
    "#6b4c9a": "#b79ae6",
    "#2f9e9e": "#66cfcf",
    "#c8803c": "#e3a971",
}
"""Colours of the plots, and what they are on a dark page; greys are turned around."""


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
        canvas = _laid_out(figure)
        # Transparent, for the page to show beneath it that a plot goes on beyond the screen.
        for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
            patch.set(facecolor="none", edgecolor="none")
        canvas.print_svg(file, metadata={"Date": None, "Creator": None})
    text = with_dark_mode(file.getvalue().decode())
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


def _laid_out(figure: Figure) -> FigureCanvasSVG:
    """Lay out a figure once, for SVG; return its canvas: `savefig` would draw it twice more."""
    canvas, engine = FigureCanvasSVG(figure), figure.get_layout_engine()
    if engine is not None:
        dpi = figure.get_dpi()
        figure.set_dpi(72)
        engine.execute(figure)
        figure.set_dpi(dpi)  # that of images
        figure.set_layout_engine("none")
    return canvas


def with_dark_mode(text: str) -> str:
    """Return an SVG in which its greys and the colours of `DARK` change with the screen's mode."""
    found = {"#000000", *_COLOR.findall(text)}
    dark = {color: shade for color in sorted(found) if (shade := on_dark(color))}
    text = _COLOR.sub(lambda at: f"var({_name(at[0])})" if at[0] in dark else at[0], text)
    lines = (
        ";".join(f"{_name(color)}:{shade}" for color, shade in shades)
        for shades in (((color, color) for color in dark), dark.items())
    )
    style = (
        "<style>:root{{{}}}text{{fill:var(--c000000)}}"
        "@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}</style>"
    ).format(*lines)
    at = text.index(">", text.index("<svg ")) + 1
    return text[:at] + style + text[at:]


def on_dark(color: str) -> str:
    """Return what a colour such as ``#222222`` is on a dark page; "" where it stays as it is."""
    red, green, blue = color[1:3], color[3:5], color[5:7]
    if color in DARK or not red == green == blue:
        return DARK.get(color, "")
    return "#" + 3 * f"{_LIGHTEST - round(0.82 * int(red, 16)):02x}"


_COLOR = re.compile(r"#[0-9a-f]{6}\b")

_LIGHTEST = 0xE6
"""What black is on a dark page."""


def _name(color: str) -> str:
    return f"--c{color[1:]}"
