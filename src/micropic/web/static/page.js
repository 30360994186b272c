const byId = (id) => document.getElementById(id);
const form = byId("form");
const preview = byId("preview");
const status = byId("status");

/** Give the path of the preview that the form describes; its source percent-encoded as a whole. */
function path() {
  const { mode, width, height, gravity, source } = Object.fromEntries(new FormData(form));
  const written = source.trim();
  const whole = /^(https?:|sample:)/i.test(written) ? written : `http://${written}`;
  const address = whole.startsWith("sample:") ? whole : encodeURIComponent(whole);
  return `/${mode}/${width}/${height}/g=${gravity}/${address}`;
}

async function show() {
  const address = path();
  status.textContent = "Fetching…";
  const started = performance.now();
  try {
    const response = await fetch(address);
    const body = await response.blob();
    if (!response.ok) {
      const problem = JSON.parse(await body.text());
      throw new Error(`${problem.status} ${problem.title}: ${problem.detail}`);
    }
    const milliseconds = Math.round(performance.now() - started);
    URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(body);
    preview.alt = `Preview of ${byId("source").value}`;
    await preview.decode();
    const size = `${preview.naturalWidth} × ${preview.naturalHeight}`;
    const cache = response.headers.get("Cache-Status");
    status.textContent = `${size}, ${body.size} bytes, ${milliseconds} ms, ${cache}`;
    byId("link").href = address;
    byId("link").textContent = new URL(address, location.href).href;
    preview.hidden = byId("address").hidden = false;
  } catch (error) {
    status.textContent = error.message;
    preview.hidden = byId("address").hidden = true;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
show();
