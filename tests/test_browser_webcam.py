"""A webcam drives the avatar from the operator's page: only numbers leave it, and what is lost goes back to speech.

MediaPipe's place is taken by a module that finds what the test says. The last test runs the real one where it is installed
(`make install-webcam`).
"""

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.browser import CHROMIUM_FLAGS, chromium_path
from flap.face_landmarks import FaceLandmarker
from realtime.web import webcam_files
from tests.browser_probe import needs_chromium
from tests.fakes import face_column
from tests.operator_page import fresh_page, picture, scripted_desk
from tests.photographs import photograph

pytestmark = [pytest.mark.timeout(240), needs_chromium]
FAKE_MODULE = """
export class FaceLandmarker {
  static async createFromOptions(wasm, options) { window.landmarkerOptions = options; return new FaceLandmarker(); }
  detectForVideo() { return window.fakeFace ?? { faceBlendshapes: [], facialTransformationMatrixes: [] }; }
}
"""
SEES = "(face) => { window.fakeFace = face; }"
CAMERA_SIZE = (640, 480)


def face(yaw_deg: float, place_cm: tuple[float, float, float] = (0, 0, -40), **shapes: float) -> dict[str, Any]:
    """What MediaPipe finds: a head turned to its left, so far to the right, above and in front of the camera."""
    sine, cosine = math.sin(math.radians(yaw_deg)), math.cos(math.radians(yaw_deg))
    x, y, z = place_cm
    rotation = np.array([[cosine, 0, sine, x], [0, 1, 0, y], [-sine, 0, cosine, z], [0, 0, 0, 1]])
    found = [{"categoryName": name, "score": score} for name, score in {"_neutral": 0.9, **shapes}.items()]
    return {
        "faceBlendshapes": [{"categories": found}],
        "facialTransformationMatrixes": [{"data": rotation.T.ravel().tolist()}],
    }


def with_fake_tracker(page: Any) -> None:
    page.route("**/webcam/*", lambda route: route.fulfill(content_type="text/javascript", body=FAKE_MODULE))


def frames_of(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in sent if message["type"] == "drive.frame"]


def test_only_numbers_leave_the_page_and_a_lost_face_is_said(browser: Any, show: str) -> None:
    with scripted_desk(browser, show) as desk:
        with_fake_tracker(desk.page)
        desk.page.evaluate(SEES, face(20, jawOpen=0.5, mouthSmileLeft=0.004))
        desk.page.click("#webcam")
        desk.page.wait_for_selector("#webcam[aria-pressed=true]")
        desk.until_sent(lambda sent: frames_of(sent) != [])
        sent = desk.take_sent()
        assert {
            "type": "drive.mix",
            "source": "webcam",
            "groups": {"pose": 1, "brows": 1, "eyes": 1, "lids": 1},
        } in sent
        assert frames_of(sent)[-1] == {
            "type": "drive.frame", "source": "webcam", "shapes": {"jawOpen": 0.5}, "yaw_deg": 20, "pitch_deg": 0, "roll_deg": 0,
            "x": 0, "y": 0, "zoom": 1.25,
        }  # fmt: skip
        desk.page.evaluate(SEES, None)
        lost = {"type": "drive.frame", "source": "webcam", "tracked": False}
        desk.until_sent(lambda sent: sent[-1:] != [] and lost.items() <= sent[-1].items())
        desk.page.click("#webcam")
        desk.page.wait_for_selector(".webcam", state="hidden")
        desk.take_sent()
        desk.page.wait_for_timeout(300)
        assert desk.take_sent() == [], "the camera is off"


def test_the_page_may_talk_to_its_own_server_only(browser: Any, show: str) -> None:
    with scripted_desk(browser, show) as desk:
        blocked = "() => fetch('https://example.com/log', { method: 'POST' }).then(() => 'sent', () => 'blocked')"
        assert desk.page.evaluate(blocked) == "blocked"
        for directive in desk.page.evaluate(
            "document.querySelector('[http-equiv=Content-Security-Policy]').content.split(';')"
        ):
            assert directive.split() == ["connect-src", "'self'", "data:", "blob:"]


