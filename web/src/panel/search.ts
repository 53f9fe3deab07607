// Objects by their id or label.
import { byId, make } from "../dom.js";
import type { Entry } from "../scene/entry.js";
import type { Store } from "../scene/store.js";

const COUNT_MAX = 12;

export function matches(entry: Entry, wanted: string): boolean {
  return entry.id.toLowerCase().includes(wanted) || entry.look.label.toLowerCase().includes(wanted);
}

/** Those whose id begins so come first. */
export function find(store: Store, text: string, most: number): Entry[] {
  const wanted = text.trim().toLowerCase();
  const first: Entry[] = [];
  const rest: Entry[] = [];
  if (!wanted) return [];
  for (const entry of store.objects.values()) {
    if (entry.id.toLowerCase().startsWith(wanted)) first.push(entry);
    else if (rest.length < most && matches(entry, wanted)) rest.push(entry);
    if (first.length >= most) break;
  }
  return [...first.sort((a, b) => a.id.length - b.id.length), ...rest].slice(0, most);
}

export class Search {
  private readonly input = byId<HTMLInputElement>("search-text");
  private readonly list = byId("search-results");

  constructor(
    private readonly store: Store,
    private readonly choose: (entry: Entry) => void,
  ) {
    this.input.addEventListener("input", () => this.show());
    this.input.addEventListener("focus", () => this.show());
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const [first] = find(this.store, this.input.value, 1);
      if (first) this.take(first);
    });
    byId("search").addEventListener("keydown", (event) => this.onKey(event));
    byId("search").addEventListener("focusout", (event) => {
      if (!byId("search").contains(event.relatedTarget as Node | null)) this.list.hidden = true;
    });
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  private take(entry: Entry): void {
    this.list.hidden = true;
    this.choose(entry);
  }

  private show(): void {
    const found = find(this.store, this.input.value, COUNT_MAX);
    const items = found.map((entry) => {
      const button = make("button");
      button.type = "button";
      button.append(make("span", entry.id), make("small", entry.look.label));
      button.addEventListener("click", () => this.take(entry));
      const item = make("li");
      item.append(button);
      return item;
    });
    this.list.replaceChildren(
      ...(items.length ? items : [make("li", "No object has this in its id or label", "none")]),
    );
    this.list.hidden = !this.input.value.trim();
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      this.list.hidden = true;
      return;
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [this.input, ...this.list.querySelectorAll("button")];
    const at = stops.indexOf(document.activeElement as HTMLInputElement);
    const next = stops[(at + (event.key === "ArrowDown" ? 1 : stops.length - 1)) % stops.length];
    event.preventDefault();
    next?.focus();
  }
}
