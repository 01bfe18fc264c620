// The page: who may enter, what is open, which files and jobs there are.

import * as api from "./api.js";
import { announce, byId, el, notice, setText } from "./dom.js";
import { chosen, dropped, suits } from "./drop.js";
import { FileView, share } from "./file_view.js";
import { JobView, stateWords } from "./job_view.js";
import { Upload } from "./tus.js";
import { bytes, count, moment, percent } from "./words.js";

class App {
  constructor() {
    this.files = new Map(); // by key: the upload's id, or a name of our own until it has one
    this.jobs = new Map(); // by id, newest first
    this.items = new Map(); // entries of the two lists, by their address
    this.view = null;
    this.stream = null;
    this.options = [];
    this.models = [];
    this.suffixes = [];
    this.lastOptions = {};
    this.formerJob = null; // the one that is to be done again in another way
    this.sendingNow = false;
    this.number = 0;
  }

  async start() {
    const token = tokenOf(location.hash);
    if (token) history.replaceState(null, "", "/");
    try {
      if (token) await api.signIn(token);
      else if (!(await api.isSignedIn())) return this.askForToken("");
    } catch (error) {
      return this.askForToken(error.message);
    }
    return this.enter();
  }

  askForToken(message) {
    byId("page").hidden = true;
    byId("sign-in").hidden = false;
    byId("sign-in-error").hidden = !message;
    byId("sign-in-error").textContent = message;
    byId("token").focus();
  }

  async enter() {
    byId("sign-in").hidden = true;
    byId("page").hidden = false;
    try {
      const [{ models }, { options }, limits] = await Promise.all([
        api.models(),
        api.options(),
        api.limits(),
      ]);
      this.models = models;
      this.options = options;
      this.showLimits(limits);
      await this.refresh();
    } catch (error) {
      this.fault(error);
      if (!(error instanceof api.SignedOut)) setTimeout(() => this.enter(), 3000);
      return;
    }
    this.showServer();
    this.listen();
    this.open();
  }

  fault(error) {
    if (error instanceof api.SignedOut) this.askForToken(error.message);
    else notice(error.message);
  }

  showLimits(limits) {
    this.suffixes = [...(limits.films ?? []), ...(limits.stills ?? [])];
    const most = limits.upload_bytes ? `Files of up to ${bytes(limits.upload_bytes)}. ` : "";
    const days = limits.keep_days
      ? `They stay on the server for ${count(limits.keep_days, "day")}, then they are deleted.`
      : "";
    byId("limits").textContent = most + days;
  }

  async showServer() {
    const { version, model, device } = await api.health().catch(() => ({}));
    const words = version ? `${version} · ${model} on ${device}` : "The model is being loaded";
    setText(byId("server"), words);
    if (!version) setTimeout(() => this.showServer(), 2000);
  }

  /** Follow all jobs by one stream; the browser connects again by itself. */
  listen() {
    this.stream?.close();
    const stream = (this.stream = new EventSource(api.EVENTS));
    stream.addEventListener("open", () => {
      byId("connection").hidden = true;
      this.refresh().catch((error) => this.fault(error));
    });
    stream.addEventListener("error", () => {
      byId("connection").hidden = false;
      if (stream.readyState !== EventSource.CLOSED) return;
      // Closed for good: by a refusal, or by a proxy's page in place of the server.
      setTimeout(async () => {
        if (await api.isSignedIn().catch(() => true)) this.listen();
        else this.askForToken("");
      }, 2000);
    });
    stream.addEventListener("job", ({ data }) => this.takeJob(JSON.parse(data)));
    stream.addEventListener("gone", ({ data }) => this.loseJob(JSON.parse(data).id));
  }

  async refresh() {
    const [uploads, jobs] = await Promise.all([api.uploads(), api.jobs()]);
    this.jobs = new Map(jobs.map((job) => [job.id, job]));
    const there = new Set(uploads.map(({ id }) => id));
    for (const [key, file] of this.files) {
      if (file.record && !there.has(file.record.id) && !file.upload?.active) this.files.delete(key);
    }
    for (const record of uploads) this.takeRecord(record);
    this.draw();
  }

