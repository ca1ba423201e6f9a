"""What the listener serves: a sealed server until people have opened it, the whole one from then on."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from sluicegate.app import App, RootKey, build, sealed_gate
from sluicegate.base.errors import SluiceError, Unavailable
from sluicegate.base.log import Log
from sluicegate.base.settings import Settings
from sluicegate.web import sealed
from sluicegate.web.server import build as build_asgi

if TYPE_CHECKING:
    from sluicegate.guard.sealed import Gate

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between tries when the service that seals does not answer."""


class Front:
    """One ASGI app for the listener, whatever stands behind it."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is open before ``open``."""
        self._settings = settings
        self._inner: Callable[..., Awaitable[None]] | None = None
        self._gate: Gate | None = None
        self.app: App | None = None
        self.on_open: Callable[[App], None] = lambda _app: None
        """Told when people have opened it."""
        self.on_close: Callable[[], None] = lambda: None
        """Stops the listener; what starts it anew finds it sealed."""
        self.again = False
        """Whether it is to start anew."""
        self.fault: SluiceError | None = None
        """Why it cannot go on."""

    def open(self) -> None:
        """Open what opens by itself, and wait for people else. Raises what keeps an installation from starting."""
        self._gate = sealed_gate(self._settings, self._opened)
        if self._gate is not None:
            self._inner = sealed.build(self._gate, self._settings)
            return
        for pause in PAUSES:
            try:
                self._enter(None)
            except Unavailable as fault:  # the service that seals, or the store
                Log()(f"It is tried again in {pause:.0f} s: {fault}", level="warning", code=fault.code)
                time.sleep(pause)
            else:
                return
        self._enter(None)

    def close(self) -> None:
        """Close what is open."""
        if self.app is not None:
            self.app.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        if self._inner is None:
            raise Unavailable("Nothing is open yet.")
        await self._inner(scope, receive, send)

    def _opened(self, root: RootKey) -> None:
        self._enter(root)
        if self.app is not None and self._gate is not None:
            self._gate.report(self.app.services.audit)
            gc.collect()
            gc.freeze()
            self.on_open(self.app)

    def _enter(self, root: RootKey | None) -> None:
        app = build(self._settings, root)
        try:
            app.open()
        except BaseException:
            app.close()
            raise
        app.services.sealing.on_close, app.services.sealing.on_lost = self._again, self._lost
        self.app, self._inner = app, build_asgi(app)

    def _lost(self, fault: SluiceError) -> None:
        self.fault = fault
        self.on_close()

    def _again(self) -> None:
        self.again = True
        self.on_close()
