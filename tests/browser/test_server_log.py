"""Which of a dashboard's stack traces the browser tests take for a fault of the project."""

from pathlib import Path

from tests.browser.running import read_complaints

LEFT = """\
Exception in ASGI application
Traceback (most recent call last):
  File "starlette/websockets.py", line 131, in receive_bytes
starlette.websockets.WebSocketDisconnected: WebSocket is not connected.

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "starlette/websockets.py", line 104, in send
starlette.websockets.WebSocketDisconnected: Cannot call "send" once a close message has been sent.
"""
OURS = """\
Exception in ASGI application
Traceback (most recent call last):
  File "app/main.py", line 3, in <module>
KeyError: 'photo'
"""


def test_visitors_who_leave_while_connecting_are_no_fault(tmp_path: Path):
    log = tmp_path / "log.txt"
    log.write_text(f"Uvicorn server started\n{LEFT}{LEFT}  Stopping...\n")
    assert read_complaints(log) == ""


def test_every_other_stack_trace_is_one(tmp_path: Path):
    log = tmp_path / "log.txt"
    for written in (LEFT + OURS, OURS + LEFT, LEFT + OURS + LEFT):
        log.write_text(written)
        assert "KeyError: 'photo'" in read_complaints(log)
