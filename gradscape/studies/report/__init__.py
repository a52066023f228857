"""One page over everything that lies in some folders."""

from gradscape.studies.report.page import write_report

__all__ = ["write_report"]
