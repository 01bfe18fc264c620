// Resumable uploads by tus 1.0.0. A file goes up in parts; after a cut connection, or when the same
// file is given again after a reload, the server is asked how much it has, and the rest follows.

const PART = 32 * 1024 * 1024; // bytes in one request: proxies refuse endless ones
const LONGEST_WAIT = 30;
const KEY = "vidcolor upload ";
const TUS = { "Tus-Resumable": "1.0.0" };

/** What tells that a file is the one that was sent in part: its name, size and date. */
function fingerprint({ file, name }) {
  return `${KEY}${name} ${file.size} ${file.lastModified}`;
}

function remembered(upload) {
  try {
    return localStorage.getItem(fingerprint(upload));
  } catch {
    return null; // storage may be forbidden; the upload then only survives cut connections
  }
}

function remember(upload, url) {
  try {
    if (url) localStorage.setItem(fingerprint(upload), url);
    else localStorage.removeItem(fingerprint(upload));
  } catch {
    // as above
  }
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** Whether the file is still there as it was chosen; browsers refuse one that has changed. */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** A refusal that trying again does not change; its message is the server's. */
class Refused extends Error {}

/** An answer that another try may change. */
class Busy extends Error {
  constructor(status) {
    super(`The server or what is before it is busy (${status})`);
  }
}

/** The upload is not, or no longer, on the server. */
class Gone extends Error {}

/** Whether a refusal may pass by itself. A full disk does not. */
function passes(status) {
  return (status >= 500 && status !== 507) || [408, 409, 423, 425, 429].includes(status);
}

/** What the server says about a refused request, in one line. */
export function refusal(status, body) {
  try {
    const { error, detail } = JSON.parse(body);
    if (typeof (error ?? detail) === "string") return error ?? detail;
  } catch {
    // not JSON, such as the page of a proxy
  }
  if (status === 413) return "the file is larger than this server takes";
  return `the server refused this (${status})`;
}

export class Upload {
  /**
   * @param {File} file
   * @param {string} name with its folders, where it comes from one
   * @param {string} endpoint where uploads are created
   * @param {(upload: Upload) => void} onChange called after every change of what is below
   */
  constructor(file, name, endpoint, onChange) {
    this.file = file;
    this.name = name;
    this.endpoint = endpoint;
    this.onChange = onChange;
    this.state = "waiting"; // then sending, retrying, done, failed or canceled
    this.sent = 0;
    this.rate = 0; // bytes per second
    this.error = null;
    this.retryAt = null; // in milliseconds, while retrying
    this.reason = ""; // and why
    this.url = null;
  }

  get id() {
    return this.url?.split("/").pop() ?? null;
  }

  get active() {
    return ["waiting", "sending", "retrying"].includes(this.state);
  }

  cancel() {
    if (!this.active) return;
    this.change({ state: "canceled" });
    this.request?.abort();
    this.wake?.();
    remember(this, null);
    if (this.url) this.discard();
  }

  /** Delete what the server has; at first it may still be busy with the request that was ended. */
  async discard() {
    for (const wait of [0, 1000, 4000]) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      const answer = await this.ask("DELETE", this.url).catch(() => null);
      if (answer && !passes(answer.status)) return;
    }
  }

  tryNow() {
    this.wake?.();
  }

  change(values) {
    Object.assign(this, values);
    this.onChange(this);
  }

  /** Send the file, however often the connection is cut. */
  async run() {
    let failures = 0;
    while (this.active) {
      try {
        this.change({ state: "sending", retryAt: null });
        const before = this.sent;
        await this.begin();
        if (this.sent > before) failures = 0;
        while (this.active && this.sent < this.file.size) {
          await this.sendPart();
          failures = 0;
        }
        if (this.active) this.change({ state: "done" });
      } catch (error) {
        if (!this.active) return;
        if (error instanceof Refused) {
          this.change({ state: "failed", error: error.message });
          return;
        }
        if (!(await readable(this.file))) {
          const error = "the file can no longer be read; choose it again";
          this.change({ state: "failed", error });
          return;
        }
        if (error instanceof Gone) {
          remember(this, null);
          this.url = null;
          this.sent = 0;
        }
        failures += 1;
        this.reason = error instanceof Busy ? error.message : "The connection was cut";
        await this.pause(Math.min(LONGEST_WAIT, 2 ** (failures - 1)));
      }
    }
  }

  /** Wait, at most until the network is back, "try now" is pressed or the upload is canceled. */
  async pause(seconds) {
    this.change({ state: "retrying", retryAt: Date.now() + 1000 * seconds });
    await new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, 1000 * seconds);
      addEventListener("online", resolve, { once: true });
    });
    this.wake = null;
  }

  /** Find out how much the server has; make a new upload where it has nothing. */
  async begin() {
    this.url ??= remembered(this);
    if (this.url) {
      const answer = await this.ask("HEAD", this.url);
      if (answer.ok) {
        const size = answer.headers.get("Upload-Length");
        if (size !== null && Number(size) !== this.file.size) throw new Gone();
        this.change({ sent: Number(answer.headers.get("Upload-Offset")) });
        return;
      }
      if (![403, 404, 410].includes(answer.status)) throw await this.failure(answer);
      remember(this, null);
    }
    const answer = await this.ask("POST", this.endpoint, {
      "Upload-Length": String(this.file.size),
      "Upload-Metadata": `filename ${base64(this.name)}`,
    });
    if (answer.status !== 201) throw await this.failure(answer);
    this.url = new URL(answer.headers.get("Location"), location.href).pathname;
    this.sent = 0;
    remember(this, this.url);
  }

  ask(method, url, headers = {}) {
    return fetch(url, { method, headers: { ...TUS, ...headers }, cache: "no-store" });
  }

  async failure(answer) {
    const { status } = answer;
    if (passes(status)) return new Busy(status);
    return new Refused(refusal(status, await answer.text()));
  }

  /** One PATCH. XMLHttpRequest, since fetch does not tell how much of a body is sent. */
  sendPart() {
    const from = this.sent;
    const part = this.file.slice(from, from + PART);
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.open("PATCH", this.url);
      request.setRequestHeader("Tus-Resumable", TUS["Tus-Resumable"]);
      request.setRequestHeader("Upload-Offset", String(from));
      request.setRequestHeader("Content-Type", "application/offset+octet-stream");
      request.upload.onprogress = ({ loaded }) => {
        const seconds = (performance.now() - started) / 1000;
        const rate = seconds > 0.5 ? loaded / seconds : this.rate;
        this.change({ sent: from + Math.min(loaded, part.size), rate });
      };
      request.onerror = () => reject(new Error("the connection was cut"));
      request.onabort = request.onerror;
      request.onload = () => {
        const { status } = request;
        if (status === 204) {
          this.change({ sent: Number(request.getResponseHeader("Upload-Offset")) });
          resolve();
        } else if ([404, 410].includes(status)) reject(new Gone());
        else if (passes(status)) reject(new Busy(status));
        else reject(new Refused(refusal(status, request.responseText)));
      };
      request.send(part);
    });
  }
}
