/** Runs inside the page that is measured: sends commands, hears what becomes of them, and keeps a small grey copy of every picture. */
(() => {
  const SIDE = 64;
  const frames = [], acks = {};
  let socket = null;

  function watch(video) {
    const pen = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
    const see = (now, shown) => {
      pen.drawImage(video, 0, 0, SIDE, SIDE);
      const { data } = pen.getImageData(0, 0, SIDE, SIDE);
      const grey = new Uint8Array(SIDE * SIDE);
      for (let i = 0; i < grey.length; i += 1) grey[i] = (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3;
      frames.push({ time_ms: shown.expectedDisplayTime, rtp: shown.rtpTimestamp, grey });
      video.requestVideoFrameCallback(see);
    };
    video.requestVideoFrameCallback(see);
  }

  window.controlProbe = {
    async start() {
      const path = `/api/sessions/${window.flapClient.sessionId}/control?name=benchmark`;
      socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "ack") acks[message.id] = message.frame;
      };
      await new Promise((open, fail) => Object.assign(socket, { onopen: open, onerror: fail }));
      watch(document.getElementById("avatar"));
      return window.flapClient.sessionId;
    },
    send(id, type, fields) {
      socket.send(JSON.stringify({ type, id, ...fields }));
      return performance.now();
    },
    now: () => performance.now(),
    acks: () => acks,
    times: () => frames.map(({ time_ms, rtp }) => [time_ms, rtp]),
    pictures(first, count) {
      const bytes = frames.slice(first, first + count).map(({ grey }) => Array.from(grey, (x) => String.fromCharCode(x)).join(""));
      return btoa(bytes.join(""));
    },
  };
})();
