"""Pages: what a run, or several, have to show, as one HTML file that needs no network.

write_page(RunRecord.read("runs/digits/seed0-1a2b3c4d"))       # its report.html
"""

from jaxtrain.report.page.comparison import comparison_of, write_comparison
from jaxtrain.report.page.content import Content
from jaxtrain.report.page.document import document
from jaxtrain.report.page.run_page import PAGE_BYTES, content_of, write_page
from jaxtrain.report.page.server import PageServer

__all__ = [
    "PAGE_BYTES",
    "Content",
    "PageServer",
    "comparison_of",
    "content_of",
    "document",
    "write_comparison",
    "write_page",
]
