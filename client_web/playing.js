const waiting = new Set(); // videos that the browser does not play yet

/** Plays a video; where the browser refuses that until the page is touched, as soon as it is. */
export async function play(video) {
  try {
    await video.play();
  } catch (error) {
    if (error.name === "NotAllowedError") waiting.add(video);
  }
}

// a finger that goes down is no touch to browsers, one that is lifted is
for (const touch of ["pointerup", "touchend"]) {
  addEventListener(touch, () => {
    const videos = [...waiting];
    waiting.clear();
    videos.forEach(play);
  });
}
