"""The connection to a W&B server through `wandb.Api`: reached, logged in, and never waited for without end.

Imports wandb (inside functions: it is heavy) and the user error.
"""

import http.client
import os
import queue
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from cola_sweep.errors import UserError

if TYPE_CHECKING:
    from email.message import Message

    import wandb

T = TypeVar("T")

DEFAULT_PROJECT = "cola-sweep"
# A server that is there may be busy, or its machine: only one that is not keeps anybody waiting so long.
REACH_SECONDS = 60
SILENT_SECONDS = 5  # from then on whoever waits is told for what
REQUEST_SECONDS = 20


def connect() -> "wandb.Api":
    """The API of the configured server, after a short check that it answers and takes the key.

    Raises:
        UserError: it does not.
    """
    import wandb
    from wandb.sdk.lib import wbauth

    base_url = server_address()
    check_reachable(base_url)
    try:
        # wandb.Api() would ask for a key at the terminal, and wait for it.
        known = wbauth.authenticate_session(host=base_url, source="report", prompt=False, update_session=False)
        if known is None:
            raise UserError(base_url, rule="you are not logged in", fix="run `make serve`, or `wandb login`")
        return wandb.Api(timeout=REQUEST_SECONDS)
    except (wandb.errors.AuthenticationError, wandb.errors.UsageError) as error:
        fix = "run `wandb login --relogin`, or correct WANDB_API_KEY if that is set"
        raise UserError(base_url, rule=f"logging in failed ({error})", fix=fix) from error


def server_address() -> str:
    """The server that the environment or wandb's settings name.

    Raises:
        UserError: wandb refuses one of these settings.
    """
    import wandb
    from pydantic import ValidationError  # wandb's own way to check its settings

    try:
        settings = wandb.setup().settings
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"WANDB_{problem['loc'][0]}".upper()
        where = name if name in os.environ else f"wandb's setting {problem['loc'][0]}"
        raise UserError(where, got=problem["input"], rule=problem["msg"], fix="correct it, or unset it") from error
    return os.environ.get("WANDB_BASE_URL") or str(settings.base_url)


def check_reachable(base_url: str) -> "Message | None":
    """Any HTTP answer will do; wandb itself would try a dead address 20 times. Returns its headers, if they came."""
    if not base_url.startswith(("http://", "https://")):
        raise UserError("WANDB_BASE_URL", got=base_url, rule="must begin with http:// or https://", fix="correct it")
    told = threading.Timer(SILENT_SECONDS, _still_trying, [base_url])
    told.daemon = True
    told.start()
    try:
        # Like the client, no proxy to this machine, whether or not NO_PROXY says so.
        here = urlsplit(base_url).hostname in ("127.0.0.1", "::1", "localhost")
        opener = urllib.request.build_opener(*[urllib.request.ProxyHandler({})] * here)
        request = urllib.request.Request(base_url.rstrip("/") + "/graphql", method="HEAD")
        with opener.open(request, timeout=REACH_SECONDS) as answer:
            return cast("Message", answer.headers)
    except urllib.error.HTTPError as error:
        return error.headers
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return None  # it answers; which certificates hold is set for the client, in ways of its own
        raise UserError(
            base_url,
            rule=f"the W&B server does not answer ({reason})",
            fix="start it with `make serve`, or set WANDB_BASE_URL to one that runs",
        ) from error
    finally:
        told.cancel()


def _still_trying(base_url: str) -> None:
    print(f"still trying {base_url}, for {REACH_SECONDS} s in all", file=sys.stderr, flush=True)


def home(api: Any) -> tuple[str, str]:
    """Entity and project that a short path leaves out."""
    entity = api.settings["entity"] or ask(lambda: api.default_entity, "your account")
    if not entity:
        raise UserError(
            "your account", rule="has no default entity", fix="set WANDB_ENTITY, or write entity/project/id"
        )
    return entity, api.settings["project"] or DEFAULT_PROJECT


def find_sweep(api: Any, path: str) -> Any:
    """The sweep at `entity/project/id`, `project/id`, `id`, or the address of its page.

    Raises:
        UserError: that is no path, or there is no such sweep.
    """
    parts = [part for part in path.partition("?")[0].strip("/ ").replace("/sweeps/", "/").split("/") if part]
    if "://" in path:
        parts = parts[2:]
    if not 1 <= len(parts) <= 3:
        raise UserError(
            "SWEEP", got=path, rule="is not a sweep's path", fix="write entity/project/id, project/id or id"
        )
    entity, project = home(api)
    full = "/".join([entity, project][: 3 - len(parts)] + parts)
    return ask(
        lambda: api.sweep(full), f"sweep {full}", missing="does not exist; write the path that `wandb sweep` printed"
    )


def ask(call: Callable[[], T], where: str, *, missing: str = "was not found; look for it on the server") -> T:
    """`call`, with what the client raises as one line. The client has retried by then, for REQUEST_SECONDS at most."""
    try:
        return call()
    except (ValueError, *server_errors()) as error:  # type: ignore[misc]
        # ValueError is the client's word for "not there"; some of its methods wrap it.
        if isinstance(error, ValueError) or isinstance(getattr(error, "exc", None), ValueError):
            rule, _, fix = missing.partition("; ")
        else:
            rule, fix = f"the server could not answer ({error})", "look at its log, then try again"
        raise UserError(where, rule=rule, fix=fix) from error


def graphql(api: "wandb.Api", query: str, variables: Mapping[str, Any]) -> Any:
    """What the server answers to a query for which the client's API has no method; the values by field.

    By a private attribute of wandb 0.31's, the one door that has the client's login, proxies and retries: with none
    of that name, a trial takes a stop of the server's for a preemption, and the doctor is silent about versions.

    Raises:
        wandb.errors.Error: this client has no such door.
    """
    import wandb

    try:
        execute = api._service_api.execute_graphql
    except AttributeError as error:
        raise wandb.errors.UnsupportedError(f"wandb {wandb.__version__} hands on no query") from error
    return execute(query, variables=dict(variables))


def server_errors() -> tuple[type[Exception], ...]:
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    return wandb.errors.Error, WandbApiFailedError, OSError


def within(seconds: float, call: Callable[[], T]) -> T:
    """`call` in a thread, or TimeoutError: the client waits without end for downloads and scans."""
    outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcomes.put((call(), None))
        except BaseException as error:
            outcomes.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        value, error = outcomes.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer in {seconds:g} s") from None
    if error is not None:
        raise error
    return cast(T, value)
