/** What the page shows of an answer: the pictures, the numbers, the header, or what went wrong. */

import { bytes, cache, format, time } from "./words.js";

const byId = (id) => document.getElementById(id);

/** Make an element with text, and with what else is in it. */
export function element(name, text = "", ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

/** Put an answer's picture in an <img>; wait until it can be seen. */
export async function place(image, answer, alt) {
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(answer.body);
  image.alt = alt;
  await image.decode();
}

/** Say whether work is under way. */
export function busy(whether) {
  if (whether) byId("status").textContent = "Fetching…";
  byId("result").setAttribute("aria-busy", String(whether));
}

/** Show a preview, with its numbers and its header. */
export async function show(answer, name) {
  const image = byId("preview");
  await place(image, answer, `Preview of ${name}`);
  const size = `${image.naturalWidth} × ${image.naturalHeight}`;
  byId("pixels").textContent = size;
  byId("problem").replaceChildren();
  byId("shown").hidden = false;
  byId("status").textContent = [
    `${size} pixels`, format(answer.body.type), bytes(answer.body.size), cache(answer.cacheStatus),
  ].join(", ");
  const fields = answer.headers.map(([field, value]) => [element("dt", field), element("dd", value)]);
  byId("headers").replaceChildren(...fields.flat());
}

/** Show how large it is and how long it took; `again` is the same from the cache, if asked for. */
export function showNumbers(answer, again) {
  const { body, originalBytes, steps } = answer;
  const less = Math.round(100 * (1 - body.size / originalBytes));
  const compared = originalBytes ? `${Math.abs(less)} % ${less < 0 ? "more" : "less"} than the original` : "";
  const { fetch = 0, render = 0 } = steps;
  const made = render ? `fetch ${time(fetch)}, render ${time(render)}` : cache(answer.cacheStatus);
  byId("numbers").replaceChildren(
    number("Size", bytes(body.size), compared),
    number("Original", originalBytes ? bytes(originalBytes) : "?", "as its server sends it"),
    number("Time", time(answer.milliseconds), made),
    again ? number("Again", time(again.milliseconds), cache(again.cacheStatus)) : "",
    number("Cache-Status", "", answer.cacheStatus),
  );
}

function number(name, value, remark) {
  return element("div", "", element("dt", name), element("dd", value), element("dd", remark));
}

/** Say what went wrong, in the place of a preview. */
export function showProblem(problem) {
  const { title, status, detail, code, requestId } = problem;
  byId("status").textContent = "";
  byId("shown").hidden = true;
  const told = [element("strong", [status, title].filter(Boolean).join(" "))];
  if (detail) told.push(element("p", detail));
  const trace = [code, requestId && `request ${requestId}`].filter(Boolean).join(" · ");
  if (trace) told.push(element("small", trace));
  byId("problem").replaceChildren(...told);
}
