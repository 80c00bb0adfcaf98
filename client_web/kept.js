/** What this browser keeps for the next visit; nothing where it lets pages keep nothing, as when all cookies are blocked. */

/** The text that is kept under a name, null when there is none. */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keeps a text under a name; null forgets it. */
export function keep(name, text) {
  try {
    if (text === null) localStorage.removeItem(name);
    else localStorage.setItem(name, text);
  } catch {
    // it is asked for again next time
  }
}
