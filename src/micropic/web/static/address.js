/**
 * Addresses: what the form says, as the path of a preview and as lines to copy. No document here.
 */

/** Every option of an address with the value that changes nothing, which is left out. */
const UNCHANGED = {
  q: "0", f: "", g: "smart", dpr: "1", rot: "0", flip: "", trim: "0", enlarge: "1", bg: "",
  blur: "0", sharpen: "0", anim: "0", explain: "0",
};
const ONLY_FILL = ["g", "enlarge"];
const WITH_SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/** Give the path of a preview, relative to the page; `values` are the form's, by name. */
export function previewPath(values) {
  const parts = [values.mode, values.width, values.height, options(values), source(values.source)];
  return parts.filter(Boolean).join("/");
}

function options(values) {
  return Object.entries(UNCHANGED)
    .filter(([key]) => values.mode === "fill" || !ONLY_FILL.includes(key))
    .filter(([key, unchanged]) => (values[key] ?? unchanged) !== unchanged)
    .map(([key]) => `${key}=${written(key, values)}`)
    .join(",");
}

function written(key, values) {
  if (key === "g" && values.g === "point") return `${values.x}:${values.y}`;
  return key === "bg" ? values.bg.replace("#", "") : values[key];
}

/** Give a source as it may stand in a path; one that is no URL goes as it is, to be told why. */
function source(text) {
  const typed = text.trim();
  if (typed.startsWith("sample:")) return encodeURI(typed);
  const named = WITH_SCHEME.test(typed);
  try {
    const url = new URL(named ? typed : `http://${typed}`);
    url.hash = "";
    // Where no scheme was typed, the service's own default stands.
    return named ? url.href : url.href.slice("http://".length);
  } catch {
    return encodeURIComponent(typed);
  }
}

/** Give the same picture in whole, drawn over or as it is, in at most `side` pixels. */
export function originalPath(values, drawn, side = 800) {
  if (!drawn) {
    const plain = { mode: "fit", width: side, height: side, source: values.source };
    return previewPath({ ...plain, rot: values.rot, flip: values.flip });
  }
  // The shape decides where the cut is; the drawing is to be larger than the preview may be.
  const larger = Math.max(1, side / Math.max(values.width, values.height));
  const [width, height] = [values.width, values.height].map((length) => Math.round(length * larger));
  const plain = { f: "webp", q: "85", dpr: "1", blur: "0", sharpen: "0", anim: "0", explain: "1" };
  return previewPath({ ...values, width: width || 1, height: height || 1, ...plain });
}

/** Give the lines to copy, their addresses resolved against `base`. */
export function snippets(values, base) {
  const at = (dpr) => new URL(previewPath({ ...values, dpr }), base).href;
  const url = at(values.dpr);
  // What `fit` comes to only the picture tells.
  const box = values.mode === "fill" ? ` width="${values.width}" height="${values.height}"` : "";
  const [once, twice] = [at("1"), at("2")].map(inAttribute);
  return {
    url,
    html: `<img src="${once}" srcset="${once} 1x, ${twice} 2x"${box} alt="">`,
    curl: `curl -OJ '${url.replaceAll("'", "'\\''")}'`,
  };
}

function inAttribute(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
}
