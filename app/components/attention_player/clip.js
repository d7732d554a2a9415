// The clip itself: a <video> that plays from memory and tells which of its frames is on the screen.

const AFTER_S = 0.002; // so that a time which was rounded still lies within its frame
const PICTURE_MS = 500; // from its data to its first picture; in a hidden tab there comes none
const NUDGE_MS = 2000; // how long a browser may wait for somebody to press Play before it loads

// The last of `starts` (ascending, the first is 0) that is not after `time`.
export function stepAt(starts, time) {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= time + AFTER_S / 2) low = middle;
    else high = middle - 1;
  }
  return low;
}

// `onFrame(time)` for every frame that comes to the screen, `onState()` when it starts or stops.
export function createClip(video, { onFrame, onState, onFailure }) {
  let url = "";
  let frames = [0]; // when each of its frames begins, seconds
  let shown = 0; // media time of the frame on the screen, seconds
  let awaited = null; // and of the one that a step goes to, until it is there
  let waiting = 0;
  let nudging = 0;
  const followsFrames = "requestVideoFrameCallback" in video;

  // Resolves once there is something to draw. A browser may say that it has the data of the first
  // frame a moment before a canvas gets it; what was drawn by then would stay on the screen.
  function firstPicture() {
    const loaded = new Promise((resolve) => {
      video.addEventListener("loadeddata", resolve, { once: true });
    });
    if (!followsFrames) return loaded;
    const late = loaded.then(() => new Promise((resolve) => setTimeout(resolve, PICTURE_MS)));
    return Promise.race([new Promise((resolve) => video.requestVideoFrameCallback(resolve)), late]);
  }

  function follow() {
    if (followsFrames) {
      waiting = video.requestVideoFrameCallback((_, { mediaTime }) => {
        arrive(mediaTime);
        follow();
      });
    } else {
      waiting = requestAnimationFrame(() => {
        if (!video.paused) arrive(video.currentTime);
        follow();
      });
    }
  }

  function arrive(time) {
    shown = time;
    if (!video.paused || stepAt(frames, time) === stepAt(frames, awaited ?? time)) awaited = null;
    onFrame(time);
  }

  // A browser may show the frame of a seek without calling back.
  const onSeeked = () => {
    const at = stepAt(frames, video.currentTime);
    if (video.paused && stepAt(frames, shown) !== at) arrive(frames[at]);
  };
  const onLoaded = () => {
    clearTimeout(nudging); // while it seeks, a clip looks as if it had not loaded
    arrive(video.currentTime);
  };
  const onError = () => {
    if (url) onFailure(video.error?.message || "this browser does not play its format");
  };
  const listeners = [
    ["seeked", onSeeked],
    ["loadeddata", onLoaded],
    ["error", onError],
    ["play", onState],
    ["pause", onState],
    ["emptied", onState], // another clip stops this one without a word
  ];
  for (const [name, listener] of listeners) video.addEventListener(name, listener);
  follow();

  // Browsers that save power, those of phones, load no picture of a clip that never played.
  function nudge() {
    clearTimeout(nudging);
    nudging = setTimeout(() => {
      if (!url || video.readyState >= 2) return;
      video.play().then(() => {
        video.pause();
        video.currentTime = 0;
      }, () => {});
    }, NUDGE_MS);
  }

  function seek(time) {
    awaited = null;
    video.currentTime = Math.min(Math.max(time, 0) + AFTER_S, Math.max(0, video.duration - AFTER_S || 0));
  }

  return {
    open(bytes, type, frameTimes) {
      if (url) URL.revokeObjectURL(url);
      frames = frameTimes;
      url = URL.createObjectURL(new Blob([bytes], { type }));
      video.preload = "auto";
      video.src = url;
      video.load();
      shown = 0;
      awaited = null;
      nudge();
      return firstPicture().then(() => {
        // A canvas takes these as the picture's size; rotation is in them.
        video.width = video.videoWidth;
        video.height = video.videoHeight;
      });
    },
    seek,
    // One frame on, or back, to its middle.
    stepFrame(by) {
      video.pause();
      // The next press may come before the frame does.
      const at = Math.min(Math.max(stepAt(frames, awaited ?? shown) + by, 0), frames.length - 1);
      const middle = (frames[at] + (frames[at + 1] ?? frames[at])) / 2;
      seek(middle);
      awaited = middle;
    },
    // A refusal needs no answer: the button still says “Play”.
    toggle: () => (video.paused ? video.play().catch(() => {}) : video.pause()),
    pause: () => video.pause(),
    // The default, too: a new clip starts with it.
    setSpeed: (rate) => (video.defaultPlaybackRate = video.playbackRate = rate),
    setSound: (on) => (video.muted = !on),
    get isPlaying() {
      return !video.paused;
    },
    get now() {
      return shown;
    },
    destroy() {
      for (const [name, listener] of listeners) video.removeEventListener(name, listener);
      if (followsFrames) video.cancelVideoFrameCallback(waiting);
      else cancelAnimationFrame(waiting);
      clearTimeout(nudging);
      video.pause();
      if (url) URL.revokeObjectURL(url);
      url = "";
      video.removeAttribute("src");
      video.load();
    },
  };
}
