"""A self-contained page on what compressors do to a dataset: quality, bytes, wins and losses."""

from smec.report.page import write_report

__all__ = ["write_report"]
