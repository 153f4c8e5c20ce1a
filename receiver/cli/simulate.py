"""`frontdesk simulate`: a Nexudus on this machine."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from receiver import logs, settings
from receiver.cli import output
from receiver.errors import UsageError
from receiver.settings import Settings
from receiver.simulator import app
from receiver.simulator.access import Account
from receiver.simulator.faults import Knobs
from receiver.simulator.tenant import Tenant


def simulate(
    *,
    host: str = "127.0.0.1",
    port: int = 8002,
    business: Annotated[list[int] | None, Parameter(negative="")] = None,
    rate: float = 1.0,
    retry_scale: float = 0.1,
    slow_ms: int = 0,
    error_rate: float = 0.0,
    html_rate: float = 0.0,
    throttle_rate: float = 0.0,
    lost_write_rate: float = 0.0,
    calls_per_minute: int = 0,
    writes_per_minute: int = 0,
    without_role: Annotated[list[str] | None, Parameter(negative="")] = None,
    token_lifetime: int = 604_799,
    state: Path | None = None,
) -> None:
    """Run a simulated Nexudus: its webhooks API, and events that it fires at the hooks registered with it.

    Sign in with FRONTDESK_NEXUDUS_USERNAME and _PASSWORD (demo@example.com and demo when they are not set) or with
    FRONTDESK_NEXUDUS_TOKEN. Events are signed with FRONTDESK_WEBHOOK_SECRETS when it is set. While it runs,
    `POST /simulator/fire` with {"business_id": 1001, "action": "BookingCreate", "count": 1} makes events happen,
    `POST /simulator/faults` turns the knobs, and `GET /simulator/state` shows everything.

    Parameters
    ----------
    host
        Where to listen; it is a tool for one machine and has no guard of its own.
    port
        The port; 0 takes a free one.
    business
        A location; may be given several times. Without it there are 1001, 1002 and 1003.
    rate
        How many events happen by themselves in a second, of actions that have a hook; 0: none.
    retry_scale
        Failed deliveries are repeated up to ten times, after 10 s to 4 h multiplied by this.
    slow_ms
        How long each API call waits, in milliseconds.
    error_rate
        The share of API calls (0 to 1) that are answered 500.
    html_rate
        The share that is answered 500 with a page of HTML.
    throttle_rate
        The share that is answered 409 with Retry-After.
    lost_write_rate
        The share of writes that report success and are not done.
    calls_per_minute
        More API calls than this are throttled, 120 at the real one; 0: no limit.
    writes_per_minute
        More writes than this are throttled, 60 at the real one; 0: no limit.
    without_role
        A role that the API user lacks, such as WebHook-Edit; may be given several times.
    token_lifetime
        For how many seconds an access token is good.
    state
        A file that keeps the hooks when the simulator ends; without it they are forgotten.
    """
    current = settings.from_environ(os.environ)
    logs.configure(current.log_level, current.log_format)
    knobs = _knobs(
        events_per_second=rate,
        retry_scale=retry_scale,
        slow_ms=slow_ms,
        error_rate=error_rate,
        html_rate=html_rate,
        throttle_rate=throttle_rate,
        lost_write_rate=lost_write_rate,
        calls_per_minute=calls_per_minute,
        writes_per_minute=writes_per_minute,
    )
    tenant = Tenant({number: f"Location {number}" for number in business or (1001, 1002, 1003)})
    account = _account(current, token_lifetime, frozenset(without_role or ()))
    application = app.build(tenant, account, knobs, secret_of=lambda number: _secret(current, number), file=state)
    listener = app.listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    output.say(f"Nexudus is simulated at http://{shown}:{listener.getsockname()[1]} for {account.username}")
    # uvicorn raises the signal again once it has stopped in order; the default answer to it is to die of it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app.serve(application, listener)


def _knobs(**values: float) -> Knobs:
    try:
        return Knobs.model_validate(values)
    except ValueError as error:
        first = str(error).splitlines()
        raise UsageError(f"--{first[1].replace('_', '-')}: {first[2].strip().partition(' [')[0]}") from None


def _account(current: Settings, lifetime_s: int, missing_roles: frozenset[str]) -> Account:
    return Account(
        username=current.nexudus_username or "demo@example.com",
        password=current.nexudus_password.get_secret_value() if current.nexudus_password else "demo",
        totp=current.nexudus_totp.get_secret_value() if current.nexudus_totp else None,
        token=current.nexudus_token.get_secret_value() if current.nexudus_token else None,
        lifetime_s=lifetime_s,
        missing_roles=missing_roles,
    )


def _secret(current: Settings, business_id: int) -> str | None:
    """Return the shared secret of a business: its own, else the one for any."""
    for own in (True, False):
        for secret in current.webhook_secrets:
            if secret.business_id == (business_id if own else None):
                return secret.secret.get_secret_value()
    return None
