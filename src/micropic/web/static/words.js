/** Numbers in words. */

/** Give bytes as people say them. */
export function bytes(count) {
  if (count < 1000) return `${count} B`;
  const [unit, size] = count < 1e6 ? ["kB", count / 1000] : ["MB", count / 1e6];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

/** Give milliseconds as people say them. */
export function time(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/** Give the name of a format by its media type. */
export function format(mediaType) {
  const name = mediaType.replace("image/", "");
  return { webp: "WebP" }[name] ?? name.toUpperCase();
}

/** Say what the cache did, by Cache-Status (RFC 9211). */
export function cache(status) {
  if (/; hit/.test(status)) return "from the cache";
  if (/fwd=stale/.test(status)) return "asked for again";
  return /fwd=bypass/.test(status) ? "made, and not kept" : "made just now";
}
