"""Prints the tables of `make faults` at the end, those of campaigns that passed too."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every campaign leaves its table with its report, which crosses from one process to another."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    tables = [text for report in reports for name, text in report.user_properties if name == "table"]
    if tables:
        terminalreporter.section("what the faults did")
        terminalreporter.write("\n\n".join(tables) + "\n")
