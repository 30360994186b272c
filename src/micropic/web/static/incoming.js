/** Addresses that are dropped on the page, or pasted anywhere on it. */

/** Call `take(address)` for each, and `none()` for a file, which has none. */
export function onAddress(take, none) {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  for (const end of ["dragleave", "drop"]) {
    document.addEventListener(end, () => document.body.classList.remove("over"));
  }
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    offer(event.dataTransfer, take, none);
  });
  document.addEventListener("paste", (event) => {
    if (!event.target.closest?.("input")) offer(event.clipboardData, take, none);
  });
}

function offer(data, take, none) {
  const address = addressIn((type) => data.getData(type));
  if (address) take(address);
  else if (data.files.length) none();
}

/** Find an address: a picture's own before that of the page that it leads to. */
function addressIn(get) {
  const markup = new DOMParser().parseFromString(get("text/html"), "text/html");
  const image = markup.querySelector("img[src]")?.getAttribute("src") ?? "";
  const listed = get("text/uri-list").split(/\r?\n/).filter((line) => line && !line.startsWith("#"));
  const candidates = [/^https?:/i.test(image) ? image : "", listed[0], get("text/plain")];
  return candidates.find((text) => text?.trim())?.trim() ?? "";
}
