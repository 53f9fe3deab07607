// What a person should know, until he puts it away.
import { byId, make } from "../dom.js";

const COUNT_MAX = 4;

export class Notices {
  private readonly list = byId("notices");

  add(text: string): void {
    for (const old of [...this.list.children]) if (old.firstChild?.textContent === text) old.remove();
    const item = make("li");
    const close = make("button", "Dismiss");
    close.addEventListener("click", () => item.remove());
    item.append(make("span", text), close);
    this.list.append(item);
    while (this.list.children.length > COUNT_MAX) this.list.firstElementChild?.remove();
  }
}
