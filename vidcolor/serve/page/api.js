// The server's API, as far as the page needs it.

import { refusal } from "./tus.js";

const ROOT = "/api/v1";

/** The cookie is missing or no longer good. */
export class SignedOut extends Error {}

async function ask(method, path, body = undefined, headers = {}) {
  const options = { method, headers, cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json", ...headers };
  }
  let answer;
  try {
    answer = await fetch(ROOT + path, options);
  } catch {
    throw new Error("the server does not answer; see whether `vidcolor serve` still runs");
  }
  const text = await answer.text();
  if (answer.status === 401) throw new SignedOut(refusal(401, text));
  if (!answer.ok) throw new Error(refusal(answer.status, text));
  return text ? JSON.parse(text) : null;
}

export const UPLOADS = `${ROOT}/uploads`;
export const EVENTS = `${ROOT}/events`;

export const isSignedIn = () =>
  ask("GET", "/session").then(
    () => true,
    (error) => {
      if (error instanceof SignedOut) return false;
      throw error;
    },
  );
export const signIn = (token) => ask("POST", "/session", { token });

export const health = () => ask("GET", "/health");
export const limits = () => ask("GET", "/limits");
export const models = () => ask("GET", "/models");
export const options = () => ask("GET", "/options");

export const uploads = async () => (await ask("GET", "/uploads")).uploads;
export const upload = (id) => ask("GET", `/uploads/${id}`);
export const removeUpload = (id) =>
  ask("DELETE", `/uploads/${id}`, undefined, { "Tus-Resumable": "1.0.0" });

export const makeSheet = (request) => ask("POST", "/previews", request);
export const sheet = (id) => ask("GET", `/previews/${id}`);
export const sheetEvents = (id) => new EventSource(`${ROOT}/previews/${id}/events`);
export const removeSheet = (id) => ask("DELETE", `/previews/${id}`);

export const jobs = async () => (await ask("GET", "/jobs")).jobs;
export const job = (id) => ask("GET", `/jobs/${id}`);
export const removeJob = (id) => ask("DELETE", `/jobs/${id}`);

/** Begin a job. A connection that is cut meanwhile does not make two of it. */
export async function makeJob(upload, chosen) {
  const headers = { "Idempotency-Key": randomKey(), Prefer: "respond-async" };
  const body = { upload, options: chosen };
  try {
    return await ask("POST", "/jobs", body, headers);
  } catch (error) {
    if (!error.message.startsWith("the server does not answer")) throw error;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return ask("POST", "/jobs", body, headers);
  }
}

/** crypto.randomUUID exists on localhost and with TLS alone; this exists everywhere. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

export function pair(job, at = null) {
  const query = at === null ? `n=${job.preview ?? 0}` : `at=${at.toFixed(3)}`;
  return ["before", "after"].map((side) => `${ROOT}/jobs/${job.id}/preview?side=${side}&${query}`);
}
