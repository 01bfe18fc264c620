// One job: its progress with a picture that follows, and its result with what to do with it.

import * as api from "./api.js";
import { announce, button, confirmed, el, setText } from "./dom.js";
import { Compare } from "./compare.js";
import { bytes, clock, count, duration, percent } from "./words.js";

const STATES = {
  queued: "Waiting",
  running: "Coloring",
  done: "Done",
  failed: "Failed",
  canceled: "Canceled",
};

export class JobView {
  /**
   * @param {object} job the server's record
   * @param {object} app what the page does: removeJob, again, settle
   */
  constructor(job, app) {
    this.app = app;
    this.title = el("h2", { tabindex: -1, text: job.name });
    this.state = el("p", { class: "state" });
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.compare = new Compare();
    this.picture = el("div", { class: "picture" });
    this.hint = el("p", { class: "small", hidden: true });
    this.guess = el("p", { class: "small", text: "The colors are a guess of the model." });
    this.bar = el("progress", { max: 1, "aria-label": "Progress" });
    this.figures = el("p", { class: "figures" });
    this.progress = el("div", { class: "sending" }, this.bar, this.figures);
    this.download = el("a", { class: "button primary", download: true, text: "Download" });
    this.cancel = button("Cancel", () => this.stop());
    this.again = button("Color again with other settings", () => app.again(this.job));
    this.delete = button("Delete", () => this.discard());
    this.warnings = el("ul", { class: "warnings", "aria-label": "Warnings" });
    this.how = el("dl", { class: "how" });
    this.element = el(
      "article",
      { class: "panel job" },
      this.title,
      this.state,
      this.error,
      this.picture,
      this.hint,
      this.guess,
      this.progress,
      el("p", { class: "buttons actions" }, this.download, this.cancel, this.again, this.delete),
      this.warnings,
      el("details", {}, el("summary", { text: "How it is made" }), this.how),
    );
    this.update(job);
  }

  close() {
    this.compare.stopVideos();
  }

  async stop() {
    const lost = this.job.done ? " What is colored so far is deleted." : "";
    const isSure = await confirmed(`Cancel this job?${lost}`, "Cancel the job", "Go on coloring");
    if (isSure) await this.app.removeJob(this.job);
  }

  async discard() {
    const question = `Delete this job${this.job.result ? " and its result" : ""}?`;
    if (await confirmed(question, "Delete", "Keep")) await this.app.removeJob(this.job);
  }

  update(job) {
    const before = this.job;
    this.job = job;
    const ended = !["queued", "running"].includes(job.state);
    setText(this.state, stateWords(job));
    this.element.dataset.state = job.state;
    this.error.hidden = !job.error;
    setText(this.error, job.error ?? "");
    this.progress.hidden = ended;
    this.showProgress(job);
    this.download.hidden = job.state !== "done";
    if (job.result) this.download.href = job.result;
    this.download.download = job.result_name;
    setText(this.download, job.bytes ? `Download (${bytes(job.bytes)})` : "Download");
    this.cancel.hidden = ended;
    this.guess.hidden = job.state !== "done";
    this.delete.hidden = !ended;
    this.again.hidden = !ended || !job.source;
    this.warnings.replaceChildren(...job.warnings.map((text) => el("li", { text })));
    this.showHow(job);
    if (job.state === "done") {
      if (before?.state !== "done") this.showResult(job);
    } else if (job.preview !== null && job.preview !== before?.preview) this.showPair(job);
    if (before && before.state !== job.state) announce(`${job.name}: ${STATES[job.state]}.`);
  }

  showProgress(job) {
    const part = job.total ? job.done / job.total : null;
    if (part === null) this.bar.removeAttribute("value");
    else this.bar.value = Math.min(1, part);
    const quarter = part === null ? 0 : Math.floor(4 * part);
    if (quarter > (this.quarter ?? quarter)) {
      announce(`${percent(part)} of ${job.name} is colored.`);
    }
    this.quarter = quarter;
    setText(this.figures, figures(job));
  }

