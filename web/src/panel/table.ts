// The scene as a table: the same objects for who does not see the map.
import { byId, make, setText } from "../dom.js";
import type { Entry } from "../scene/entry.js";
import type { Store } from "../scene/store.js";
import { matches } from "./search.js";

const PAGE = 50;

function cells({ look }: Entry): string[] {
  const kind = look.kind === "sprite" ? look.source : look.kind;
  const words = look.kind === "mistake" ? look.reason : look.label || look.text;
  return [kind, look.x.toFixed(1), look.y.toFixed(1), words];
}

export class Table {
  private readonly panel = byId("table");
  private readonly body = byId("table-body");
  private readonly filter = byId<HTMLInputElement>("table-filter");
  private page = 0;
  private shown: string[] = [];

  constructor(
    private readonly store: Store,
    private readonly choose: (entry: Entry) => void,
  ) {
    byId("table-close").addEventListener("click", () => this.toggle(false));
    byId("table-before").addEventListener("click", () => this.turn(-1));
    byId("table-after").addEventListener("click", () => this.turn(1));
    this.filter.addEventListener("input", () => this.turn(-this.page));
    this.panel.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
  }

  toggle(isOpen = this.panel.hidden): void {
    this.panel.hidden = !isOpen;
    byId("tool-table").setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return byId("tool-table").focus();
    this.refresh();
    this.filter.focus();
  }

  private turn(by: number): void {
    this.page += by;
    this.refresh();
  }

  private entries(): Entry[] {
    const wanted = this.filter.value.trim().toLowerCase();
    const all = [...this.store.objects.values()].filter((entry) => !wanted || matches(entry, wanted));
    return all.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Rows stay where they are, with the focus in them, as long as their objects do. */
  refresh(): void {
    if (this.panel.hidden) return;
    const all = this.entries();
    const last = Math.max(0, Math.ceil(all.length / PAGE) - 1);
    this.page = Math.min(Math.max(0, this.page), last);
    const entries = all.slice(this.page * PAGE, (this.page + 1) * PAGE);
    if (entries.length !== this.shown.length || entries.some((entry, i) => entry.id !== this.shown[i]))
      this.body.replaceChildren(...entries.map((entry) => this.row(entry)));
    this.shown = entries.map((entry) => entry.id);
    entries.forEach((entry, i) => this.fill(this.body.children[i] as HTMLElement, entry));
    setText(byId("table-count"), `${all.length} objects, page ${this.page + 1} of ${last + 1}`);
    byId<HTMLButtonElement>("table-before").disabled = this.page === 0;
    byId<HTMLButtonElement>("table-after").disabled = this.page === last;
  }

  private row(entry: Entry): HTMLElement {
    const row = make("tr");
    const head = make("th");
    const button = make("button", entry.id);
    head.scope = "row";
    head.append(button);
    button.addEventListener("click", () => {
      const there = this.store.objects.get(entry.id);
      if (there) this.choose(there);
    });
    row.append(head, ...cells(entry).map((text) => make("td", text)));
    return row;
  }

  private fill(row: HTMLElement, entry: Entry): void {
    cells(entry).forEach((text, i) => setText(row.children[i + 1] as HTMLElement, text));
  }
}
