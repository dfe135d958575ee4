"""The running server: from listening to an end that loses nothing that was accepted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator

import uvicorn

from smec.errors import ConfigError
from smec.server.app import create_app
from smec.server.connections import BoundedProtocol, bounded_protocol
from smec.server.service import Service
from smec.server.settings import ServerSettings

logger = logging.getLogger("smec.server")

BACKLOG = 4096
"""Connections that may wait to be accepted."""

LAST_REQUESTS_SECONDS = 0.5
"""Seconds between the last accepted connection and the closing of idle ones, for requests on their way."""

FIRST_REQUEST_SECONDS = 5.0
"""Seconds in which a connection that never sent anything may still send its first request at the end."""


class Server(uvicorn.Server):
    """uvicorn's server that drains before it ends, and looks for new compressors on SIGHUP.

    On SIGTERM it goes on serving for ``drain_seconds``, with ``/readyz`` at 503 and ``Connection: close`` in
    every answer; then it stops listening, and waits until everything that it accepted is answered. A second
    signal ends the draining.
    """

    def __init__(self, settings: ServerSettings) -> None:
        app = create_app(settings)
        self.service: Service = app.state.service
        self._ending: asyncio.Task[None] | None = None
        tls = settings.tls
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(settings.limits.header_seconds, settings.limits.send_seconds),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=settings.access_log,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=int(settings.shutdown_seconds) or 1,
                backlog=BACKLOG,
                ssl_certfile=None if tls is None else tls.certificate,
                ssl_keyfile=None if tls is None else tls.key,
            )
        )
        try:
            if tls is not None:  # first without uvicorn, which would ask at the terminal for a password
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                    tls.certificate, tls.key, _no_password
                )
            self.config.load()
        except OSError as error:  # of TLS, whose own error is one
            raise ConfigError("tls: certificate and key cannot be read, or do not belong together") from error

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT, reload on SIGHUP."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals can be listened to there only
            return
        loop = asyncio.get_running_loop()
        handled = {signal.SIGTERM: self.end, signal.SIGINT: self.end, signal.SIGHUP: self.reload}
        for number, action in handled.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def end(self) -> None:
        """Begin to end; when that has begun, drain no longer."""
        if self._ending is None:
            logger.info("ending: draining for %g s", self.service.settings.drain_seconds)
            self.service.draining = True
            self._ending = asyncio.ensure_future(self._drain())
        else:
            self.should_exit = True

    def reload(self) -> None:
        """Look for replaced compressors now."""
        self._reloading = asyncio.ensure_future(self.service.models.reload())

    async def _drain(self) -> None:
        await asyncio.sleep(self.service.settings.drain_seconds)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what is on its way, then close."""
        self.service.draining = True
        waiting = [accepted for listener in sockets or [] for accepted in _waiting(listener)]
        for server in self.servers:
            server.close()  # resets whatever the system has accepted and nobody has taken
        for accepted in waiting:
            await self._take(accepted)
        await asyncio.sleep(LAST_REQUESTS_SECONDS)
        loop = asyncio.get_running_loop()
        last = loop.time() + FIRST_REQUEST_SECONDS - LAST_REQUESTS_SECONDS
        while loop.time() < last and any(
            isinstance(connection, BoundedProtocol) and connection.unused
            for connection in self.server_state.connections
        ):
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    async def _take(self, accepted: socket.socket) -> None:
        """Serve a connection that was accepted outside of the event loop's own server."""

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        with contextlib.suppress(OSError):  # the client left, or its TLS failed
            await asyncio.get_running_loop().connect_accepted_socket(protocol, accepted, ssl=self.config.ssl)


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """Accept all that waits at a listening socket which does not block."""
    with contextlib.suppress(OSError):  # nobody waits any more
        while True:
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            yield accepted


def _no_password() -> str:
    raise ConfigError("tls.key: has a password, which nobody is here to type; store it without one")


def serve(settings: ServerSettings) -> None:
    """Serve until a signal ends it.

    Raises
    ------
    ArtefactError, ConfigError
        A compressor, a key or certificates cannot be used, or the address cannot be listened on.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.INFO if settings.access_log else logging.WARNING)
    _raise_file_limit()
    server = Server(settings)
    with listening(settings) as listener:
        address = "{}:{}".format(*listener.getsockname())
        logger.info("listening on %s://%s", "http" if settings.tls is None else "https", address)
        gc.collect()
        gc.freeze()  # what is here now stays: a collection that looks at it would hold requests up
        server.run(sockets=[listener])


def listening(settings: ServerSettings) -> socket.socket:
    """A socket at the address of the settings.

    Raises
    ------
    ConfigError
        It is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise ConfigError(f"cannot listen on {where}: {os.strerror(error.errno or 0)}") from error


def _raise_file_limit() -> None:
    """Allow as many connections as the system does: each is a file."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
