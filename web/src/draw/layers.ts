// Which objects are drawn, and in what order: those that look like the page's own pictures together, where they stand
// together, and nodes of their own between. Made anew when objects come or go, or the view leaves what was prepared.
import { Container } from "pixi.js";
import type { Rect } from "../camera.js";
import type { Entry } from "../scene/entry.js";
import { isIn } from "../scene/shape.js";
import type { Bulk } from "./bulk.js";
import type { Images } from "./images.js";
import { isBulk, makeNode, type Node } from "./nodes.js";

const DRAWN_MAX = 60_000;

function order(a: Entry, b: Entry): number {
  return a.look.z - b.look.z || (a.id < b.id ? -1 : 1);
}

/** As many of them as can be drawn, evenly. */
function thin<T>(all: T[], most: number): T[] {
  const step = all.length / most;
  return step <= 1 ? all : Array.from({ length: most }, (_, i) => all[Math.floor(i * step)] as T);
}

function isFit(node: Node, { look }: Entry): boolean {
  return node.kind === (look.kind === "text" || look.kind === "image" ? look.kind : "drawn");
}

export class Layers {
  readonly container = new Container();
  visible: Entry[] = []; // as they are drawn, the hindmost first
  originX = 0; // what is drawn is near it: single precision is enough there
  originY = 0;
  private nodes = new Map<Entry, Node>();

  constructor(
    private readonly bulk: Bulk,
    private readonly images: Images,
    private ink: number,
  ) {}

  /** Nodes that were drawn with another go. */
  setInk(ink: number): void {
    this.ink = ink;
    this.container.removeChildren();
    this.nodes.forEach((node) => node.destroy());
    this.nodes.clear();
  }

  rebuild(entries: Iterable<Entry>, rect: Rect, scale: number): void {
    const all: Entry[] = [];
    for (const entry of entries) if (isIn(entry, rect)) all.push(entry);
    this.visible = thin(all.sort(order), DRAWN_MAX);
    this.originX = (rect.left + rect.right) / 2;
    this.originY = (rect.top + rect.bottom) / 2;
    const before = this.nodes;
    this.nodes = new Map();
    this.container.removeChildren();
    this.bulk.begin(this.originX, this.originY, scale);
    this.layOut(before);
    this.bulk.end();
    before.forEach((node) => node.destroy());
  }

  /** before: nodes there were; those that are used again are taken away. */
  private layOut(before: Map<Entry, Node>): void {
    let i = 0;
    while (i < this.visible.length) {
      let end = i;
      while (end < this.visible.length && isBulk((this.visible[end] as Entry).look)) end++;
      if (end === i) this.addNode(this.visible[i++] as Entry, before);
      else this.bulk.add(this.visible.slice(i, end), this.container);
      i = Math.max(i, end);
    }
  }

  private addNode(entry: Entry, before: Map<Entry, Node>): void {
    let node = before.get(entry);
    if (node && isFit(node, entry)) before.delete(entry);
    else node = makeNode(entry.look, this.images, this.ink);
    this.nodes.set(entry, node);
    this.container.addChild(node.container);
    this.refresh(entry);
  }

  /** Looks otherwise. */
  refresh(entry: Entry): void {
    const node = this.nodes.get(entry);
    if (!node) return this.bulk.refresh(entry);
    node.show(entry.look);
    this.move(entry);
  }

  /** Is elsewhere. */
  move(entry: Entry): void {
    const node = this.nodes.get(entry);
    if (node) node.place(entry, this.originX, this.originY);
    else this.bulk.move(entry);
  }
}