def test_a_tracker_that_is_not_installed_and_a_webcam_of_somebody_else_are_said(browser: Any, show: str) -> None:
    with scripted_desk(browser, show) as desk:
        desk.page.route("**/webcam/*", lambda route: route.fulfill(status=404, json={}))
        desk.page.click("#webcam")
        desk.page.wait_for_function("document.getElementById('notice').textContent.includes('make install-webcam')")
        desk.page.wait_for_selector("#webcam[aria-pressed=false]")
        desk.page.unroute("**/webcam/*")
        with_fake_tracker(desk.page)
        desk.page.click("#webcam")
        desk.page.wait_for_selector("#webcam[aria-pressed=true]")
        desk.until_sent(lambda sent: frames_of(sent) != [])
        desk.page.evaluate("window.fakeFace = undefined")
        desk.take_sent()
        refusal = "somebody else drives with webcam: let them stop first"
        desk.say({"type": "error", "id": desk.last_id, "code": "conflict", "message": refusal})
        desk.page.wait_for_selector("#webcam[aria-pressed=false]")
        assert refusal in desk.page.inner_text("#notice")


def test_frames_that_come_too_many_at_once_after_a_break_of_the_network_are_only_lost(browser: Any, show: str) -> None:
    with scripted_desk(browser, show) as desk:
        with_fake_tracker(desk.page)
        desk.page.click("#webcam")
        desk.page.wait_for_selector("#webcam[aria-pressed=true]")
        desk.page.evaluate(SEES, face(20))
        desk.until_sent(lambda sent: frames_of(sent) != [])
        desk.page.evaluate("window.fakeFace = undefined")
        desk.take_sent()
        refusal = "more than 66 messages a second: send fewer"
        desk.say({"type": "error", "id": desk.last_id, "code": "too_many", "message": refusal})
        desk.state(muted=True)
        desk.page.wait_for_selector("#mute[aria-pressed=true]")
        assert desk.page.is_visible("#webcam[aria-pressed=true]")
        assert refusal not in desk.page.inner_text("#notice")