  showHow(job) {
    const rows = Object.entries(job.options).map(([name, value]) => [
      name.replaceAll("_", " "),
      String(value),
    ]);
    for (const note of job.notes) rows.push(["note", note]);
    const state = JSON.stringify(rows);
    if (state === this.shownHow) return;
    this.shownHow = state;
    this.how.replaceChildren(
      ...rows.map(([name, value]) =>
        el("div", {}, el("dt", { text: name }), el("dd", { text: value })),
      ),
    );
    this.how.parentNode.hidden = !rows.length;
  }

  /** The latest frame, before and after. */
  showPair(job) {
    if (!this.compare.element.isConnected) this.picture.replaceChildren(this.compare.element);
    this.compare.showImages(...api.pair(job)).catch(() => {});
  }

  showResult(job) {
    this.picture.replaceChildren(this.compare.element);
    if (job.kind === "still") {
      const fallback = () => this.showPair(job);
      if (job.source) this.compare.showImages(job.source, job.result).catch(fallback);
      else fallback();
    } else if (job.options.compare || !job.source) this.showAlone(job);
    else {
      const lead = seconds(job.options.start);
      this.compare.showVideos(job.source, job.result, lead, (side) => this.showFrames(job, side));
    }
  }

  /** A film that has nothing to be compared with, or holds its source already. */
  showAlone(job) {
    this.say("");
    const video = el("video", {
      src: job.result,
      controls: true,
      preload: "metadata",
      "aria-label": "The film in color",
      on: { error: () => this.say("This browser cannot play the result; download it.") },
    });
    this.picture.replaceChildren(video);
  }

  say(text) {
    this.hint.hidden = !text;
    setText(this.hint, text);
  }

  /** Single frames, where the browser cannot play the source ("before") or the result ("after"). */
  async showFrames(job, side) {
    if (this.frames) return;
    this.frames = true;
    this.compare.stopVideos();
    const which = side === "before" ? "source" : "result";
    this.say(`This browser cannot play the ${which}, so single frames are shown.`);
    const record = await api.upload(job.upload).catch(() => null);
    const lead = seconds(job.options.start);
    const end = job.options.end === undefined ? record?.film?.seconds : seconds(job.options.end);
    const length = Math.max(0, (end ?? 0) - lead);
    const time = el("output", { class: "time", text: clock(length / 2) });
    const show = () => {
      time.textContent = clock(place.value);
      place.setAttribute("aria-valuetext", `${time.textContent} of ${clock(length)}`);
      const pair = api.pair(job, Number(place.value));
      this.compare.showImages(...pair).catch(() => this.showPair(job));
    };
    const place = el("input", {
      type: "range",
      class: "place",
      min: 0,
      max: length,
      step: "any",
      value: length / 2,
      "aria-label": "Place in the film",
      on: {
        input: () => {
          time.textContent = clock(place.value);
        },
        change: show,
      },
    });
    if (length) this.compare.controls.append(place, time);
    if (side === "before") {
      const play = () => {
        this.showAlone(job);
        this.picture.firstChild.focus();
      };
      this.compare.controls.append(button("Play the result", play));
    }
    show();
  }
}

/** Seconds of a time as the command line takes it: 12.5 or HH:MM:SS. */
function seconds(time) {
  return String(time ?? 0)
    .split(":")
    .reduce((sum, part) => 60 * sum + Number(part), 0);
}

export function stateWords(job) {
  if (job.state === "queued") {
    const place = job.position > 1 ? `number ${job.position}` : "next";
    return `Waiting, ${place} in the queue`;
  }
  if (job.state === "running") {
    const stage = job.stage ?? "coloring";
    return stage[0].toUpperCase() + stage.slice(1);
  }
  if (job.state === "done") {
    return job.kind === "film" && job.done
      ? `Done: ${count(job.done, "frame")} in ${duration(job.seconds)}`
      : `Done in ${duration(job.seconds)}`;
  }
  return STATES[job.state];
}

/** Such as "120 of 300 frames · 12.5 fps · 14 s left". */
export function figures(job) {
  if (job.state !== "running" || !job.done) return "";
  const parts = [job.total ? `${job.done} of ${job.total} frames` : count(job.done, "frame")];
  if (job.fps) parts.push(`${job.fps.toFixed(1)} fps`);
  if (job.seconds_left !== null) parts.push(`${duration(job.seconds_left)} left`);
  return parts.join(" · ");
}
