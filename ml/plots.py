"""Plots as SVG text that stands inside an HTML page: in the page's own ink, so light and dark both work."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

# One model, one colour, in every plot and table; readable on white and on black.
COLOURS = {
    "amount_and_time": "#8a8f98",
    "velocity_rule": "#d08700",
    "logistic_regression": "#3b82f6",
    "gradient_boosting": "#0d9f6e",
}
FRAUD, LEGITIMATE = "#e0483e", "#8a8f98"
_INK = "#010203"
_MOST_POINTS = 400
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "risklake",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def precision_recall_plot(is_fraud: np.ndarray, scores: Mapping[str, np.ndarray]) -> str:
    """Precision over recall of every model, with the base rate as a dashed line; empty text without frauds."""
    if not is_fraud.any():
        return ""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas("recall (share of frauds found)", "precision")
        for name, values in scores.items():
            precision, recall, _ = precision_recall_curve(is_fraud, values)
            kept = np.unique(np.linspace(0, len(recall) - 1, _MOST_POINTS).astype(int))
            if len(recall) > _MOST_POINTS:
                # The curve's steep part holds few events but most of the recall: keep points even along it.
                kept = np.unique(np.searchsorted(-recall, -np.linspace(1, 0, _MOST_POINTS)).clip(0, len(recall) - 1))
            axes.step(recall[kept], precision[kept], where="post", color=COLOURS.get(name), label=name, linewidth=1.8)
        axes.axhline(float(is_fraud.mean()), color=_INK, linestyle="--", linewidth=1, label="base rate")
        axes.set(xlim=(0, 1), ylim=(0, 1.03))
        _legend_above(figure, axes)
        return _svg(figure, "precision-recall")


def score_plot(is_fraud: np.ndarray, scores: np.ndarray) -> str:
    """How the scores of frauds and of legitimate events are spread, each as shares of its own kind (log scale)."""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas("score", "share of events (log)")
        for kind, colour, chosen in (("legitimate", LEGITIMATE, ~is_fraud), ("fraud", FRAUD, is_fraud)):
            if chosen.any():
                share = np.full(int(chosen.sum()), 1 / chosen.sum())
                bins = np.linspace(0, 1, 41).tolist()
                axes.hist(scores[chosen], bins=bins, weights=share, color=colour, alpha=0.6, label=kind)
        axes.set(yscale="log", xlim=(0, 1))
        _legend_above(figure, axes)
        return _svg(figure, "scores")


def daily_plot(daily: pd.DataFrame) -> str:
    """Frauds a day of the train and test days: known at training, and reported later; takes `daily_frauds`."""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas("", "frauds a day")
        known, later = daily["frauds_known"].to_numpy(dtype=float), daily["frauds_later"].to_numpy(dtype=float)
        is_test = (daily["part"] == "test").to_numpy()
        days = daily["day"].to_numpy()
        axes.bar(days, known, color=COLOURS["logistic_regression"], label="train, known at training")
        if later[~is_test].any():
            axes.bar(
                days[~is_test], later[~is_test], bottom=known[~is_test], color="#d08700", label="train, reported later"
            )
        axes.bar(days[is_test], later[is_test], color=FRAUD, label="test")
        axes.xaxis.set_major_locator(mdates.AutoDateLocator(maxticks=6))
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
        _legend_above(figure, axes)
        return _svg(figure, "daily")


def _canvas(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=across, ylabel=up)
    axes.grid(color=_INK, alpha=0.12, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _legend_above(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=9.5, borderpad=0)


def _svg(figure: Figure, prefix: str) -> str:
    """SVG for inside HTML: no prologue, namespaces or metadata, ids of its own, black ink as `currentColor`."""
    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = text.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    text = re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{prefix}">', text, count=1
    )
    return text.replace(_INK, "currentColor")
