// What could not be read, and why.
import { byId, make, setText } from "../dom.js";
import type { Store } from "../scene/store.js";

const SHOWN = 100;

export class Mistakes {
  private readonly button = byId<HTMLButtonElement>("mistakes-count");
  private readonly panel = byId("mistakes");

  constructor(private readonly store: Store) {
    this.button.addEventListener("click", () => this.toggle(this.panel.hidden));
    byId("mistakes-close").addEventListener("click", () => this.toggle(false));
    this.panel.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
  }

  private toggle(isOpen: boolean): void {
    this.panel.hidden = !isOpen;
    this.button.setAttribute("aria-expanded", String(isOpen));
    this.refresh();
    (isOpen ? byId("mistakes-close") : this.button).focus();
  }

  refresh(): void {
    const count = this.store.mistakes.size;
    this.button.hidden = count === 0;
    setText(this.button, count === 1 ? "1 mistake" : `${count} mistakes`);
    if (this.panel.hidden) return;
    const items = [...this.store.mistakes]
      .slice(0, SHOWN)
      .flatMap(([topic, reason]) => [make("dt", topic), make("dd", reason)]);
    byId("mistakes-list").replaceChildren(...items);
  }
}
