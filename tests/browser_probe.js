/** Runs inside the page under test: keeps every frame that is shown and every sample that is heard, with their times. */
(() => {
  const worklet = `registerProcessor("ear", class extends AudioWorkletProcessor {
    constructor() { super(); this.block = new Float32Array(1920); this.filled = 0; this.time_s = 0; }
    process([input]) {
      if (!this.filled) this.time_s = currentTime;
      if (input.length) this.block.set(input[0], this.filled);
      else this.block.fill(0, this.filled, this.filled + 128);
      this.filled += 128;
      if (this.filled === this.block.length) {
        this.port.postMessage({ time_s: this.time_s, samples: this.block.slice() });
        this.filled = 0;
      }
      return true;
    }
  });`;
  const frames = [], sounds = [], commands = [], clocks = [];
  let context = null;
  let stopped = false;

  async function listen(stream) {
    context = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
    const ear = new AudioWorkletNode(context, "ear", { numberOfOutputs: 1 });
    ear.port.onmessage = ({ data }) => sounds.push(data);
    const silent = new GainNode(context, { gain: 0 });
    context.createMediaStreamSource(stream).connect(ear).connect(silent).connect(context.destination);
  }

  function watch(video) {
    const canvas = new OffscreenCanvas(256, 256);
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const see = (now, shown) => {
      pen.drawImage(video, 0, 0, 256, 256);
      const frame = { time_ms: shown.expectedDisplayTime, rtp: shown.rtpTimestamp, presented: shown.presentedFrames };
      frames.push(frame);
      frame.blob = canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
      if (!stopped) video.requestVideoFrameCallback(see);
    };
    video.requestVideoFrameCallback(see);
  }

  async function base64(blob) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }

  window.flapProbe = {
    async start() {
      const video = document.getElementById("avatar");
      await listen(video.srcObject);
      watch(video);
      setInterval(() => clocks.push([context.currentTime, performance.now()]), 100);
      return performance.now();
    },
    send(type, fields) {
      const time_ms = performance.now();
      commands.push({ id: window.flapClient.send(type, fields), type, time_ms });
      return time_ms;
    },
    stop() {
      stopped = true;
      return context.suspend();
    },
    async frames(first, count) {
      const chosen = frames.slice(first, first + count);
      return Promise.all(chosen.map(async (f) => ({ time_ms: f.time_ms, rtp: f.rtp, presented: f.presented, jpeg: await base64(await f.blob) })));
    },
    async sound(first, count) {
      const chosen = sounds.slice(first, first + count);
      return Promise.all(chosen.map(async ({ time_s, samples }) => {
        const s16 = Int16Array.from(samples, (x) => Math.max(-1, Math.min(1, x)) * 32767);
        return { time_s, pcm: await base64(new Blob([s16])) };
      }));
    },
    clocks: () => clocks,
    /** Milliseconds by which the browser plays pictures after their sound, by its own account of both. */
    async unsynchronised() {
      const at_ms = {};
      (await window.flapClient.statistics()).forEach((report) => {
        if (report.type === "inbound-rtp") at_ms[report.kind] = report.estimatedPlayoutTimestamp;
      });
      return Math.max(0, at_ms.audio - at_ms.video) || 0;
    },
  };
})();
