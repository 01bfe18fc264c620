// Making elements. Texts from outside go through textContent alone, never through HTML.

/**
 * An element with attributes and children. `text` is its text, `on` maps events to listeners;
 * attributes that are null or false are left out, `true` stands for the bare attribute.
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function button(text, listener, attributes = {}) {
  return el("button", { type: "button", text, on: { click: listener }, ...attributes });
}

export function byId(id) {
  return document.getElementById(id);
}

/** Set a text only where it differs, so that live regions and selections are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Ask before something is lost; true where the answer is yes. */
export function confirmed(question, yes, no) {
  const dialog = el(
    "dialog",
    { "aria-labelledby": "question" },
    el("p", { id: "question", text: question }),
    el(
      "form",
      { method: "dialog", class: "buttons" },
      el("button", { value: "yes", class: "primary", text: yes }),
      el("button", { value: "no", text: no, autofocus: true }),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** Say something to screen readers, politely. */
export function announce(text) {
  byId("announcement").textContent = text;
}

/** A line that everyone sees, until it is closed or another takes its place. */
export function notice(text) {
  byId("notice-text").textContent = text;
  byId("notice").hidden = !text;
}
