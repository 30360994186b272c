/** The service over HTTP: a preview with what was said of it, or a problem in words. */

/** What browsers' own pictures ask for; a script's request would name nothing. */
const ACCEPT = "image/avif,image/webp,image/png,image/jpeg,image/*;q=0.8,*/*;q=0.5";

/** An answer that is no preview (RFC 9457). */
export class Problem extends Error {
  constructor({ title, status, detail, code, request_id: requestId }) {
    super(detail ?? title);
    Object.assign(this, { title, status, detail, code, requestId });
  }
}

/**
 * Ask for a preview; `path` is relative to the page.
 *
 * Throws a Problem, or an AbortError when `signal` says so.
 */
export async function ask(path, signal) {
  const started = performance.now();
  const response = await send(path, signal);
  const body = await response.blob();
  const milliseconds = onTheWire(response.url) ?? performance.now() - started;
  const { headers } = response;
  if (!response.ok) throw await problem(response, body);
  return {
    body,
    milliseconds,
    headers: [...headers],
    cacheStatus: headers.get("Cache-Status") ?? "",
    originalBytes: Number(headers.get("X-Origin-Content-Length")) || 0,
    steps: steps(headers.get("Server-Timing") ?? ""),
  };
}

async function send(path, signal) {
  try {
    // The browser's own cache would answer in the service's place. With no-store it says
    // `no-cache` too, which may have the origin asked again, unless we say something else.
    const headers = { Accept: ACCEPT, "Cache-Control": "max-age=86400" };
    return await fetch(path, { signal, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "No answer", detail: "The service cannot be reached." });
  }
}

async function problem(response, body) {
  const { status, statusText } = response;
  const unexplained = { title: statusText || "Error", status };
  if (!body.type.includes("json")) return new Problem(unexplained);
  try {
    return new Problem({ ...unexplained, ...JSON.parse(await body.text()) });
  } catch {
    return new Problem(unexplained);
  }
}

/** Give the milliseconds from request to answer, without those that this page was busy. */
function onTheWire(url) {
  const entry = performance.getEntriesByName(url, "resource").at(-1);
  performance.clearResourceTimings();
  return entry?.requestStart ? entry.responseEnd - entry.requestStart : undefined;
}

/** Read Server-Timing: milliseconds by step. */
function steps(field) {
  const found = field.matchAll(/([a-z]+);dur=([0-9.]+)/g);
  return Object.fromEntries([...found].map(([, name, duration]) => [name, Number(duration)]));
}
