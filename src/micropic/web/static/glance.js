/** A small copy of the preview, where that is out of sight: on a phone the options take its place. */

/** How far up the screen it has to come to be in sight. */
const IN_SIGHT = "0px 0px -30% 0px";

/** Let `link` show `image` while `place`, where it is, is further down; call what this gives after each change. */
export function glance(link, image, place) {
  const copy = link.querySelector("img");
  let below = false;
  const settle = () => {
    link.hidden = !below || !image.checkVisibility();
    if (!link.hidden && copy.src !== image.src) copy.src = image.src;
  };
  new IntersectionObserver(([entry]) => {
    below = !entry.isIntersecting && entry.boundingClientRect.top > 0;
    settle();
  }, { rootMargin: IN_SIGHT }).observe(place);
  return settle;
}