  // Files

  add(found) {
    const fitting = found.filter(({ name }) => suits(name, this.suffixes));
    const left = found.length - fitting.length;
    if (left) notice(`${count(left, "file")} left out: neither a film nor a still by the name.`);
    else notice("");
    if (!fitting.length) return;
    let first = null;
    for (const { file, name } of fitting) {
      const known = Array.from(this.files.values()).find(
        (one) => one.upload?.active && same(one.upload.file, file) && one.name === name,
      );
      const entry = known ?? this.newFile(file, name);
      first ??= entry;
    }
    announce(`${count(fitting.length, "file")} added.`);
    this.draw();
    location.hash = address("file", first.key);
    this.send();
  }

  newFile(file, name) {
    this.number += 1;
    const entry = { key: `new-${this.number}`, name, record: null, upload: null };
    entry.upload = new Upload(file, name, api.UPLOADS, () => this.onUpload(entry));
    this.files.set(entry.key, entry);
    return entry;
  }

  /** Send the files that wait, one after the other. */
  async send() {
    if (this.sendingNow) return;
    this.sendingNow = true;
    for (;;) {
      const files = Array.from(this.files.values());
      const next = files.find(({ upload }) => upload?.state === "waiting");
      if (!next) break;
      await next.upload.run();
      if (next.upload.state === "done") this.look(next);
    }
    this.sendingNow = false;
  }

  onUpload(entry) {
    const { id } = entry.upload;
    if (id && entry.key !== id) {
      const old = address("file", entry.key);
      const other = this.files.get(id);
      this.files.delete(entry.key);
      entry.key = id;
      entry.record ??= other?.record ?? null;
      this.files.set(id, entry);
      if (location.hash === old) {
        history.replaceState(null, "", address("file", id));
        this.opened = location.hash;
      }
    }
    if (entry.upload.state === "canceled") this.files.delete(entry.key);
    this.drawSoon();
  }

