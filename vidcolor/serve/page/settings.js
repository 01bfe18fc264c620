// The form of the settings: those of the command line, as the server lists them.

import { el } from "./dom.js";

const FIRST = ["model", "render_factor", "smooth", "saturation"]; // the rest is in "More settings"
const LABELS = {
  smooth: "Smoothing over time",
  pix_fmt: "Pixel format",
  crf: "Quality (CRF)",
  start: "Color from",
  end: "Color up to",
  compare: "Put source and result side by side",
  deinterlace: "Deinterlace",
  piece_seconds: "Seconds per piece",
  format: "File format",
};
const RANGES = { saturation: { max: 2, step: 0.05 }, hue: { step: 1 } };

function label(name) {
  const words = name.replaceAll("_", " ");
  return LABELS[name] ?? words[0].toUpperCase() + words.slice(1);
}

export class Settings {
  /**
   * @param {object[]} specs the server's options
   * @param {object[]} models the server's models
   * @param {"film" | "still"} kind of the source
   * @param {() => void} onChange
   */
  constructor(specs, models, kind, onChange) {
    this.models = models;
    this.onChange = onChange;
    this.fields = new Map();
    const first = el("div", { class: "fields" });
    const more = el("div", { class: "fields" });
    const wanted = specs.filter((spec) => kind === "film" || !spec.films_only);
    const rank = (spec) => (FIRST.includes(spec.name) ? FIRST.indexOf(spec.name) : FIRST.length);
    for (const spec of wanted.toSorted((one, other) => rank(one) - rank(other))) {
      const field = this.field(spec, kind);
      (FIRST.includes(spec.name) ? first : more).append(field);
    }
    this.first = first;
    this.more = el("details", {}, el("summary", { text: "More settings" }), more);
    this.more.hidden = !more.children.length;
  }

  field(spec, kind) {
    const id = `setting-${spec.name}`;
    const input = this.input(spec, kind);
    input.id = id;
    input.name = spec.name;
    const help = el("p", { class: "help", id: `${id}-help`, text: spec.help });
    if (spec.help) input.setAttribute("aria-describedby", help.id);
    this.fields.set(spec.name, { spec, input });
    input.addEventListener("input", () => {
      this.show(spec.name);
      this.onChange();
    });
    const name = el("label", { for: id, text: label(spec.name) });
    const value = el("output", { for: id, class: "value" });
    this.fields.get(spec.name).value = value;
    this.show(spec.name);
    const head = el("div", { class: "head" }, name, input.type === "range" ? value : null);
    const isCheck = input.type === "checkbox";
    const parts = isCheck ? [el("div", { class: "check" }, input, name)] : [head, input];
    return el("div", { class: "field" }, ...parts, FIRST.includes(spec.name) ? null : help);
  }

  input(spec, kind) {
    const standard = spec.default ?? "";
    if (spec.name === "model") return this.modelInput(standard);
    if (spec.type === "boolean") return el("input", { type: "checkbox", checked: spec.default });
    if (spec.type === "choice") {
      const choices = spec.choices.filter((choice) => fits(spec.name, choice, kind));
      const empty = spec.default ? [] : [el("option", { value: "", text: "automatic" })];
      const select = el(
        "select",
        {},
        ...empty,
        ...choices.map((choice) => el("option", { value: choice, text: choice })),
      );
      select.value = standard;
      return select;
    }
    if (spec.name in RANGES) {
      const range = RANGES[spec.name];
      return el("input", {
        type: "range",
        min: spec.minimum,
        max: range.max ?? spec.maximum,
        step: range.step,
        value: standard,
      });
    }
    if (spec.type === "string") {
      return el("input", { type: "text", placeholder: "automatic", autocomplete: "off" });
    }
    return el("input", {
      type: "number",
      min: spec.minimum,
      max: spec.maximum,
      step: spec.type === "integer" ? 1 : "any",
      value: standard,
      placeholder: "automatic",
    });
  }

  modelInput(standard) {
    const select = el(
      "select",
      {},
      ...this.models.map(({ name, at_hand: atHand }) =>
        el("option", {
          value: name,
          text: atHand ? name : `${name} (not on this server)`,
          disabled: !atHand,
        }),
      ),
    );
    select.value = standard;
    return select;
  }

  /** Show the number beside a slider, and the model's own render factor. */
  show(name) {
    const { input, value } = this.fields.get(name);
    if (input.type === "range") {
      value.textContent = name === "hue" ? `${input.value}°` : Number(input.value).toFixed(2);
    }
    const factor = this.fields.get("render_factor");
    const model = this.models.find((one) => one.name === this.get("model"));
    if (factor && model) factor.input.placeholder = `the model's own, ${model.render_factor}`;
  }

  get(name) {
    return this.fields.get(name)?.input.value ?? "";
  }

  set(name, value) {
    const field = this.fields.get(name);
    if (!field) return;
    if (field.input.type === "checkbox") field.input.checked = Boolean(value);
    else field.input.value = value ?? "";
    this.show(name);
  }

  /** The options to send: those that differ from what the server does by itself. */
  values() {
    const chosen = {};
    for (const [name, { spec, input }] of this.fields) {
      if (input.type === "checkbox") {
        if (input.checked !== Boolean(spec.default)) chosen[name] = input.checked;
        continue;
      }
      if (input.value === "" || input.value === String(spec.default ?? "")) continue;
      const isNumber = ["integer", "number"].includes(spec.type);
      if (isNumber && Number(input.value) === spec.default) continue;
      chosen[name] = isNumber ? Number(input.value) : input.value;
    }
    return chosen;
  }

  /** Whether every value is one that its field takes; the browser points at one that is not. */
  valid() {
    const wrong = Array.from(this.fields.values()).find(({ input }) => !input.checkValidity());
    wrong?.input.closest("details")?.setAttribute("open", "");
    wrong?.input.reportValidity();
    return !wrong;
  }
}

const STILL_FORMATS = ["png", "jpg", "jpeg", "webp", "tif", "tiff"];

function fits(name, choice, kind) {
  return name !== "format" || STILL_FORMATS.includes(choice) === (kind === "still");
}
