// The object that is selected, with its data.
import { byId, make, setText } from "../dom.js";
import type { Entry } from "../scene/entry.js";
import type { Look } from "../scene/look.js";

const DATA_MAX = 20_000; // characters that are shown

function number(value: number): string {
  return String(Number(value.toPrecision(7)));
}

function kindOf(look: Look): string {
  if (look.kind === "sprite") return look.source;
  return look.kind === "image" ? "picture" : look.kind;
}

function rows(entry: Entry): [string, string][] {
  const { look } = entry;
  const all: [string, string][] = [
    ["Kind", kindOf(look)],
    ["Place", `${number(look.x)}, ${number(look.y)}`],
    ["Layer", String(look.z)],
  ];
  if (look.rotation) all.push(["Rotation", `${number((look.rotation * 180) / Math.PI)}°`]);
  if (look.kind === "mistake") all.push(["Mistake", look.reason]);
  else if (look.label) all.push(["Label", look.label]);
  if (look.text) all.push(["Text", look.text]);
  return all;
}

export class Selection {
  entry: Entry | null = null;
  onChange: (entry: Entry | null) => void = () => {};
  private shown: Look | null = null;
  private readonly panel = byId("selection");

  constructor(goTo: (entry: Entry) => void) {
    byId("selection-close").addEventListener("click", () => {
      this.select(null);
      byId("map").focus();
    });
    byId("selection-go").addEventListener("click", () => this.entry && goTo(this.entry));
  }

  select(entry: Entry | null): void {
    this.entry = entry;
    this.shown = null;
    this.panel.hidden = !entry;
    this.onChange(entry);
    this.refresh();
  }

  /** What is said of it may have changed, and it may be gone. */
  refresh(isThere = true): void {
    if (!this.entry || this.entry.look === this.shown) return this.note(isThere);
    const { id, look } = this.entry;
    this.shown = look;
    setText(byId("selection-id"), id);
    const list = byId("selection-rows");
    list.replaceChildren(...rows(this.entry).flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
    const data = look.data ? JSON.stringify(look.data, null, 2) : "";
    setText(byId("selection-data"), data.length > DATA_MAX ? `${data.slice(0, DATA_MAX)}\n…` : data);
    byId("selection-data").hidden = !data;
    this.note(isThere);
  }

  private note(isThere: boolean): void {
    byId("selection-gone").hidden = isThere || !this.entry;
  }
}
