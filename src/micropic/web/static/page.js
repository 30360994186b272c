/** The page: when something changes, ask for the preview and show it. */

import { originalPath, previewPath, snippets } from "./address.js";
import { compare } from "./compare.js";
import { onCopy } from "./copy.js";
import { glance } from "./glance.js";
import { onAddress } from "./incoming.js";
import { busy, place, show, showNumbers, showProblem } from "./result.js";
import { ask } from "./service.js";

const byId = (id) => document.getElementById(id);
const form = byId("form");
const comparison = byId("compare");
const peek = glance(byId("glance"), byId("preview"), byId("result"));
let underWay = new AbortController();

/** Run the whole of it; whatever was under way is given up. */
async function refresh() {
  underWay.abort();
  underWay = new AbortController();
  const { signal } = underWay;
  if (!form.reportValidity()) return;
  const values = Object.fromEntries(new FormData(form));
  busy(true);
  try {
    const answer = await ask(previewPath(values), signal);
    await show(answer, values.source);
    peek();
    showNumbers(answer);
    for (const [id, text] of Object.entries(snippets(values, document.baseURI))) {
      byId(id).textContent = text;
    }
    if (!/; hit/.test(answer.cacheStatus)) {
      showNumbers(answer, await ask(previewPath(values), signal));
    }
    await showOriginal(values, signal);
    await showComparison(values, signal);
  } catch (error) {
    if (signal.aborted) return;
    showProblem(error);
    peek();
  }
  if (!signal.aborted) busy(false);
}

async function showOriginal(values, signal) {
  const drawn = byId("explain").checked;
  const remark = drawn ? ", bright what stands out, framed what is kept" : "";
  try {
    const answer = await ask(originalPath(values, drawn), signal);
    await place(byId("original"), answer, `The original, ${values.source}${remark}`);
    showOnly("original");
  } catch (error) {
    // The operator may allow the preview's size and not this one.
    if (signal.aborted) throw error;
    byId("no-original").textContent = error.message;
    showOnly("no-original");
  }
}

function showOnly(shown) {
  for (const id of ["original", "no-original"]) byId(id).hidden = id !== shown;
}

async function showComparison(values, signal) {
  if (comparison.open) await compare(byId("cells"), values, choose, signal);
}

function choose(f, q) {
  form.elements.f.value = f;
  form.elements.q.value = q;
  settle();
  refresh();
}

function take(address) {
  form.elements.source.value = address;
  refresh();
}

/** Bring the controls into line with each other. */
function settle() {
  const { mode, g } = form.elements;
  byId("gravity").disabled = mode.value !== "fill";
  byId("point").hidden = g.value !== "point";
  byId("bg").disabled = !byId("with-background").checked;
  for (const range of form.querySelectorAll("input[type=range]")) {
    const said = Number(range.value) ? range.value : range.dataset.zero;
    form.querySelector(`[data-for=${range.id}]`).textContent = said;
    range.setAttribute("aria-valuetext", said);
  }
}

/** Keep the part of the original that was clicked. */
function keepAround(event) {
  const { left, top, width, height } = event.target.getBoundingClientRect();
  const share = (distance, length) => Math.min(1, Math.max(0, distance / length)).toFixed(2);
  form.elements.mode.value = "fill";
  form.elements.g.value = "point";
  form.elements.x.value = share(event.clientX - left, width);
  form.elements.y.value = share(event.clientY - top, height);
  settle();
  refresh();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  refresh();
});
form.addEventListener("input", settle);
form.addEventListener("change", (event) => {
  // An address is sent by the button or the Enter key, which would ask for it a second time.
  if (event.target !== form.elements.source) refresh();
});
byId("explain").addEventListener("change", refresh);
byId("original").addEventListener("click", keepAround);
comparison.addEventListener("toggle", () => comparison.open && refresh());
byId("gallery").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) take(button.dataset.source);
});
const say = (text) => { byId("status").textContent = text; };
onAddress(take, () => say("A file has no address: put it where micropic can fetch it."));
onCopy(say);
settle();
refresh();
