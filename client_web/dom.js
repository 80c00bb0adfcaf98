/** Makes elements. An attribute that is a function listens to the event of its name (`click`), `true` stands alone. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** An element that shows a word of strings.js, in whatever language is chosen. */
export function worded(tag, key, attributes = {}) {
  return element(tag, { "data-word": key, ...attributes });
}

/**
 * Gives `root` other children; the keyboard stays on the button that it was on, or on the one in its place: lost, its next Enter would be
 * the desk's.
 */
export function refill(root, ...made) {
  const before = root.querySelector("button:focus-visible");
  const place = [...root.querySelectorAll("button")].indexOf(before);
  root.replaceChildren(...made);
  if (place < 0) return;
  const now = [...root.querySelectorAll("button")];
  const same = now.find((button) => button === before || (before.dataset.control && button.dataset.control === before.dataset.control));
  (same ?? now[Math.min(place, now.length - 1)] ?? root.closest(".panel-card")?.querySelector("button"))?.focus();
}

/** Calls `act` with the newest arguments, at once and then at most every `everyMs`; `forget()` drops what waits. */
export function throttled(act, everyMs) {
  let waiting = null;
  let timer = null;
  const pass = () => {
    timer = waiting ? setTimeout(pass, everyMs) : null;
    if (waiting) act(...waiting);
    waiting = null;
  };
  const calm = (...given) => {
    waiting = given;
    if (timer === null) pass();
  };
  calm.forget = () => { waiting = null; };
  return calm;
}
