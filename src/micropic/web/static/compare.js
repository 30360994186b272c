/** Formats and qualities side by side. */

import { previewPath } from "./address.js";
import { element, place } from "./result.js";
import { ask, Problem } from "./service.js";
import { bytes, format } from "./words.js";

const FORMATS = ["jpeg", "webp", "avif"];
const QUALITIES = ["40", "60", "80"];

/** Fill `cells` with previews of all pairs, one after the other; `choose(f, q)` takes one. */
export async function compare(cells, values, choose, signal) {
  const table = element("table", "", element("caption", "Bytes by format and quality"));
  const head = QUALITIES.map((quality) => columnHead(`quality ${quality}`));
  table.append(element("tr", "", columnHead("format"), ...head));
  const waiting = [];
  for (const f of FORMATS) {
    const name = element("th", format(f));
    name.scope = "row";
    const row = QUALITIES.map((q) => {
      const button = cellButton(() => choose(f, q));
      button.setAttribute("aria-pressed", String(f === values.f && q === values.q));
      return { f, q, button };
    });
    table.append(element("tr", "", name, ...row.map(({ button }) => element("td", "", button))));
    waiting.push(...row);
  }
  cells.replaceChildren(table);
  // One at a time: the page is not to take the service from others.
  for (const { f, q, button } of waiting) await fill(button, { ...values, f, q }, signal);
}

async function fill(button, values, signal) {
  const answer = await ask(previewPath(values), signal).catch((error) => error);
  signal.throwIfAborted();
  if (answer instanceof Problem) {
    button.textContent = [answer.status, answer.title].filter(Boolean).join(" ");
    return;
  }
  const image = element("img");
  await place(image, answer, `${format(values.f)}, quality ${values.q}:`);
  button.replaceChildren(image, element("span", bytes(answer.body.size)));
  button.disabled = false;
}

function columnHead(text) {
  const head = element("th", text);
  head.scope = "col";
  return head;
}

function cellButton(act) {
  const button = element("button", "…");
  button.type = "button";
  button.disabled = true;
  button.addEventListener("click", act);
  return button;
}
