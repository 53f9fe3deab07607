// Objects that are not one of thousands alike: lines, polygons, outlines, words, pictures. A node of its own each.
import { BitmapText, Container, Graphics, Sprite, Texture } from "pixi.js";
import type { Entry } from "../scene/entry.js";
import type { Look } from "../scene/look.js";
import { sizeOf } from "../scene/shape.js";
import { knownLetters, WORDS_SIZE, wordsStyle } from "./fonts.js";
import type { Images } from "./images.js";
import { noteTint } from "./tints.js";

const LARGE = 300; // units: larger ones would show the atlas's pixels

export interface Node {
  readonly kind: "drawn" | "text" | "image";
  readonly container: Container;
  show(look: Look): void;
  place(entry: Entry, originX: number, originY: number): void;
  destroy(): void;
}

/** May it be one of many particles? */
export function isBulk(look: Look): boolean {
  const isOutlined = look.stroke > 0 && look.kind !== "line";
  switch (look.kind) {
    case "sprite":
    case "mistake":
      return true;
    case "rect":
      return !isOutlined;
    case "circle":
    case "triangle":
      return !isOutlined && Math.max(look.width, look.height) * look.scale <= LARGE;
    default:
      return false;
  }
}

function put(container: Container, entry: Entry, originX: number, originY: number, unit = 1): void {
  container.position.set(entry.x - originX, entry.y - originY);
  container.rotation = entry.rotation;
  container.scale.set(entry.scale * unit);
}

function isSameShape(a: Look, b: Look): boolean {
  return (
    a.kind === b.kind &&
    a.width === b.width &&
    a.height === b.height &&
    a.stroke === b.stroke &&
    a.tint === b.tint &&
    a.points.length === b.points.length &&
    a.points.every(([x, y], i) => x === b.points[i]?.[0] && y === b.points[i]?.[1])
  );
}

class Drawn implements Node {
  readonly kind = "drawn";
  readonly container = new Graphics();
  private look: Look | null = null;

  constructor(private readonly ink: number) {}

  show(look: Look): void {
    this.container.alpha = look.alpha;
    if (this.look && isSameShape(this.look, look)) return;
    this.look = look;
    this.container.clear();
    if (look.kind === "line") this.drawLine(look);
    else this.drawArea(look);
  }

  private drawLine(look: Look): void {
    look.points.forEach(([x, y], i) => (i ? this.container.lineTo(x, y) : this.container.moveTo(x, y)));
    if (look.stroke > 0) this.container.stroke({ width: look.stroke, color: look.tint, cap: "round", join: "round" });
  }

  private drawArea(look: Look): void {
    const g = this.container;
    const [width, height] = sizeOf(look);
    if (look.kind === "polygon") g.poly(look.points.flat());
    else if (look.kind === "circle") g.ellipse(0, 0, width / 2, height / 2);
    else if (look.kind === "triangle") g.poly([0, -height / 2, width / 2, height / 2, -width / 2, height / 2]);
    else g.rect(-width / 2, -height / 2, width, height);
    g.fill(look.tint);
    if (look.stroke > 0) g.stroke({ width: look.stroke, color: this.ink, alpha: 0.7, join: "round" });
  }

  place(entry: Entry, originX: number, originY: number): void {
    put(this.container, entry, originX, originY);
  }

  destroy(): void {
    this.container.destroy();
  }
}

class Words implements Node {
  readonly kind = "text";
  readonly container = new BitmapText({ text: "", anchor: 0.5, style: wordsStyle() });

  show(look: Look): void {
    const text = knownLetters(look.text);
    if (this.container.text !== text) this.container.text = text;
    noteTint((this.container.tint = look.tint));
    this.container.alpha = look.alpha;
  }

  place(entry: Entry, originX: number, originY: number): void {
    put(this.container, entry, originX, originY, entry.look.size / WORDS_SIZE);
  }

  destroy(): void {
    this.container.destroy();
  }
}

class Picture implements Node {
  readonly kind = "image";
  readonly container = new Sprite({ texture: Texture.EMPTY, anchor: 0.5 });
  private source = "";

  constructor(private readonly images: Images) {}

  show(look: Look): void {
    if (this.source !== look.source) {
      this.give();
      this.source = look.source;
      this.container.texture = this.images.use(look.source) ?? Texture.EMPTY;
    } else if (this.container.texture === Texture.EMPTY) {
      this.container.texture = this.images.use(look.source) ?? Texture.EMPTY;
      this.images.release(look.source); // it was counted before
    }
    noteTint((this.container.tint = look.tint));
    this.container.alpha = look.alpha;
  }

  place(entry: Entry, originX: number, originY: number): void {
    const { texture } = this.container;
    const { look } = entry;
    put(this.container, entry, originX, originY);
    this.container.scale.x *= (look.width || texture.width) / Math.max(1, texture.width);
    this.container.scale.y *= (look.height || texture.height) / Math.max(1, texture.height);
  }

  private give(): void {
    this.container.texture = Texture.EMPTY;
    if (this.source) this.images.release(this.source);
    this.source = "";
  }

  destroy(): void {
    this.give();
    this.container.destroy();
  }
}

export function makeNode(look: Look, images: Images, ink: number): Node {
  if (look.kind === "text") return new Words();
  return look.kind === "image" ? new Picture(images) : new Drawn(ink);
}
