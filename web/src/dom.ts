/** The element of this id; they are all in index.html. */
export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found as T;
}

/** An element with this text. Text is never read as HTML. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  text = "",
  className = "",
): HTMLElementTagNameMap[K] {
  const out = document.createElement(tag);
  out.textContent = text;
  out.className = className;
  return out;
}

/** Only where it is otherwise: nothing is laid out again for the same text. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A colour of page.css, as 0xrrggbb. */
export function colourOf(name: string): number {
  return Number.parseInt(getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1), 16);
}

/** The other way round. */
export function cssColour(colour: number): string {
  return `#${colour.toString(16).padStart(6, "0")}`;
}
