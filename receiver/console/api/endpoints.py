"""Every endpoint of the API."""

from typing import Final

from receiver.console.api.change_endpoints import CHANGES
from receiver.console.api.look_endpoints import LOOKS

ENDPOINTS: Final = (*LOOKS, *CHANGES)
"""In the order of the documents."""
