"""Which credentials a process signs in with at Nexudus, according to its settings."""

import hashlib
import socket

from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.nexudus.api.oauth import BearerToken, Password


def credentials(current: Settings, role: str) -> BearerToken | Password:
    """Return the credentials for Nexudus. Raises SettingsError when the settings hold none.

    By default each deployment, host and command has its own client id, because refreshing a token ends the other tokens
    of the same client id. The host name alone would not do: hosts of two deployments may have the same name.
    """
    if current.nexudus_token:
        return BearerToken(current.nexudus_token.get_secret_value())
    if not current.nexudus_username:
        raise SettingsError(
            "FRONTDESK_NEXUDUS_USERNAME is not set; Nexudus needs it with FRONTDESK_NEXUDUS_PASSWORD,"
            " or FRONTDESK_NEXUDUS_TOKEN instead"
        )
    current.need("nexudus_password")
    return Password(
        username=current.nexudus_username,
        password=current.nexudus_password.get_secret_value() if current.nexudus_password else "",
        client_id=current.nexudus_client_id or f"frontdesk-{_deployment(current)}-{socket.gethostname()}-{role}",
        totp=current.nexudus_totp.get_secret_value() if current.nexudus_totp else None,
    )


def _deployment(current: Settings) -> str:
    """Return a short name that no other deployment has. It is made from the public URL, which is unique to each."""
    return hashlib.sha256((current.public_url or "").encode()).hexdigest()[:8]
