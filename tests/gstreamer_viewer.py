"""Watches by WHEP with GStreamer's webrtcbin: `/usr/bin/python3 tests/gstreamer_viewer.py URL SECONDS CODEC`.

Prints how many pictures and pieces of sound it has decoded, as JSON. It runs in Debian's own Python, which has GStreamer.
"""

import json
import sys
import urllib.request
from collections import Counter

import gi

for name in ("Gst", "GstWebRTC", "GstSdp"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

CAPS = {
    "H264": "application/x-rtp,media=video,encoding-name=H264,payload=97,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f",
    "VP8": "application/x-rtp,media=video,encoding-name=VP8,payload=97,clock-rate=90000",
    "OPUS": "application/x-rtp,media=audio,encoding-name=OPUS,payload=96,clock-rate=48000,encoding-params=(string)2",
}


class Viewer:
    def __init__(self, url: str, codec: str):
        self.url, self.decoded = url, Counter()
        self.pipeline, self.webrtc = Gst.Pipeline.new(), Gst.ElementFactory.make("webrtcbin")
        self.webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.webrtc)
        for name in (codec, "OPUS"):
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.webrtc.emit("add-transceiver", direction, Gst.Caps.from_string(CAPS[name]))
        self.webrtc.connect("pad-added", self._stream_came)
        self.webrtc.connect("notify::ice-gathering-state", self._gathered)

    def start(self) -> None:
        self.pipeline.set_state(Gst.State.PLAYING)
        self.webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offer_made, None, None))

    def _offer_made(self, promise, *_) -> None:
        promise.wait()
        self._reply = promise.get_reply()  # owns the offer
        self._offer = self._reply.get_value("offer")
        self.webrtc.emit("set-local-description", self._offer, Gst.Promise.new())

    def _gathered(self, *_) -> None:
        if self.webrtc.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        offer = self.webrtc.get_property("local-description").sdp.as_text()
        request = urllib.request.Request(self.url, offer.encode(), {"Content-Type": "application/sdp"})
        with urllib.request.urlopen(request, timeout=10) as response:
            _, sdp = GstSdp.SDPMessage.new_from_text(response.read().decode())
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.webrtc.emit("set-remote-description", answer, None)

    def _stream_came(self, _, pad) -> None:
        if pad.direction == Gst.PadDirection.SRC:
            decoder = Gst.ElementFactory.make("decodebin")
            decoder.connect("pad-added", self._decoder_is_there)
            self._add(decoder, pad)

    def _decoder_is_there(self, _, pad) -> None:
        kind = pad.get_current_caps().get_structure(0).get_name().split("/")[0]
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("signal-handoffs", True)
        sink.set_property("sync", False)
        sink.connect("handoff", lambda *_: self.decoded.update([kind]))
        self._add(sink, pad)

    def _add(self, element, pad) -> None:
        self.pipeline.add(element)
        element.sync_state_with_parent()
        pad.link(element.get_static_pad("sink"))


if __name__ == "__main__":
    Gst.init(None)
    viewer, loop = Viewer(sys.argv[1], sys.argv[3]), GLib.MainLoop()
    GLib.idle_add(lambda: viewer.start())
    GLib.timeout_add_seconds(int(sys.argv[2]), loop.quit)
    loop.run()
    viewer.pipeline.set_state(Gst.State.NULL)
    print(json.dumps(viewer.decoded))
