// The contact sheet: frames of the source in several models and render factors, to choose from.

import * as api from "./api.js";
import { announce, button, el, setText } from "./dom.js";
import { Compare } from "./compare.js";

const KEY = "vidcolor sheet ";

function kept(upload) {
  try {
    return sessionStorage.getItem(KEY + upload);
  } catch {
    return null;
  }
}

function keep(upload, id) {
  try {
    if (id) sessionStorage.setItem(KEY + upload, id);
    else sessionStorage.removeItem(KEY + upload);
  } catch {
    // without storage the sheet is made again after a reload
  }
}

export class Sheet {
  /**
   * @param {object} upload the server's record of a complete upload
   * @param {object[]} models those of the server
   * @param {(column: object) => void} onChoose called with the column that was clicked
   * @param {() => void} onChange called when pictures have come
   */
  constructor(upload, models, onChoose, onChange) {
    this.upload = upload;
    this.onChoose = onChoose;
    this.onChange = onChange;
    this.previews = []; // the first, then those with columns that were added
    this.streams = [];
    this.row = 0;
    this.cards = new Map();
    this.status = el("p", { class: "small", role: "status" });
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.original = el("div", { class: "card original" });
    this.grid = el("div", { class: "sheet" }, this.original);
    this.compare = new Compare();
    this.caption = el("p", { class: "small caption" });
    const still = upload.film.kind === "still";
    this.large = el(
      "div",
      { class: "large", hidden: true },
      this.compare.element,
      el(
        "div",
        { class: "under" },
        this.caption,
        still ? null : button("Next frame", () => this.nextFrame()),
      ),
    );
    this.element = el(
      "section",
      { "aria-labelledby": "sheet-title" },
      el("h3", { id: "sheet-title", text: "Choose the colors that you like" }),
      this.status,
      this.error,
      el(
        "fieldset",
        {},
        el("legend", { class: "unseen", text: "Model and render factor" }),
        this.grid,
      ),
      el("div", { class: "more-columns" }, this.adder(models), still ? null : this.otherFrames()),
    );
  }

  /** A small form that adds a column. */
  adder(models) {
    const model = el(
      "select",
      { id: "add-model" },
      ...models
        .filter((one) => one.at_hand)
        .map(({ name }) => el("option", { value: name, text: name })),
    );
    const factor = el("input", {
      type: "number",
      id: "add-factor",
      min: 4,
      max: 64,
      step: 1,
      required: true,
      value: 24,
    });
    const add = async (event) => {
      event.preventDefault();
      const wanted = { models: [model.value], render_factors: [Number(factor.value)] };
      const label = `${wanted.models[0]} ${wanted.render_factors[0]}`;
      if (this.cards.has(label)) this.cards.get(label).radio.click();
      else await this.make({ ...wanted, times: this.times() });
    };
    return el(
      "form",
      { class: "inline", on: { submit: add } },
      el("label", { for: "add-model", text: "Compare also" }),
      model,
      el("label", { for: "add-factor", text: "at render factor" }),
      factor,
      el("button", { type: "submit", text: "Add" }),
    );
  }

  otherFrames() {
    return button("Other frames", () => {
      const { seconds } = this.upload.film;
      if (!seconds) return;
      const times = [0, 1, 2].map((third) => ((third + Math.random()) / 3) * seconds * 0.97);
      this.previews = [];
      this.make({ times });
    });
  }

  times() {
    const { rows } = this.previews[0] ?? { rows: [] };
    const times = rows.map((row) => row.time).filter((time) => time !== null);
    return times.length ? times : undefined;
  }

  /** Show the sheet that was made before a reload, or make one. */
  async begin() {
    const id = kept(this.upload.id);
    if (id) {
      try {
        const preview = await api.sheet(id);
        if (!["failed", "canceled"].includes(preview.state)) {
          this.take(preview, 0);
          if (preview.state !== "done") this.listen(preview.id, 0);
          return;
        }
      } catch {
        keep(this.upload.id, null);
      }
    }
    await this.make({});
  }

  async make(wanted) {
    const index = this.previews.length;
    if (index === 0) {
      this.stop();
      setText(this.status, "A few frames are being read.");
    }
    this.fail(null);
    try {
      const preview = await api.makeSheet({ upload: this.upload.id, ...wanted });
      if (index === 0) keep(this.upload.id, preview.id);
      this.take(preview, index);
      this.listen(preview.id, index);
    } catch (error) {
      this.fail(error.message);
    }
  }

  listen(id, index) {
    const stream = api.sheetEvents(id);
    this.streams.push(stream);
    const take = ({ data }) => {
      const preview = JSON.parse(data);
      this.take(preview, index);
      if (!["queued", "running"].includes(preview.state)) stream.close();
    };
    stream.addEventListener("state", take);
    stream.addEventListener("end", (event) => {
      take(event);
      stream.close();
    });
  }