def test_the_avatars_head_follows_the_webcam_and_goes_back_when_the_face_is_lost(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        with_fake_tracker(page)
        page.goto(f"{show}/operator?lang=en")
        page.wait_for_selector("body[data-state=live]")
        page.wait_for_function("document.getElementById('avatar').videoWidth > 0")
        page.evaluate(SEES, face(0))
        page.click("#webcam")
        page.wait_for_selector("[data-source=webcam] .lamp.on")
        page.click("#calibrate-webcam")
        page.wait_for_function("document.querySelector('[data-source=webcam]').innerText.includes('follows the face')")
        page.evaluate(SEES, face(20))
        assert until(page, lambda column: abs(column - 128 - 20 * 1.5) < 6)
        page.evaluate(SEES, face(0, (3.1, 0, -40)))
        assert until(page, lambda column: abs(column - 128 - 25.6) < 4), "a tenth of the picture to the right"
        page.evaluate(SEES, None)
        page.wait_for_selector("[data-source=webcam] .lamp:not(.on)")
        assert until(page, lambda column: abs(column - 128) < 6)


def until(page: Any, holds: Any, within_ms: int = 20_000) -> bool:
    """Whether the face in the video stands where `holds` says before the time is over."""
    for _ in range(within_ms // 100):
        if holds(face_column(picture(page))):
            return True
        page.wait_for_timeout(100)
    return False


def write_camera(path: Path, rgb: np.ndarray) -> np.ndarray:
    """A camera's film of one picture for Chromium (Y4M); the picture `[480, 640, 3]` as it is filmed."""
    width, height = CAMERA_SIZE
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left = (width - small.shape[1]) // 2
    top = (height - small.shape[0]) // 2
    canvas = np.full((height, width, 3), 90, np.uint8)
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    frame = b"FRAME\n" + cv2.cvtColor(canvas, cv2.COLOR_RGB2YUV_I420).tobytes()
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode() + 25 * frame)
    return canvas


@pytest.mark.slow
@pytest.mark.skipif(webcam_files.find("vision_bundle.mjs") is None, reason="not installed: make install-webcam")
def test_mediapipe_in_the_page_sees_what_it_sees_in_python(browser: Any, show: str, tmp_path: Path) -> None:
    matrix = cv2.getRotationMatrix2D((256, 256), 12, 1.0)
    tilted = cv2.warpAffine(photograph(), matrix, photograph().shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    filmed = write_camera(tmp_path / "camera.y4m", np.asarray(tilted, np.uint8))
    with FaceLandmarker() as landmarker:
        (expected,) = landmarker.find(filmed)
    flags = [*CHROMIUM_FLAGS, f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}"]
    filming = browser.browser_type.launch(executable_path=chromium_path(), args=flags)
    asked: list[str] = []
    with scripted_desk(filming, show) as desk:
        desk.page.on("request", lambda request: asked.append(request.url))
        desk.page.click("#webcam")
        desk.page.wait_for_selector("#webcam[aria-pressed=true]", timeout=60_000)
        for _ in range(60):
            desk.page.wait_for_timeout(500)
            if len(frames_of(desk.sent)) > 10:
                break
        seen = frames_of(desk.take_sent())[-1]
    filming.close()
    r = expected.rotation
    angles = {
        "yaw_deg": math.atan2(r[0, 2], r[2, 2]), "pitch_deg": math.asin(-r[1, 2]), "roll_deg": math.atan2(r[1, 0], r[1, 1]),
    }  # fmt: skip
    print(json.dumps({"page": seen, "python": {name: math.degrees(angle) for name, angle in angles.items()}}))
    for name, angle in angles.items():
        assert seen[name] == pytest.approx(math.degrees(angle), abs=2.5)
    for name, weight in expected.blendshapes.items():
        assert seen["shapes"].get(name, 0.0) == pytest.approx(weight, abs=0.15)
    assert [url for url in asked if not url.startswith((show, "blob:", "data:"))] == []


SLOW_DEVICES = """
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.opened = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await new Promise((resolve) => { window.allow = resolve; });
    const stream = await open(wanted);
    window.opened.push(...stream.getTracks());
    return stream;
  };
"""


def test_a_camera_that_opens_after_it_was_stopped_is_let_go(browser: Any, show: str) -> None:
    with scripted_desk(browser, show, before=SLOW_DEVICES) as desk:
        with_fake_tracker(desk.page)
        desk.page.click("#webcam")
        desk.page.wait_for_function("Boolean(window.allow)")
        desk.page.click("#webcam")
        desk.page.evaluate("window.allow()")
        desk.page.wait_for_function(
            "window.opened.length > 0 && window.opened.every((track) => track.readyState === 'ended')"
        )
        assert desk.page.get_attribute("#webcam", "aria-pressed") == "false"
        assert not desk.page.is_visible(".webcam")


KEEPS_TRACKS = """
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    [window.track] = stream.getVideoTracks();
    return stream;
  };
"""


def test_a_camera_that_is_unplugged_is_said_and_can_be_used_again(browser: Any, show: str) -> None:
    with scripted_desk(browser, show, before=KEEPS_TRACKS) as desk:
        with_fake_tracker(desk.page)
        desk.page.click("#webcam")
        desk.page.wait_for_selector("#webcam[aria-pressed=true]")
        desk.page.evaluate("track.dispatchEvent(new Event('ended'))")
        desk.page.wait_for_selector("#webcam[aria-pressed=false]")
        desk.page.wait_for_function("document.getElementById('webcam').textContent === 'Use the webcam'")
        assert "The webcam is gone" in desk.page.inner_text("#notice")
        assert not desk.page.is_visible(".webcam")
        desk.page.click("#webcam")
        desk.page.wait_for_selector("#webcam[aria-pressed=true]")


def test_the_webcam_drives_on_after_a_break_of_the_channel_and_is_let_go_when_the_show_is_over(
    browser: Any, show: str
) -> None:
    with scripted_desk(browser, show) as desk:
        page, broken = desk.page, desk.channel
        with_fake_tracker(page)
        page.evaluate(SEES, face(20))
        page.click("#webcam")
        desk.until_sent(lambda sent: frames_of(sent) != [])
        broken.close()
        page.wait_for_selector("#neutral:disabled")
        assert page.is_enabled("#webcam"), "one's own camera can always be let go"
        page.wait_for_selector("#neutral:enabled")
        desk.take_sent()
        assert page.get_attribute("#webcam", "aria-pressed") == "true"
        desk.until_sent(lambda sent: frames_of(sent) != [])
        assert desk.channel is not broken
        desk.say({"type": "ended", "reason": "deleted"})
        page.wait_for_selector("#webcam[aria-pressed=false]")
        assert page.is_disabled("#webcam") and not page.is_visible(".webcam")


def test_the_webcam_is_let_go_when_another_session_is_gone_to(browser: Any, show: str) -> None:
    with scripted_desk(browser, show) as desk:
        with_fake_tracker(desk.page)
        desk.page.click("#webcam")
        desk.page.wait_for_selector("#webcam[aria-pressed=true]")
        desk.page.evaluate("flapClient.choose('another')")
        desk.page.wait_for_selector("#webcam[aria-pressed=false]")
