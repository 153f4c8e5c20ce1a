"""These commands start as they do for an operator."""

import pytest


@pytest.fixture
def starts_anew() -> bool:
    """Python starts for each command."""
    return True