  stop() {
    for (const stream of this.streams) stream.close();
    this.streams = [];
  }

  fail(message) {
    this.error.hidden = !message;
    this.error.textContent = message ?? "";
    if (message) setText(this.status, "");
  }

  take(preview, index) {
    this.previews[index] = preview;
    if (preview.state === "failed") this.fail(preview.error);
    this.draw();
    this.onChange();
  }

  /** The address of the first frame, or null. */
  get picture() {
    return this.previews[0]?.rows[0]?.gray ?? null;
  }

  columns() {
    return this.previews.flatMap((preview) =>
      (preview?.columns ?? []).map((column) => ({ ...column, state: preview.state })),
    );
  }

  draw() {
    const { rows, state } = this.previews[0];
    this.drawOriginal(rows);
    const seen = new Set();
    for (const column of this.columns()) {
      const key = `${column.model} ${column.render_factor}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const card = this.cards.get(key) ?? this.newCard(key, column);
      card.column = column;
      fill(card.frames, column.cells); // the label says what they show
    }
    for (const [key, card] of this.cards) {
      if (seen.has(key)) continue;
      card.element.remove();
      this.cards.delete(key);
    }
    this.drawLarge();
    const cells = this.columns().flatMap((column) => column.cells);
    const ready = cells.filter(Boolean).length;
    const waiting = state === "queued" ? "The sheet waits for the model." : "Reading frames.";
    if (state === "failed") setText(this.status, "");
    else if (!cells.length) setText(this.status, waiting);
    else if (ready < cells.length) {
      setText(this.status, `${ready} of ${cells.length} pictures are colored.`);
    } else {
      if (this.status.textContent) announce("The contact sheet is complete.");
      setText(this.status, "Click a picture to see it large.");
    }
  }

  drawOriginal(rows) {
    if (!this.original.children.length) {
      this.original.append(
        el("div", { class: "frames" }),
        el("p", { class: "name", text: "The source" }),
      );
    }
    fill(
      this.original.firstChild,
      rows.map((row) => row.gray),
      rows.map((row) => row.label),
    );
  }

  newCard(key, column) {
    const radio = el("input", {
      type: "radio",
      name: "column",
      value: key,
      class: "unseen",
      on: { change: () => this.choose(key) },
    });
    const frames = el("div", { class: "frames" });
    const name = el(
      "span",
      { class: "name" },
      el("strong", { text: column.model }),
      ` render factor ${column.render_factor}`,
    );
    const element = el("label", { class: "card choice" }, radio, frames, name);
    frames.addEventListener("click", ({ target }) => {
      const place = target.closest(".cell");
      if (place) this.row = Number(place.dataset.row);
      if (radio.checked) this.drawLarge();
    });
    const card = { radio, frames, element, column };
    this.cards.set(key, card);
    this.grid.append(element);
    return card;
  }

  choose(key) {
    this.onChoose(this.cards.get(key).column);
    this.drawLarge();
  }

  /** Mark the column of these settings, or none. */
  mark(model, factor) {
    for (const [key, card] of this.cards) card.radio.checked = key === `${model} ${factor}`;
    this.drawLarge();
  }

  /** Whether one is chosen. */
  get chosen() {
    return Array.from(this.cards.values()).find((card) => card.radio.checked) ?? null;
  }

  nextFrame() {
    this.row = (this.row + 1) % this.previews[0].rows.length;
    this.drawLarge();
    announce(this.caption.textContent);
  }

  drawLarge() {
    const { rows } = this.previews[0];
    const column = this.chosen?.column;
    this.row = Math.min(this.row, Math.max(0, rows.length - 1));
    const before = rows[this.row]?.gray;
    const after = column?.cells[this.row];
    this.large.hidden = !(before && after);
    if (this.large.hidden || this.shown === before + after) return;
    this.shown = before + after;
    const isFilm = this.upload.film.kind === "film";
    setText(this.caption, column.label + (isFilm ? `, at ${rows[this.row].label}` : ""));
    this.compare.showImages(before, after).catch(() => {});
  }
}

/** Put pictures into a row of cells; an address that is null stands for one that is yet to come. */
function fill(frames, addresses, labels = []) {
  while (frames.children.length > addresses.length) frames.lastChild.remove();
  addresses.forEach((address, row) => {
    const cell = frames.children[row] ?? el("span", { class: "cell", "data-row": row });
    if (!cell.parentNode) frames.append(cell);
    const image = cell.querySelector("img");
    if (address && image?.getAttribute("src") !== address) {
      const alt = labels[row] ? `The source, ${labels[row]}` : "";
      cell.replaceChildren(el("img", { src: address, alt }));
      if (labels[row]) cell.append(el("span", { class: "time", text: labels[row] }));
    } else if (!address && image) cell.replaceChildren();
  });
}
