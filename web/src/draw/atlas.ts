// One texture that holds all of the page's own pictures, so that thousands of objects are one draw call.
import { CanvasSource, Rectangle, Texture } from "pixi.js";
import { paint, partOf, PICTURE_NAMES, PICTURE_SIDE } from "./pictures.js";

const CELL = 128; // PICTURE_SIDE, and room so that nothing of a neighbour shows
const COLUMNS = 4;

export class Atlas {
  private readonly textures = new Map<string, Texture>();

  constructor() {
    const canvas = document.createElement("canvas");
    canvas.width = CELL * COLUMNS;
    canvas.height = CELL * Math.ceil(PICTURE_NAMES.length / COLUMNS);
    const c = canvas.getContext("2d");
    if (!c) throw new Error("this browser has no 2D canvas");
    const source = new CanvasSource({ resource: canvas, scaleMode: "linear", autoGenerateMipmaps: true });
    PICTURE_NAMES.forEach((name, i) => {
      const x = ((i % COLUMNS) + 0.5) * CELL;
      const y = (Math.floor(i / COLUMNS) + 0.5) * CELL;
      c.setTransform(1, 0, 0, 1, x, y);
      paint(c, name);
      this.textures.set(name, this.cut(source, name, x - PICTURE_SIDE / 2, y - PICTURE_SIDE / 2));
    });
  }

  private cut(source: CanvasSource, name: string, x: number, y: number): Texture {
    const trim = partOf(name);
    const frame = new Rectangle(x + trim.x, y + trim.y, trim.width, trim.height);
    return new Texture({ source, frame, trim, orig: new Rectangle(0, 0, PICTURE_SIDE, PICTURE_SIDE) });
  }

  get(name: string): Texture {
    return this.textures.get(name) ?? Texture.WHITE;
  }
}
