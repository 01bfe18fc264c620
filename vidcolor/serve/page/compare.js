// Before and after in one picture, divided by a slider; for stills, and for two films in step.

import { button, el } from "./dom.js";
import { clock } from "./words.js";

const DRIFT = 0.02; // seconds that the two films may be apart while they play
const JUMP = 0.5; // from here on the one behind is set anew, not sped up

export class Compare {
  constructor() {
    this.before = el("div", { class: "layer before" });
    this.after = el("div", { class: "layer after" });
    this.slider = el("input", {
      type: "range",
      class: "divider",
      min: 0,
      max: 100,
      step: 1,
      value: 50,
      "aria-label": "Share of the picture that is shown in color",
      on: { input: () => this.divide() },
    });
    this.sides = [
      el("span", { class: "side left", text: "Before", "aria-hidden": "true" }),
      el("span", { class: "side right", text: "After", "aria-hidden": "true" }),
    ];
    this.stage = el(
      "div",
      { class: "stage" },
      this.after,
      this.before,
      ...this.sides,
      this.slider,
      el("span", { class: "handle", "aria-hidden": "true" }),
    );
    this.controls = el("div", { class: "controls" });
    this.element = el("div", { class: "compare" }, this.stage, this.controls);
    this.divide();
  }

  divide() {
    const { value } = this.slider;
    this.stage.style.setProperty("--at", `${value}%`);
    this.sides[0].hidden = value < 15;
    this.sides[1].hidden = value > 85;
    this.slider.setAttribute("aria-valuetext", `${100 - value} % in color`);
  }

  shape(width, height) {
    if (width && height) this.stage.style.setProperty("--ratio", String(width / height));
  }

  /** Two pictures of one size. The old ones stay until both new ones are there. */
  async showImages(before, after) {
    const turn = (this.turn = {});
    const images = [before, after].map((url) => el("img", { src: url, alt: "" }));
    images[0].alt = "The picture before";
    images[1].alt = "The picture in color";
    await Promise.all(images.map((image) => image.decode()));
    if (turn !== this.turn) return;
    this.stopVideos();
    this.shape(images[1].naturalWidth, images[1].naturalHeight);
    this.before.replaceChildren(images[0]);
    this.after.replaceChildren(images[1]);
  }

  /**
   * Two films in step. The colored one leads: it has the sound.
   * @param {number} lead seconds of the first film before the second one begins
   * @param {(side: "before" | "after") => void} onFailure called where the browser cannot play one
   */
  showVideos(before, after, lead, onFailure) {
    this.turn = {};
    this.stopVideos();
    const make = (url, label, side) => {
      const fail = () => onFailure(side);
      const video = el("video", {
        src: url,
        preload: "auto",
        playsinline: true,
        "aria-label": label,
        on: { error: fail },
      });
      video.addEventListener("loadedmetadata", () => {
        if (!video.videoWidth) fail(); // its sound alone can be played
      });
      return video;
    };
    const behind = make(before, "The film before", "before");
    const ahead = make(after, "The film in color", "after");
    behind.muted = true;
    this.before.replaceChildren(behind);
    this.after.replaceChildren(ahead);
    ahead.addEventListener("loadedmetadata", () => this.shape(ahead.videoWidth, ahead.videoHeight));
    this.videos = keepInStep(behind, ahead, lead);
    this.controls.replaceChildren(...transport(ahead));
  }

  stopVideos() {
    if (!this.videos) return; // the controls may be those of single frames
    this.videos.stop();
    this.videos = null;
    for (const layer of [this.before, this.after]) {
      for (const video of layer.querySelectorAll("video")) {
        video.pause();
        video.removeAttribute("src");
        video.load();
      }
    }
    this.controls.replaceChildren();
  }
}

/** Let `behind` follow `ahead`, `lead` seconds in front of it. */
function keepInStep(behind, ahead, lead) {
  let handle = 0;
  const place = () => {
    const time = ahead.currentTime + lead;
    if (Math.abs(behind.currentTime - time) > 0.001) behind.currentTime = time;
  };
  const follow = () => {
    if (!ahead.paused && !ahead.ended) {
      const apart = behind.currentTime - lead - ahead.currentTime;
      if (Math.abs(apart) > JUMP) place();
      const gain = Math.abs(apart) > DRIFT ? Math.max(-0.25, Math.min(0.25, -2 * apart)) : 0;
      const rate = ahead.playbackRate * (1 + gain);
      if (Math.abs(behind.playbackRate - rate) > 0.01) behind.playbackRate = rate;
    }
    handle = requestAnimationFrame(follow);
  };
  const listeners = {
    play: () => behind.play().catch(() => {}),
    playing: () => behind.play().catch(() => {}),
    waiting: () => behind.pause(),
    pause: () => {
      behind.pause();
      place();
    },
    seeking: place,
    seeked: place,
    loadeddata: place,
    ended: () => behind.pause(),
  };
  for (const [event, listener] of Object.entries(listeners)) {
    ahead.addEventListener(event, listener);
  }
  behind.addEventListener("loadeddata", place, { once: true });
  handle = requestAnimationFrame(follow);
  return {
    stop() {
      cancelAnimationFrame(handle);
      for (const [event, listener] of Object.entries(listeners)) {
        ahead.removeEventListener(event, listener);
      }
    },
  };
}

/** Play, place and sound of a film. */
function transport(video) {
  const play = button("Play", () => (video.paused ? video.play() : video.pause()), {
    class: "play",
  });
  const place = el("input", {
    type: "range",
    class: "place",
    min: 0,
    max: 0,
    step: "any",
    value: 0,
    "aria-label": "Place in the film",
    on: {
      input: () => {
        video.currentTime = Number(place.value);
      },
    },
  });
  const time = el("output", { class: "time", text: "0:00" });
  const sound = button("Mute", () => {
    video.muted = !video.muted;
  });
  const show = () => {
    const length = Number.isFinite(video.duration) ? video.duration : 0;
    place.max = length;
    if (!video.seeking || video.paused) place.value = video.currentTime;
    place.setAttribute("aria-valuetext", `${clock(video.currentTime)} of ${clock(length)}`);
    time.textContent = `${clock(video.currentTime)} / ${clock(length)}`;
    play.textContent = video.paused ? "Play" : "Pause";
    sound.textContent = video.muted ? "Sound on" : "Mute";
  };
  const events = ["loadedmetadata", "timeupdate", "play", "pause", "seeked", "volumechange"];
  for (const event of events) video.addEventListener(event, show);
  show();
  return [play, place, time, sound];
}
