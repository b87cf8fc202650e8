"""The composition root: a home folder becomes a running service."""

import errno
import gc
import ipaddress
import logging
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import uvicorn

from recommender.errors import MurmeliError, UsageError
from recommender.plugins import registry_at
from recommender.settings import load_settings
from recommender.stores import store_of
from serving.app import create_app
from serving.peers import Peers
from serving.protocol import protocol_of
from serving.site import Site, assemble
from serving.telemetry import LOGGER, log_to_stderr
from serving.workers import Supervisor

GRACE = 10
"""Seconds that requests under way get at the end."""
BACKLOG = 2048
AT_ONCE = 8
"""Connections accepted at a turn of the event loop, which takes one from each handle of the socket."""
SWITCH = 0.0005
"""Seconds that a thread with Python to run keeps the interpreter from the event loop, about: a page of a large
catalogue lets go of it some forty times, for its loops, and waits so long each time."""


def build(home: Path, store_at: Path | str | None = None, peers: Peers | None = None) -> Site:
    """The site of a home. Raises UsageError for wrong settings and StoreError where the store cannot be opened.

    store_at: where the store lies; in the home where None. peers: the other workers of it, where there are any.
    """
    settings = load_settings(home)
    store = store_of(home, settings, store_at)
    try:
        return assemble(settings, store, registry_at(home, settings), home, peers)
    except BaseException:
        store.close()
        raise


def serve(
    home: Path,
    host: str | None = None,
    port: int | None = None,
    announce: Callable[[str], None] | None = None,
    *,
    store_at: Path | str | None = None,
    workers: int = 1,
) -> None:
    """Serve a home until SIGINT or SIGTERM. announce: is told the address, once; standard output where None.

    Raises MurmeliError where the address cannot be had, before anything else is opened.
    """
    settings = load_settings(home)
    place = settings.serving.host if host is None else host, settings.serving.port if port is None else port
    with closing(listen(*place)) as listener:
        log_to_stderr()
        _warn_of_others(listener)
        if workers == 1:
            site = build(home, store_at)
            (announce or say)(url_of(listener))
            run(site, listener)
            return
        with closing(store_of(home, settings, store_at)):
            """It is made, and brought up to date, by one process; an error is told before there are workers."""
        address: tuple[str, int] = listener.getsockname()[:2]
    _supervise(home, store_at, listen_together(*address, workers), announce or say)


def _warn_of_others(listener: socket.socket) -> None:
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        logging.getLogger(LOGGER).warning(
            "Other machines can reach this port, and what goes over it is not encrypted. Put a proxy with TLS there."
        )


def _supervise(
    home: Path, store_at: Path | str | None, listeners: list[socket.socket], announce: Callable[[str], None]
) -> None:
    with tempfile.TemporaryDirectory(prefix="murmeli-") as folder, ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)

        def work(number: int, listener: socket.socket, ready: Callable[[], None]) -> None:
            site = build(home, store_at, Peers(Path(folder), number))
            ready()
            run(site, listener)

        Supervisor(listeners, work).run(lambda: announce(url_of(listeners[0])))


def run(site: Site, listener: socket.socket) -> None:
    """Serve a site until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        create_app(site),
        access_log=False,  # its lines hold paths and queries, and those hold ids
        log_config=None,
        server_header=False,
        http=protocol_of(site.overload, site.telemetry),
        proxy_headers=False,  # nobody asks where a call came from
        ws="none",
        timeout_graceful_shutdown=GRACE,
        lifespan="on",
    )
    handles = [listener, *(listener.dup() for _ in range(AT_ONCE - 1))]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()  # what is there now stays, and no collection is to look through it again
    try:
        with suppress(KeyboardInterrupt):  # it has stopped by then; the server passes the signal on
            uvicorn.Server(config).run(sockets=handles)
    finally:
        gc.unfreeze()
        sys.setswitchinterval(usual)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that a second server meets it. MurmeliError where it cannot be had."""
    try:
        return socket.create_server((host, port), family=_family(host), backlog=BACKLOG)
    except OSError as error:
        raise _address_error(error, host, port) from error


def listen_together(host: str, port: int, many: int) -> list[socket.socket]:
    """So many sockets at one address, which `listen` found free: the system spreads connections over them."""
    listeners = []
    for _ in range(many):
        listener = socket.socket(_family(host))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listeners.append(listener)
    return listeners


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _address_error(error: OSError, host: str, port: int) -> MurmeliError:
    if error.errno == errno.EADDRINUSE:
        return MurmeliError(f"Port {port} is in use, perhaps by another murmeli. Stop that, or give another --port.")
    if error.errno == errno.EACCES:
        return MurmeliError(f"Port {port} is not yours to open. Give a --port from 1024 on; those need no rights.")
    return UsageError(f"{host} is no address of this machine ({error.strerror}). Give another --host.")


def url_of(listener: socket.socket) -> str:
    """The address that a socket listens on."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def say(url: str) -> None:
    """Tell standard output where to look."""
    sys.stdout.write(f"Murmeli answers at {url} (docs: {url}/docs). Stop it with Ctrl-C.\n")
    sys.stdout.flush()
