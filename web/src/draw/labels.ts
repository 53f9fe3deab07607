// What stands beside objects: as large at every zoom, where there is room.
import { BitmapText, Container, Text, type TextStyle } from "pixi.js";
import type { Camera } from "../camera.js";
import type { Entry } from "../scene/entry.js";
import { sizeOf } from "../scene/shape.js";
import { knownLetters, labelStyle } from "./fonts.js";

const COUNT_MAX = 250;
const LENGTH_MAX = 48; // characters that are shown
const CELL_WIDTH = 8,
  CELL_HEIGHT = 16,
  LETTER_WIDTH = 7; // pixels

export interface Colours {
  label: number;
  mistake: number;
  ground: number;
}

/** How far its lower edge is from its place, in units. What is drawn by points has its label in the middle. */
function below({ look, scale }: Entry): number {
  return look.points.length ? 0 : ((sizeOf(look)[1] + look.stroke) / 2) * scale;
}

/** Which parts of the view have a label already. */
class Room {
  private readonly taken = new Set<number>();

  take(x: number, y: number, width: number): boolean {
    const row = Math.floor(y / CELL_HEIGHT);
    const from = Math.floor((x - width / 2) / CELL_WIDTH);
    const to = Math.floor((x + width / 2) / CELL_WIDTH);
    for (let column = from; column <= to; column++) if (this.taken.has(row * 4096 + column)) return false;
    for (let column = from; column <= to; column++) this.taken.add(row * 4096 + column);
    return true;
  }
}

export class Labels {
  readonly container = new Container();
  private readonly pool: (BitmapText | Text)[] = [];
  private shown: Entry[] = [];

  private styles!: { label: TextStyle; mistake: TextStyle };

  /** resolution: of the letters that they are made of; without it each is one picture. */
  constructor(
    colours: Colours,
    private readonly resolution?: number,
  ) {
    this.setColours(colours);
  }

  setColours({ label, mistake, ground }: Colours): void {
    this.styles = {
      label: labelStyle(label, ground, this.resolution),
      mistake: labelStyle(mistake, ground, this.resolution),
    };
  }

  private at(entry: Entry, camera: Camera): { x: number; y: number } {
    const { x, y } = camera.toView(entry.x, entry.y);
    return { x, y: y + Math.min(below(entry) * camera.scale, camera.height) + 4 };
  }

  /** Which ones: of those in front first. visible: in the order in which they are drawn. */
  pick(visible: Entry[], camera: Camera): void {
    const room = new Room();
    this.shown = [];
    for (let i = visible.length - 1; i >= 0 && this.shown.length < COUNT_MAX; i--) {
      const entry = visible[i];
      if (!entry?.look.label) continue;
      const { x, y } = this.at(entry, camera);
      const width = Math.min(entry.look.label.length, LENGTH_MAX) * LETTER_WIDTH;
      if (x < 0 || y < 0 || x > camera.width || y > camera.height || !room.take(x, y, width)) continue;
      this.shown.push(entry);
    }
    this.write();
  }

  /** A text again for each that is shown. */
  write(): void {
    this.shown.forEach((entry, i) => this.writeOne(this.node(i), entry));
    this.pool.forEach((node, i) => (node.visible = i < this.shown.length));
  }

  private node(i: number): BitmapText | Text {
    const options = { text: "", anchor: { x: 0.5, y: 0 }, style: this.styles.label, roundPixels: true };
    const node = (this.pool[i] ??= this.resolution ? new BitmapText(options) : new Text(options));
    if (!node.parent) this.container.addChild(node);
    return node;
  }

  private writeOne(node: BitmapText | Text, { look }: Entry): void {
    const line = look.label.replaceAll(/\s+/g, " ");
    const text = knownLetters(line.length > LENGTH_MAX ? `${line.slice(0, LENGTH_MAX)}…` : line);
    const style = look.kind === "mistake" ? this.styles.mistake : this.styles.label;
    if (node.style !== style) node.style = style;
    if (node.text !== text) node.text = text;
  }

  place(camera: Camera): void {
    this.shown.forEach((entry, i) => {
      const { x, y } = this.at(entry, camera);
      this.pool[i]?.position.set(Math.round(x), Math.round(y));
    });
  }
}
