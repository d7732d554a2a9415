"""A dashboard and a Chromium, started for as long as they are needed."""

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")

_ROOT = Path(__file__).parents[2]
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A camera that shows a test picture, and nobody who has to allow it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
_PATIENCE_S = 120  # on a busy machine

# Streamlit 1.67 closes the connection of a visitor who left while connecting once too often.
_LEFT_WHILE_CONNECTING = re.compile(
    r"Exception in ASGI application\n(?:(?!Exception in ASGI application).)*?"
    r'WebSocketDisconnected: Cannot call "send"[^\n]*\n',
    re.DOTALL,
)


def find_chromium() -> str | None:
    """The path of the system's Chromium or Chrome, if it has one."""
    return next(filter(None, map(shutil.which, CHROMIUMS)), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Runs a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def dashboard(log: Path, *settings: str) -> Iterator[str]:
    """Runs the dashboard on a free port of this machine.

    Args:
        log: Where its output goes.
        settings: Of the dashboard itself, such as `--models DIR`.

    Yields:
        Its address.

    Raises:
        RuntimeError: If it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py"]
    options = ["--server.headless", "true", "--server.port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options, "--", *settings],
            cwd=_ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://localhost:{port}"
        _wait_for(f"{address}/_stcore/health", process, log)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def read_complaints(log: Path) -> str:
    """What a dashboard wrote if there is a stack trace in it that is not Streamlit's own business.

    Returns:
        Nothing, if all is well.
    """
    written = _LEFT_WHILE_CONNECTING.sub("", log.read_text())
    return written if "Traceback" in written else ""


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"the dashboard did not start:\n{log.read_text()}")
