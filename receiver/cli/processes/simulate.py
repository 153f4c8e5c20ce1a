"""`frontdesk simulate`: a Nexudus on this machine."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from cyclopts.validators import Number
from pydantic import ValidationError
from starlette.applications import Starlette

from receiver.cli.context import Context
from receiver.cli.processes import simulated_outage
from receiver.cli.ui import option_values, output
from receiver.cli.up import demo, generated_secrets
from receiver.core.errors import RoutesError, UsageError
from receiver.core.settings import Settings
from receiver.process import end_signals, standard_streams
from receiver.routing.loading import read_table
from receiver.simulator import app
from receiver.simulator.access import Account
from receiver.simulator.account.tenant import Tenant
from receiver.simulator.faults import Knobs

_BUSINESSES = (1001, 1002, 1003)

T = TypeVar("T")

Several = Annotated[list[T] | None, Parameter(negative="")]


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How the simulator behaves.

    Parameters
    ----------
    rate
        How many events it makes per second by itself, of actions that have a hook; 0 makes none.
    without_role
        A role that the API user lacks, such as WebHook-Edit; may be given several times.
    token_lifetime
        For how many seconds an access token is valid.
    knob
        A knob as NAME=VALUE, lists with commas; may be given several times. slow_ms, error_rate, html_rate, ooops_rate,
        throttle_rate, throttle_429_rate, cut_rate, lost_answer_rate, lost_write_rate (shares from 0 to 1),
        retry_after_s, retry_scale (1: failed deliveries are repeated after 10 s to 4 h), calls_per_minute,
        writes_per_minute, largest_page, unknown_is_404, repeat_pages, ignored_filters, error_of_total,
        failing_searches, moving_rows (update, delete), hang_at_page, histories_need_invoice, log_of_deletes,
        jobs_touch_customers, most_records.
    """

    rate: float = 1.0
    without_role: Several[str] = None
    token_lifetime: int = 604_799
    knob: Several[str] = None

    def knobs(self) -> Knobs:
        """Return what is asked for. Raises UsageError."""
        values: dict[str, Any] = {"events_per_second": self.rate, "missing_roles": self.without_role or []}
        values |= dict(pair.partition("=")[::2] for pair in self.knob or ())
        try:
            return Knobs.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"--knob {first['loc'][0]}: {first['msg']}") from None


MannerOptions = Annotated[Behaviour, Parameter(name="*")]
FAITHFUL = Behaviour()


def simulate(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lte=65_535))] = None,
    business: Several[int] = None,
    state: Path | None = None,
    outage: str | None = None,
    manner: MannerOptions = FAITHFUL,
) -> None:
    """Run a simulated Nexudus: its API, records that live, and events that it fires at the hooks registered with it.

    Sign in with FRONTDESK_NEXUDUS_USERNAME and _PASSWORD (demo@example.com and demo when they are not set) or with
    FRONTDESK_NEXUDUS_TOKEN. Events are signed with FRONTDESK_WEBHOOK_SECRETS when it is set.

    While it runs: POST /simulator/fire fires events, as in {"business_id": 1001, "action": "BookingCreate",
    "count": 3}; POST /simulator/outage switches hooks off for a while, as in {"seconds": 60}; GET /simulator/happened
    lists what really happened; POST /simulator/faults turns knobs, as in {"throttle_rate": 0.1}, and GET shows them
    all; GET /simulator/state shows everything else, DELETE starts afresh.

    Parameters
    ----------
    host
        Where to listen. The simulator has no protection of its own: keep it on this machine.
    port
        The port; 0 takes a free one. Default: the port of FRONTDESK_NEXUDUS_URL if that is this machine, else 8002.
    business
        A location; may be given several times. Default: the locations that routes.yaml names, else 1001 to 1003.
    state
        A file that keeps the hooks after the simulator ends. Without it they are lost.
    outage
        Start nothing: switch off the hooks of the simulator that runs already, such as that of a demo, for this long.
    """
    current = generated_secrets.completed(Context().settings)
    if outage is not None:
        simulated_outage.begin(demo.completed(current), port, option_values.duration_ms("--outage", outage))
        return
    standard_streams.detach_output()
    account = _account(current, manner.token_lifetime)
    application = _application(current, account, manner.knobs(), business or _businesses(current), state)
    _serve(application, host, simulated_outage.port_of(current) if port is None else port, account.username)


def _application(
    current: Settings, account: Account, knobs: Knobs, businesses: Iterable[int], state: Path | None
) -> Starlette:
    """Return the simulator with these locations, which signs as *current* says."""
    return app.build(
        Tenant({number: f"Location {number}" for number in businesses}),
        account,
        knobs,
        secret_of=lambda number: _secret(current, number),
        reading=current.reading or "dotnet-ascii",
        file=state,
    )


def _serve(application: Starlette, host: str, port: int, username: str) -> None:
    listener = app.listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    output.say(f"Nexudus is simulated at http://{shown}:{listener.getsockname()[1]} for {username}")
    # uvicorn raises the signal again once it has stopped in order; the default answer to it is to die of it.
    end_signals.answer(lambda *_: sys.exit(0))
    app.serve(application, listener)


def _businesses(current: Settings) -> tuple[int, ...]:
    try:
        named = read_table(current.routes).businesses
    except RoutesError:
        return _BUSINESSES
    return _BUSINESSES if named == "all" else named


def _account(current: Settings, lifetime_s: int) -> Account:
    return Account(
        username=current.nexudus_username or "demo@example.com",
        password=current.nexudus_password.get_secret_value() if current.nexudus_password else "demo",
        totp=current.nexudus_totp.get_secret_value() if current.nexudus_totp else None,
        token=current.nexudus_token.get_secret_value() if current.nexudus_token else None,
        lifetime_s=lifetime_s,
    )


def _secret(current: Settings, business_id: int) -> str | None:
    """Return the shared secret of a business: its own, else the one for any."""
    for own in (True, False):
        for secret in current.webhook_secrets:
            if secret.business_id == (business_id if own else None):
                return secret.secret.get_secret_value()
    return None
