// One file: its upload, its contact sheet and settings, and the button that colors it.

import { announce, button, el, setText } from "./dom.js";
import { Settings } from "./settings.js";
import { Sheet } from "./sheet.js";
import { bytes, clock, duration, percent } from "./words.js";

export class FileView {
  /**
   * @param {object} file {key, name, upload: the Upload here or null, record: the server's or null}
   * @param {object} app what the page knows: models, options; and what it does: color, remove, ...
   */
  constructor(file, app) {
    this.file = file;
    this.app = app;
    this.title = el("h2", { tabindex: -1, text: file.name });
    this.facts = el("p", { class: "small" });
    this.bar = el("progress", { max: 1, "aria-label": "Upload" });
    this.progress = el("p", { class: "figures" });
    this.tryNow = button("Try now", () => file.upload?.tryNow());
    this.again = button("Choose the file again", () => app.chooseFiles());
    this.remove = button("Remove", () => app.removeFile(file));
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.sending = el(
      "div",
      { class: "sending" },
      this.bar,
      this.progress,
      el("p", { class: "buttons" }, this.tryNow, this.again, this.remove),
    );
    this.choice = el("div", { class: "choice-area" });
    this.element = el(
      "article",
      { class: "panel file" },
      this.title,
      this.facts,
      this.error,
      this.sending,
      this.choice,
    );
    this.update();
  }

  close() {
    clearTimeout(this.timer);
    this.sheet?.stop();
    this.sheet?.compare.stopVideos();
  }

  update() {
    const { upload, record } = this.file;
    clearTimeout(this.timer);
    const complete = record?.complete ?? false;
    setText(this.facts, facts(this.file));
    const error = upload?.error ?? record?.film?.error ?? null;
    this.error.hidden = !error;
    setText(this.error, error ?? "");
    this.tryNow.hidden = upload?.state !== "retrying";
    const missing = !complete && !upload?.active;
    this.again.hidden = !missing;
    setText(this.remove, upload?.active && !complete ? "Cancel the upload" : "Remove");
    this.bar.hidden = complete || (missing && Boolean(error));
    this.bar.value = share(this.file);
    setText(this.progress, this.words());
    this.sending.hidden = complete && !error && Boolean(record?.film);
    if (upload?.state === "retrying") this.timer = setTimeout(() => this.update(), 500);
    if (complete && record.film && !error && !this.sheet) this.offerChoice(record);
  }

  words() {
    const { upload, record } = this.file;
    if (record?.complete) return record.film ? "" : "The file is being looked at.";
    const size = upload?.file.size ?? record?.length ?? 0;
    const part = `${percent(share(this.file))}, ${bytes(sent(this.file))} of ${bytes(size)}`;
    if (!upload || ["failed", "canceled"].includes(upload.state)) {
      if (upload?.error) return "";
      const remedy = "choose the same file again and it goes on";
      return `${part} has arrived. The upload was interrupted; ${remedy}.`;
    }
    if (upload.state === "waiting") return "Waits for the file before it.";
    if (upload.state === "retrying") {
      const left = Math.max(1, Math.ceil((upload.retryAt - Date.now()) / 1000));
      return `${part}. ${upload.reason}; trying again in ${left} s.`;
    }
    if (upload.state === "done") return "The file is being looked at.";
    if (!upload.rate) return part;
    const left = duration((size - upload.sent) / upload.rate);
    return `${part}, ${bytes(upload.rate)}/s, ${left} left`;
  }

  offerChoice(record) {
    const { kind } = record.film;
    const thing = kind === "still" ? "picture" : "film";
    this.settings = new Settings(this.app.options, this.app.models, kind, () => this.onSettings());
    const choose = (column) => {
      this.settings.set("model", column.model);
      this.settings.set("render_factor", column.render_factor);
      this.tint();
      announce(`${column.label} is chosen.`);
    };
    const show = () => {
      this.file.picture = this.sheet.picture;
      this.app.drawSoon();
    };
    this.sheet = new Sheet(record, this.app.models, choose, show);
    const inColor =
      record.film.color === "color" ? "This is in color already; only its brightness is used." : "";
    this.refusal = el("p", { class: "error", role: "alert", hidden: true });
    this.go = el("button", { type: "submit", class: "primary", text: `Color the whole ${thing}` });
    this.all = button("", () => this.color(this.app.readyFiles()));
    const form = el(
      "form",
      {
        class: "choose",
        novalidate: true,
        "aria-labelledby": "settings-title",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.color([this.file]);
          },
        },
      },
      this.sheet.large,
      el(
        "div",
        { class: "settings" },
        el("h3", { id: "settings-title", text: "Settings" }),
        this.settings.first,
        this.refusal,
        el(
          "p",
          { class: "buttons actions" },
          this.go,
          this.all,
          button("Remove", () => this.app.removeFile(this.file)),
        ),
      ),
      this.settings.more,
    );
    this.choice.replaceChildren(
      el("p", { class: "warning", text: inColor, hidden: !inColor }),
      this.sheet.element,
      form,
    );
    this.countOthers();
    for (const [name, value] of Object.entries(this.app.beginWith(record.id))) {
      this.settings.set(name, value);
    }
    this.sheet.begin().then(() => this.onSettings());
  }

  /** Offer to color all files that wait in the same way. */
  countOthers() {
    if (!this.all) return;
    const number = this.app.readyFiles().length;
    this.all.hidden = number < 2;
    setText(this.all, `Color all ${number} files like this`);
  }

  onSettings() {
    const model = this.settings.get("model");
    const own = this.app.models.find(({ name }) => name === model)?.render_factor;
    this.sheet.mark(model, Number(this.settings.get("render_factor")) || own);
    this.tint();
  }

  /** Let the sheet show the saturation roughly. */
  tint() {
    this.element.style.setProperty("--saturation", this.settings.get("saturation") || "1");
  }

  async color(files) {
    if (!this.settings.valid()) return;
    this.refusal.hidden = true;
    this.go.disabled = true;
    try {
      await this.app.color(files, this.settings.values());
    } catch (error) {
      this.refusal.textContent = error.message;
      this.refusal.hidden = false;
    } finally {
      this.go.disabled = false;
    }
  }
}

export function sent({ upload, record }) {
  return upload?.active ? upload.sent : (record?.offset ?? upload?.sent ?? 0);
}

export function share(file) {
  const size = file.upload?.file.size ?? file.record?.length ?? 0;
  return size ? sent(file) / size : 0;
}

function facts({ upload, record }) {
  const film = record?.film;
  const size = bytes(upload?.file.size ?? record?.length ?? 0);
  if (!film || film.error) return size;
  const parts = [`${film.width} × ${film.height}`];
  if (film.kind === "film") {
    if (film.seconds) parts.push(clock(film.seconds));
    if (film.frame_rate) parts.push(`${Number(film.frame_rate.toFixed(3))} fps`);
  }
  if (film.codec) parts.push(film.codec);
  return [...parts, size].join(" · ");
}
