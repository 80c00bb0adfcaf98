/** Line drawings of 24 x 24, so that buttons are understood in every language. */

const ROUND = "M12 2.8a9.2 9.2 0 1 0 .01 0z";
const EYES = "M8.7 9.9v.5M15.3 9.9v.5";
const ARCHED_EYES = "M7.3 10.6c.7-1 2-1 2.7 0M14 10.6c.7-1 2-1 2.7 0";
const FLAT_EYES = "M7.4 10.2h2.6M14 10.2h2.6";
const LAUGHING_MOUTH = "M7.5 13.4h9c0 2.9-2 4.7-4.5 4.7s-4.5-1.8-4.5-4.7z";
const EYE = "M2.8 12c2.5-4 5.7-6 9.2-6s6.7 2 9.2 6c-2.5 4-5.7 6-9.2 6s-6.7-2-9.2-6z";

const DRAWINGS = {
  neutral: [ROUND, EYES, "M9 15.2h6"],
  smile: [ROUND, EYES, "M8 14.3c1.1 1.6 2.5 2.4 4 2.4s2.9-.8 4-2.4"],
  happy: [ROUND, ARCHED_EYES, LAUGHING_MOUTH],
  surprised: [ROUND, EYES, "M7.2 7.4c.7-.8 1.9-.8 2.6 0M14.2 7.4c.7-.8 1.9-.8 2.6 0", "M12 13.6a1.9 2.3 0 1 0 .01 0z"],
  sad: [ROUND, EYES, "M6.9 8.5l2.7-1.3M17.1 8.5l-2.7-1.3", "M8.6 16.9c.9-1.4 2.1-2 3.4-2s2.5.6 3.4 2"],
  angry: [ROUND, EYES, "M6.9 7.3l2.9 1.4M17.1 7.3l-2.9 1.4", "M9 16.5c.8-.9 1.8-1.3 3-1.3s2.2.4 3 1.3"],
  afraid: [ROUND, EYES, "M7 8.2l2.6-1.4M17 8.2l-2.6-1.4", "M7.8 16c1-1.2 1.9-1.2 2.8 0s1.9 1.2 2.8 0 1.9-1.2 2.8 0"],
  disgusted: [ROUND, FLAT_EYES, "M8.3 16.4c1.1-1.4 2.2-1.7 3.3-1.1s2.4.8 4.1-.9"],
  contempt: [ROUND, FLAT_EYES, "M9 15.7h3c1.5 0 2.6-.6 3.4-1.8"],
  serious: [ROUND, EYES, "M7 7.7h2.9M14.1 7.7H17", "M9 15.5h6"],
  eyes_closed: [ROUND, "M7.2 9.9c.7 1 2.1 1 2.8 0M14 9.9c.7 1 2.1 1 2.8 0", "M9.5 15.2c.8.7 1.6 1 2.5 1s1.7-.3 2.5-1"],
  laugh: [ROUND, "M7.3 8.8l2.4 1.3-2.4 1.3M16.7 8.8l-2.4 1.3 2.4 1.3", LAUGHING_MOUTH],
  wink: [ROUND, "M8.7 9.9v.5M14 10.2h2.7", "M8 14.3c1.1 1.6 2.5 2.4 4 2.4s2.9-.8 4-2.4"],
  raise_brows: [ROUND, "M8.7 11v.4M15.3 11v.4M6.9 8.3c.9-1.3 2.3-1.3 3.1 0M14 8.3c.8-1.3 2.2-1.3 3.1 0", "M9 15.8h6"],
  nod: ["M12 3.5v17M8 7.5l4-4 4 4M8 16.5l4 4 4-4"],
  shake: ["M3.5 12h17M7.5 8l-4 4 4 4M16.5 8l4 4-4 4"],
  tilt: ["M4.5 14.5a8 8 0 1 1 3 4.6M4.2 9.8v4.8H9"],
  bow: ["M12 3.5V16M7 11l5 5 5-5M5.5 20.5h13"],
  greet: ["M4 5h16v11h-8l-4.5 4v-4H4z", "M9 9.5v1M15 9.5v1"],
  look_around: [EYE, "M12 9.5a2.5 2.5 0 1 0 .01 0z"],
  glance_left: [EYE, "M7.8 9.7a2.3 2.3 0 1 0 .01 0z"],
  glance_right: [EYE, "M16.2 9.7a2.3 2.3 0 1 0 .01 0z"],
  think: ["M12 3.2c5 0 8.8 2.7 8.8 6.5s-3.8 6.5-8.8 6.5-8.8-2.7-8.8-6.5S7 3.2 12 3.2zM7 19.5v.3", "M8.3 9.7v.1M12 9.7v.1M15.7 9.7v.1"],
  lean_in: ["M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5", "M12 9.5v5M9.5 12h5"],
  blink: ["M2.8 10c2.5 4 5.7 6 9.2 6s6.7-2 9.2-6M6.3 14.8l-1.5 2.4M12 16v3M17.7 14.8l1.5 2.4"],
  reset: ["M4.5 12a7.5 7.5 0 1 0 2.4-5.5M4.3 4.5v3.8h3.9"],
  mute: ["M9 6a3 3 0 0 1 6 0v5.5M9 9.5v2a3 3 0 0 0 4.5 2.6M5.5 11.5a6.5 6.5 0 0 0 10.4 5.2M18.5 11.5c0 1-.2 1.9-.6 2.7M12 18v3M4 3.5l16 17"],
  microphone: ["M9 6a3 3 0 0 1 6 0v5.5a3 3 0 0 1-6 0zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3"],
  freeze: ["M9 5v14M15 5v14"],
  standby: ["M4 4.5h16v15H4z", "M12 8a2.2 2.2 0 1 0 .01 0zM7.5 17c.6-2.5 2.2-3.8 4.5-3.8s3.9 1.3 4.5 3.8"],
  camera: ["M3.5 7h11v10h-11zM14.5 11l6-3.5v9l-6-3.5"],
  product_left: ["M20 12H5M10 7l-5 5 5 5"],
  product_right: ["M4 12h15M14 7l5 5-5 5"],
  product_below: ["M12 4v15M7 14l5 5 5-5"],
  chat: ["M4 5h16v11h-8l-4.5 4v-4H4z", "M8 9h8M8 12h5"],
  target: ["M12 4a8 8 0 1 0 .01 0z", "M12 9.5a2.5 2.5 0 1 0 .01 0z"],
  up: ["M12 19V6M6.5 11.5L12 6l5.5 5.5"],
  down: ["M12 5v13M6.5 12.5L12 18l5.5-5.5"],
  remove: ["M6.5 6.5l11 11M17.5 6.5l-11 11"],
  add: ["M12 5v14M5 12h14"],
};

/** A drawing by name, null when there is none. */
export function icon(name) {
  if (!DRAWINGS[name]) return null;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const line of DRAWINGS[name]) {
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", line);
    svg.append(path);
  }
  return svg;
}
