"""Charts as SVG for the page: colours are its CSS variables, points are links to rows of its tables.

Each chart is drawn twice, for a wide and for a narrow page, so that its words stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

SIZES = {"wide": (7.6, 3.9), "narrow": (3.6, 3.6)}
"""Inches; the page scales both to its width."""

INK, QUIET, GRID = "#000001", "#000002", "#000003"
SERIES = tuple(f"#00001{n}" for n in range(6))
"""Colours that stand for CSS variables until the SVG is finished."""

VARIABLES = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    GRID: "var(--line)",
    **{colour: f"var(--series-{n})" for n, colour in enumerate(SERIES)},
}
LONGEST_NAME = 22
"""Characters of a name in a legend."""

MARKERS = "osD^vP"
RIVAL_MARKERS = "xd"
DASHES = ("--", ":")

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Point:
    """A place in a chart, and the row of the page that it leads to."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    row: str = ""
    """Id of an element of the page; empty: no link."""
    words: str = ""
    """What the link is called."""


@dataclass(frozen=True)
class Series:
    """Points that a line joins, and others of the same kind that it passes by."""

    name: str
    points: tuple[Point, ...]
    others: tuple[Point, ...] = ()
    rival: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over an axis.

    Parameters
    ----------
    name : str
        Id of the chart on the page.
    title, description : str
        The text alternative.
    series : tuple of Series
    across, up : str
        Labels of the axes.
    doubling : bool
        The horizontal axis is logarithmic, with ticks at some of the x of the points.
    level : (float, str), optional
        A horizontal line and what it stands for.
    """

    name: str
    title: str
    description: str
    series: tuple[Series, ...]
    across: str
    up: str
    doubling: bool = False
    level: tuple[float, str] | None = None
    ticks: tuple[float, ...] = field(default=())

    def svg(self) -> str:
        """Both drawings, as elements for the page."""
        links = {f"#{p.row}": p.words for s in self.series for p in (*s.points, *s.others) if p.row}
        return _both(self.name, self.title, self.description, self._draw, links)

    def _draw(self, axes: Axes, narrow: bool) -> None:
        models = rivals = 0
        for series in self.series:
            if series.rival:
                style = {"color": QUIET, "linestyle": DASHES[rivals % 2], "linewidth": 1.2}
                marker, rivals = RIVAL_MARKERS[rivals % 2], rivals + 1
            else:
                style = {"color": SERIES[models % len(SERIES)], "linestyle": "-", "linewidth": 2.0}
                marker, models = MARKERS[models % len(MARKERS)], models + 1
            _draw_series(axes, series, style, marker)
        if self.level is not None:
            axes.axhline(self.level[0], color=INK, linewidth=1, label=self.level[1])
        if self.doubling:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_locator(
                FixedLocator(list(self.ticks[:: 2 if narrow and len(self.ticks) > 5 else 1]))
            )
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 9, integer=True))
        axes.set_xlabel(self.across)
        axes.set_ylabel(self.up)
        _legend(axes, narrow)


def _draw_series(axes: Axes, series: Series, style: Mapping[str, Any], marker: str) -> None:
    across, up = [p.x for p in series.points], [p.y for p in series.points]
    colour = str(style["color"])
    bounded = [(p.x, p.low, p.high) for p in series.points if p.low is not None and p.high is not None]
    if bounded and not series.rival:
        x, low, high = zip(*bounded, strict=True)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(across, up, marker=marker, markersize=5, label=_short(series.name), **style)
    for points, size, alpha in ((series.points, 36, 0.01), (series.others, 9, 0.45)):
        if points:
            dots = axes.scatter(
                [p.x for p in points],
                [p.y for p in points],
                s=size,
                color=colour,
                alpha=alpha,
                linewidths=0,
                zorder=3 if series.rival else 4,  # above the lines, to be pointed at
            )
            dots.set_urls([f"#{p.row}" if p.row else None for p in points])


def printable(text: str) -> str:
    """Without what XML cannot hold: control characters, halves of surrogate pairs."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _short(name: str) -> str:
    """The name as the legend has room for it; those that begin with _ would not be shown."""
    shown = printable(name).lstrip("_") or "model"
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + "…"


def _legend(axes: Axes, narrow: bool) -> None:
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        axes.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=min(len(labels), 2 if narrow else 4),
            frameon=False,
            labelcolor=INK,
        )


@dataclass(frozen=True)
class Strips:
    """How much of each input dimension is used: a strip per size, darker where it is more.

    Parameters
    ----------
    name, title, description : str
    rows : mapping of str to sequence of float
        Name of a strip -> use per bin of input dimensions, from 0 to 1.
    width : int
        Input dimensions in all.
    """

    name: str
    title: str
    description: str
    rows: Mapping[str, Sequence[float]]
    width: int

    def svg(self) -> str:
        """Both drawings, as elements for the page."""
        return _both(self.name, self.title, self.description, self._draw, {})

    def _draw(self, axes: Axes, narrow: bool) -> None:
        # #000010 with its opacity.
        red, green, blue = (int(SERIES[0][at : at + 2], 16) / 255 for at in (1, 3, 5))
        for place, used in enumerate(self.rows.values()):
            step = self.width / len(used)
            axes.broken_barh(
                [(number * step, step) for number in range(len(used))],
                (place - 0.4, 0.8),
                facecolors=[(red, green, blue, max(0.02, round(value, 2))) for value in used],
                linewidth=0,
            )
        axes.set_yticks(range(len(self.rows)), list(self.rows))
        axes.invert_yaxis()
        axes.set_xlim(0, self.width)
        axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8, integer=True))
        axes.grid(visible=False)
        axes.set_xlabel("input dimension")
        axes.set_ylabel("size")


def _both(
    name: str, title: str, description: str, draw: Callable[[Axes, bool], None], links: Mapping[str, str]
) -> str:
    return "\n".join(
        _finished(_drawn(draw, size, kind == "narrow"), f"{name}-{kind}", kind, title, description, links)
        for kind, size in SIZES.items()
    )


def _drawn(draw: Callable[[Axes, bool], None], size: tuple[float, float], narrow: bool) -> str:
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "smec",  # the same figures give the same page
        "text.parse_math": False,
        "font.size": 8.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GRID,
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": GRID,
        "ytick.color": GRID,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        draw(axes, narrow)
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _finished(svg: str, name: str, kind: str, title: str, description: str, links: Mapping[str, str]) -> str:
    """The drawing with ids of its own, names for its links and colours of the page."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(svg)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    for element in root.iter():
        _own_ids(element, name)
        if element.tag == f"{{{_SVG}}}a":
            target = element.attrib.pop(_XLINK, "")
            element.attrib.pop("target", None)  # matplotlib opens links in a new window
            element.set("href", target)
            element.set("aria-label", links[target])
    root.set("class", kind)
    root.set("role", "group" if links else "img")
    root.set("aria-label", f"{title}. {description}")
    text = ElementTree.tostring(root, encoding="unicode")
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    return re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", text)


def _own_ids(element: ElementTree.Element, name: str) -> None:
    """Ids that no other chart of the page has; links to rows of the page stay as they are."""
    for attribute, value in list(element.attrib.items()):
        if attribute == "id":
            element.set(attribute, f"{name}-{value}")
        elif attribute == _XLINK and not element.tag.endswith("}a"):
            element.set("href", f"#{name}-{value[1:]}")
            del element.attrib[_XLINK]
        elif "url(#" in value:
            element.set(attribute, value.replace("url(#", f"url(#{name}-"))
