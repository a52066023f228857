"""What a session with Ray leaves as it was."""

import signal
from typing import Any

import pytest

from gradscape.landscape.cluster import session


@pytest.mark.parametrize("own", [True, False])
def test_a_programs_own_handler_of_sigterm_outlives_rays(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def rays(*_: Any) -> None:
        raise SystemExit(15)

    def programs(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session.ray, "init", lambda *_, **__: signal.signal(signal.SIGTERM, rays))
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    before = signal.signal(signal.SIGTERM, programs if own else signal.SIG_DFL)
    try:
        with session.ray_session("local", cores=1):
            assert signal.getsignal(signal.SIGTERM) is (programs if own else rays)
        assert signal.getsignal(signal.SIGTERM) is (programs if own else signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGTERM, before)