  /** Ask what is in a file that has arrived. */
  async look(entry) {
    for (let tries = 0; tries < 20; tries += 1) {
      try {
        entry.record = await api.upload(entry.key);
        if (entry.record.film) break;
      } catch (error) {
        if (error instanceof api.SignedOut) return this.fault(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    announce(`${entry.name} has arrived.`);
    return this.draw();
  }

  takeRecord(record) {
    const entry = this.files.get(record.id);
    if (entry) {
      // The film is not looked at in a list; what was seen before stays.
      entry.record = { ...record, film: record.film ?? entry.record?.film ?? null };
    } else this.files.set(record.id, { key: record.id, name: record.name, upload: null, record });
  }

  /** Files without a job: they wait for a choice. */
  waitingFiles() {
    const used = new Set(Array.from(this.jobs.values(), ({ upload }) => upload));
    return Array.from(this.files.values()).filter(({ key }) => !used.has(key));
  }

  readyFiles() {
    return this.waitingFiles().filter(({ record }) => record?.complete && !record.film?.error);
  }

  async removeFile(entry) {
    if (entry.upload?.active) entry.upload.cancel();
    else if (entry.record) {
      try {
        await api.removeUpload(entry.record.id);
      } catch (error) {
        return this.fault(error);
      }
    }
    this.files.delete(entry.key);
    location.hash = "#/";
    return this.draw();
  }

  chooseFiles() {
    byId("file-input").click();
  }

  // Jobs

  /** Begin a job for each file; what concerns films alone is left out for stills. */
  async color(files, options) {
    // A stretch of one film means nothing in the next.
    const { start, end, ...others } = options;
    this.lastOptions = others;
    const filmsOnly = new Set(
      this.options.filter((spec) => spec.films_only).map((spec) => spec.name),
    );
    let first = null;
    for (const { key, record } of files) {
      const isStill = record.film?.kind === "still";
      const fitting = Object.entries(options).filter(
        ([name]) => !isStill || !(filmsOnly.has(name) || name === "format"),
      );
      const single = files.length === 1;
      const job = await api.makeJob(key, single ? options : Object.fromEntries(fitting));
      first ??= job;
      this.takeJob(job);
    }
    location.hash = address("job", first.id);
  }

  takeJob(job) {
    if (this.jobs.has(job.id)) this.jobs.set(job.id, job);
    else this.jobs = new Map([[job.id, job], ...this.jobs]);
    this.drawSoon();
  }

  loseJob(id) {
    this.jobs.delete(id);
    if (location.hash === address("job", id)) location.hash = "#/";
    this.drawSoon();
  }

  async removeJob(job) {
    try {
      const ended = await api.removeJob(job.id);
      if (ended) this.takeJob(ended);
      else this.loseJob(job.id);
    } catch (error) {
      this.fault(error);
    }
  }

  /** The sheet and the settings of a job's source, set as they were. */
  again(job) {
    this.formerJob = job;
    location.hash = address("file", job.upload);
  }

  /** The options that the settings of this upload begin with. */
  beginWith(upload) {
    return this.formerJob?.upload === upload ? this.formerJob.options : this.lastOptions;
  }

  // What is shown

  /** Show what the address names. */
  async open() {
    this.opened = location.hash;
    const [, kind, id] = location.hash.match(/^#\/(file|job)\/(.+)$/) ?? [];
    const hadView = this.view !== null;
    this.view?.close();
    this.view = null;
    if (kind === "job" && this.jobs.has(id)) this.view = new JobView(this.jobs.get(id), this);
    else if (kind === "file" && this.files.has(id)) {
      const entry = this.files.get(id);
      this.view = new FileView(entry, this);
      if (entry.record?.complete && !entry.record.film) this.look(entry);
    }
    byId("welcome").hidden = this.view !== null;
    byId("add").hidden = this.view === null;
    byId("view").replaceChildren(...(this.view ? [this.view.element] : []));
    if (this.view) this.view.title.focus({ preventScroll: false });
    else if (hadView) byId("choose-files").focus();
    this.draw();
  }

  drawSoon() {
    if (this.drawing) return;
    this.drawing = true;
    setTimeout(() => {
      this.drawing = false;
      this.draw();
    }, 100);
  }

  draw() {
    if (this.view instanceof JobView) {
      const job = this.jobs.get(this.view.job.id);
      if (job) this.view.update(job);
    } else if (this.view) {
      this.view.update();
      this.view.countOthers();
    }
    const files = this.waitingFiles();
    byId("files-section").hidden = !files.length;
    this.drawList(
      byId("files"),
      files.map((file) => fileEntry(file)),
    );
    this.drawList(byId("jobs"), Array.from(this.jobs.values(), jobEntry));
    byId("no-jobs").hidden = this.jobs.size > 0;
    const busy = Array.from(this.jobs.values()).find(({ state }) => state === "running");
    const part = busy?.total ? `${percent(busy.done / busy.total)} ` : "";
    document.title = busy ? `${part}${busy.name} – vidcolor` : "vidcolor";
  }

  /** Bring a list to these entries, without touching elements that stay: one may have the focus. */
  drawList(list, entries) {
    const items = entries.map((entry) => {
      const item = this.items.get(entry.href) ?? newItem(entry.href);
      this.items.set(entry.href, item);
      setText(item.name, entry.name);
      setText(item.state, entry.state);
      item.element.dataset.state = entry.mark;
      item.bar.hidden = entry.share === null;
      if (entry.share !== null) item.bar.value = entry.share;
      if (entry.picture && item.picture.getAttribute("src") !== entry.picture) {
        item.picture.src = entry.picture;
      }
      item.picture.hidden = !entry.picture;
      if (entry.href === location.hash) item.link.setAttribute("aria-current", "page");
      else item.link.removeAttribute("aria-current");
      return item.element;
    });
    items.forEach((item, place) => {
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    });
    while (list.children.length > items.length) list.lastChild.remove();
  }
}

function same(one, other) {
  return (
    one.name === other.name && one.size === other.size && one.lastModified === other.lastModified
  );
}

function address(kind, id) {
  return `#/${kind}/${id}`;
}

function newItem(href) {
  const picture = el("img", { alt: "", hidden: true });
  const name = el("span", { class: "name" });
  const state = el("span", { class: "small" });
  const bar = el("progress", { max: 1, "aria-hidden": "true" });
  const link = el(
    "a",
    { href },
    el("span", { class: "thumb" }, picture),
    el("span", { class: "text" }, name, state, bar),
  );
  return { element: el("li", {}, link), link, picture, name, state, bar };
}

function fileEntry(file) {
  const { key, name, upload, record } = file;
  const entry = { href: address("file", key), name, share: null, mark: "", picture: null };
  if (upload?.error || record?.film?.error) return { ...entry, state: "Refused", mark: "failed" };
  if (record?.complete) {
    return { ...entry, state: "Choose its colors", picture: file.picture ?? null };
  }
  if (upload?.state === "waiting") return { ...entry, state: "Waiting" };
  if (upload?.state === "done") return { ...entry, state: "Being looked at" };
  entry.share = share(file);
  const part = percent(entry.share);
  if (upload?.state === "retrying") return { ...entry, state: `${part}, interrupted` };
  if (upload?.active) return { ...entry, state: `Uploading, ${part}` };
  return { ...entry, state: `Interrupted at ${part}` };
}

function jobEntry(job) {
  const part = job.total ? job.done / job.total : null;
  const running = job.state === "running";
  const words = {
    running: part === null ? stateWords(job) : `Coloring, ${percent(part)}`,
    done: `Done, ${moment(job.ended ?? job.created)}`,
  };
  return {
    href: address("job", job.id),
    name: job.name,
    state: words[job.state] ?? stateWords(job),
    mark: job.state,
    share: running ? part : null,
    picture: job.preview === null ? null : thumbnail(job),
  };
}

/** The picture of a job; while it runs, anew after every tenth. */
function thumbnail(job) {
  const number = job.state === "running" ? Math.floor(job.preview / 10) : job.preview;
  return api.pair({ id: job.id, preview: number })[1];
}

/** The token in an address that the server printed, or in its fragment alone. */
function tokenOf(address) {
  return address.match(/#token=([^&]+)/)?.[1] ?? null;
}

const app = new App();

addEventListener("hashchange", () => (tokenOf(location.hash) ? app.start() : app.open()));

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("token").value.trim();
  try {
    await api.signIn(tokenOf(text) ?? text);
    byId("token").value = "";
    await app.enter();
  } catch (error) {
    app.askForToken(error.message);
  }
});

byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment of the address says what is open
  byId("main").focus();
});
byId("notice-close").addEventListener("click", () => notice(""));
byId("choose-files").addEventListener("click", () => byId("file-input").click());
byId("choose-folder").addEventListener("click", () => byId("folder-input").click());
for (const id of ["file-input", "folder-input"]) {
  byId(id).addEventListener("change", ({ target }) => {
    app.add(chosen(target));
    target.value = "";
  });
}

// Files may be dropped anywhere on the page.
let inside = 0;
const holdsFiles = (event) => event.dataTransfer?.types.includes("Files") && !byId("page").hidden;
addEventListener("dragenter", (event) => {
  if (!holdsFiles(event)) return;
  inside += 1;
  byId("dropping").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!holdsFiles(event)) return;
  inside = Math.max(0, inside - 1);
  byId("dropping").hidden = inside === 0;
});
addEventListener("dragover", (event) => {
  if (holdsFiles(event)) event.preventDefault();
});
addEventListener("drop", async (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  inside = 0;
  byId("dropping").hidden = true;
  try {
    app.add(await dropped(event.dataTransfer));
  } catch (error) {
    notice(`what was dropped cannot be read (${error.message}); use "Choose files"`);
  }
});

app.start();
