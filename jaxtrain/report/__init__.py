"""Reports: what a finished run leaves for people and for other programs to look at.

    write_summary(run_directory / "metrics.json", history.epochs, training_time_seconds=61.2)
    draw_curves(history.epochs, run_directory / "learning_curves.png")
    write_page(RunRecord.read(run_directory))                          # report.html

A history is a list of one dict an epoch, as `hooks.History` keeps it.
"""

from jaxtrain.report.confusion import draw_confusion
from jaxtrain.report.curves import LearningCurves, draw_curves
from jaxtrain.report.page import PageServer, write_comparison, write_page
from jaxtrain.report.schedule import plot_lr_find, plot_schedule
from jaxtrain.report.summary import read_summary, summarize, write_summary

__all__ = [
    "LearningCurves",
    "PageServer",
    "draw_confusion",
    "draw_curves",
    "plot_lr_find",
    "plot_schedule",
    "read_summary",
    "summarize",
    "write_comparison",
    "write_page",
    "write_summary",
]
