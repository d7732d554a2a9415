// The clip itself: a <video> that plays from memory and tells which of its frames is on the screen.

const AFTER_S = 0.002; // so that a time which was rounded still lies within its frame

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
  let fps = 30;
  let shown = 0; // media time of the frame on the screen, seconds
  let waiting = 0;
  const followsFrames = "requestVideoFrameCallback" in video;

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
    onFrame(time);
  }

  // A browser may show the frame of a seek without calling back.
  const onSeeked = () => {
    if (video.paused && Math.abs(shown - video.currentTime) > 1.5 / fps) arrive(video.currentTime);
  };
  const onLoaded = () => arrive(video.currentTime);
  const onError = () => {
    if (url) onFailure(video.error?.message || "this browser does not play its format");
  };
  const listeners = [
    ["seeked", onSeeked],
    ["loadeddata", onLoaded],
    ["error", onError],
    ["play", onState],
    ["pause", onState],
  ];
  for (const [name, listener] of listeners) video.addEventListener(name, listener);
  follow();

  function seek(time) {
    video.currentTime = Math.min(Math.max(time, 0) + AFTER_S, Math.max(0, video.duration - AFTER_S || 0));
  }

  return {
    open(bytes, type, framesPerSecond, at) {
      if (url) URL.revokeObjectURL(url);
      fps = framesPerSecond;
      url = URL.createObjectURL(new Blob([bytes], { type }));
      video.src = url;
      shown = at;
      return new Promise((resolve) => {
        // Not before its first frame is there: what was drawn without would stay on the screen.
        video.addEventListener("loadeddata", resolve, { once: true });
      }).then(() => {
        // A canvas takes these as the picture's size; rotation is in them.
        video.width = video.videoWidth;
        video.height = video.videoHeight;
        if (at) seek(at);
      });
    },
    seek,
    // One frame on, or back, to its middle.
    stepFrame(by) {
      video.pause();
      const frame = Math.floor(shown * fps + 0.01) + by;
      shown = Math.max(0, (frame + 0.5) / fps); // the next press may come before the frame does
      seek(shown);
    },
    // A refusal needs no answer: the button still says “Play”.
    toggle: () => (video.paused ? video.play().catch(() => {}) : video.pause()),
    pause: () => video.pause(),
    setSpeed: (rate) => (video.playbackRate = rate),
    setSound: (on) => (video.muted = !on),
    get isPlaying() {
      return !video.paused;
    },
    get duration() {
      return video.duration || 0;
    },
    get now() {
      return shown;
    },
    destroy() {
      for (const [name, listener] of listeners) video.removeEventListener(name, listener);
      if (followsFrames) video.cancelVideoFrameCallback(waiting);
      else cancelAnimationFrame(waiting);
      video.pause();
      if (url) URL.revokeObjectURL(url);
      url = "";
      video.removeAttribute("src");
      video.load();
    },
  };
}
