"""The Explore page as a visitor uses it, and what its canvas should show."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import BrowserContext, FilePayload, Locator, expect

from tokenlearner.inference import Explanation
from tokenlearner.rendering import ViewSettings
from tokenlearner.rendering.overlay import paint

TIMEOUT_MS = 60_000  # patience for a busy machine; nothing here takes a second on an idle one
expect.set_options(timeout=TIMEOUT_MS)

_EDGE_PX = 4  # what is left out of comparisons at the photo's edge: outline and antialiasing
_VISIBLE = 8  # levels by which an overlay must change a pixel to count as painted there


class Explorer:
    """One visitor with a browser of their own."""

    def __init__(self, context: BrowserContext, server: str) -> None:
        self.context = context
        self.page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.complaints: list[str] = []
        self.messages_sent = 0
        self._server = server
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("websocket", lambda ws: ws.on("framesent", self._on_frame))

    def _on_console(self, message: Any) -> None:
        # Opened at a page's own path, Streamlit looks for its server below that path first.
        is_search = re.search(r"/(efficiency|clips)/_stcore/", message.location["url"])
        # It looks whether a file to save is there, which is gone where the page has moved on.
        is_gone = message.text.startswith("Client Error: Download Button source error") or (
            re.search(r"/media/\w+\.(csv|json)$", message.location["url"])
        )
        if message.type in ("error", "warning") and not is_search and not is_gone:
            self.complaints.append(message.text)

    def _on_frame(self, _: object) -> None:
        self.messages_sent += 1

    def open(self, query: str = "") -> None:
        """Goes to the page and waits for its first picture."""
        self.page.goto(f"{self._server}/{query}")
        expect(self.viewer).to_have_attribute("data-ready", "1", timeout=2 * TIMEOUT_MS)
        self.wait_until_idle()

    def open_efficiency(self, query: str = "") -> None:
        """Goes to the Efficiency page and waits until it is drawn."""
        self.page.goto(f"{self._server}/efficiency{query}")
        title = self.page.get_by_role("heading", name="Efficiency", exact=True)
        expect(title).to_be_visible(timeout=2 * TIMEOUT_MS)
        self.wait_until_idle()

    def open_clips(self, query: str = "") -> None:
        """Goes to the Clips page and waits for its first picture."""
        self.page.goto(f"{self._server}/clips{query}")
        expect(self.viewer).to_have_attribute("data-ready", "1", timeout=2 * TIMEOUT_MS)
        self.wait_until_idle()

    @property
    def viewer(self) -> Locator:
        """The attention viewer."""
        return self.page.locator(".viewer")

    @property
    def settings(self) -> ViewSettings:
        """What the viewer says it shows."""
        state = json.loads(self.viewer.get_attribute("data-state") or "{}")
        return ViewSettings(**{**state, "tokens": tuple(state["tokens"])})

    def wait_until_idle(self) -> None:
        """Waits until the server has sent all it has to send."""
        running = self.page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')
        expect(running).to_be_attached()

    def pick_sample(self, sample_id: str) -> None:
        """Clicks on a photo of the gallery."""
        self.page.locator(f'.photo[data-id="{sample_id}"]').click()

    def solo(self, token: int) -> None:
        """Clicks on a token of the strip; the pointer leaves it again, so nothing is a preview."""
        self.page.locator(f'.tile[data-token="{token + 1}"]').click()
        self.page.mouse.move(2, 2)

    def upload(self, name: str, content: bytes) -> None:
        """Gives a file to the drop zone, as dropping it does."""
        file = FilePayload(name=name, mimeType="image/jpeg", buffer=content)
        drop_zone = self.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
        self.wait_until_idle()  # every file gets a new drop zone, at the end of the run
        expect(drop_zone).to_have_count(1)
        drop_zone.set_input_files(file)

    def take_photo(self) -> None:
        """Presses the camera's button until it has taken a picture.

        Streamlit starts the camera again while its dialog settles, and ignores a press meanwhile.
        """
        button = self.page.get_by_role("button", name="Take Photo")

        def press() -> bool:
            button.click()
            try:
                expect(button).to_have_count(0, timeout=1_000)  # it offers to clear the picture now
            except AssertionError:
                return False
            return True

        assert any(press() for _ in range(30)), "the camera takes no picture"

    def photo_pixels(self) -> np.ndarray:
        """The pixels of the canvas where the photo is, uint8 RGB."""
        data_url = self.page.locator("canvas.picture").evaluate("canvas => canvas.toDataURL()")
        encoded = np.frombuffer(base64.b64decode(data_url.split(",")[1]), np.uint8)
        canvas = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
        assert canvas is not None
        layout = json.loads(self.viewer.get_attribute("data-layout") or "{}")
        x, y, width, height = (round(side) for side in layout["photo"])
        return canvas[y : y + height, x : x + width]

    def difference(self, explanation: Explanation, settings: ViewSettings | None = None) -> float:
        """Mean difference per channel, 0..255, of the canvas from the library's own painting.

        That of the whole picture or of the part that the overlay changes, whichever is larger.

        Args:
            explanation: What the page should show.
            settings: How; as the viewer says it does unless given.
        """
        shown = self.photo_pixels()
        height, width = shown.shape[:2]
        photo = explanation.image
        seen = explanation.geometry
        left, top, right, bottom = seen.scale((height, width)).box
        small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        wanted = paint(small, seen, explanation.maps, settings or self.settings)
        inside = (
            slice(round(top) + _EDGE_PX, round(bottom) - _EDGE_PX),
            slice(round(left) + _EDGE_PX, round(right) - _EDGE_PX),
        )
        off = np.abs(shown[inside].astype(int) - wanted[inside]).mean(axis=-1)
        overlay = np.abs(small[inside].astype(int) - wanted[inside]).max(axis=-1) > _VISIBLE
        return max(float(off.mean()), float(off[overlay].mean()) if overlay.any() else 0.0)

    def screenshot(self, path: Path) -> None:
        """Saves what is on the screen."""
        self.wait_until_idle()
        self.page.screenshot(path=path)
