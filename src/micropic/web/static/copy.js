/** Buttons that copy the text of another element, named by their `data-copy`. */

const SHOWN = 1500;

/** Let every such button work; `say(text)` tells what was done. */
export function onCopy(say) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(button, say));
  }
}

async function copy(button, say) {
  const code = document.getElementById(button.dataset.copy);
  const copied = await write(code);
  say(copied ? "Copied." : "The text is marked: copy it with the keyboard.");
  if (!copied) return;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, SHOWN);
}

async function write(code) {
  try {
    // There is none where the page came by plain http from another machine.
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}
