// Many objects without a graphics card, where each pixel costs: a picture is painted once as it is shown, in its size,
// colour and direction, and stamped wherever an object looks like that, pixel upon pixel.
import { type CanvasRenderer, type Container, type Renderer, RenderContainer } from "pixi.js";
import { cssColour } from "../dom.js";
import type { Entry } from "../scene/entry.js";
import type { Look } from "../scene/look.js";
import { radiusOf, sizeOf } from "../scene/shape.js";
import { type Bulk, LEAST_PX, pictureOf } from "./bulk.js";
import { paint, type Painter, partOf, PICTURE_SIDE } from "./pictures.js";

const STAMP_MOST_PX = 200; // of a side: larger ones are painted where they stand
const PIXELS_MAX = 8 * 2 ** 20; // of all stamps: 32 MiB
const MADE_MAX = 256; // in one frame; what is over it is painted where it stands
const DIRECTIONS_MAX = 256;
const ROUND = ["circle", "dot"]; // they look the same in each direction

interface Stamp {
  image: ImageBitmap;
  left: number; // of its corner, from the object's place
  top: number;
}

/** Stamps that differ in their direction only. */
interface Family {
  name: string;
  tint: number;
  width: number; // device pixels
  height: number;
  directions: (Stamp | undefined)[];
}

interface Placed {
  entry: Entry;
  family: Family;
  look: Look; // for which the family was looked up
  scale: number;
  era: number;
}

const NONE: Family = { name: "", tint: 0, width: 0, height: 0, directions: [] };

function contextOf(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const c = new OffscreenCanvas(width, height).getContext("2d");
  if (!c) throw new Error("this browser has no 2D canvas");
  return c;
}

/** How many are needed, so that turning moves nothing by more than a pixel. */
function countDirections(name: string, width: number, height: number): number {
  if (ROUND.includes(name) && width === height) return 1;
  return Math.min(DIRECTIONS_MAX, Math.max(8, Math.ceil(Math.PI * Math.hypot(width, height))));
}

/** The box around what is painted of a picture, in device pixels from the object's place. */
function boxOf(
  { name, width, height }: Family,
  cos: number,
  sin: number,
): { x: number; y: number; w: number; h: number } {
  const part = partOf(name);
  const [scaleX, scaleY] = [width / PICTURE_SIDE, height / PICTURE_SIDE];
  const middleX = (part.x + part.width / 2 - PICTURE_SIDE / 2) * scaleX;
  const middleY = (part.y + part.height / 2 - PICTURE_SIDE / 2) * scaleY;
  const halfX = (part.width / 2) * scaleX;
  const halfY = (part.height / 2) * scaleY;
  const reachX = Math.abs(halfX * cos) + Math.abs(halfY * sin);
  const reachY = Math.abs(halfX * sin) + Math.abs(halfY * cos);
  const x = Math.floor(middleX * cos - middleY * sin - reachX);
  const y = Math.floor(middleX * sin + middleY * cos - reachY);
  return { x, y, w: Math.ceil(2 * reachX) + 1, h: Math.ceil(2 * reachY) + 1 };
}

/** Around the origin, of this size and direction. */
function paintTurned(c: Painter, { name, width, height }: Family, cos: number, sin: number): void {
  const [scaleX, scaleY] = [width / PICTURE_SIDE, height / PICTURE_SIDE];
  c.transform(cos * scaleX, sin * scaleX, -sin * scaleY, cos * scaleY, 0, 0);
  paint(c, name);
}

/** The same picture multiplied with a colour. */
function tinted(c: OffscreenCanvasRenderingContext2D, tint: number): OffscreenCanvasRenderingContext2D {
  const { width, height } = c.canvas;
  const out = contextOf(width, height);
  out.drawImage(c.canvas, 0, 0);
  out.globalCompositeOperation = "multiply";
  out.fillStyle = cssColour(tint);
  out.fillRect(0, 0, width, height);
  out.globalCompositeOperation = "destination-in";
  out.drawImage(c.canvas, 0, 0);
  return out;
}

function finish(c: OffscreenCanvasRenderingContext2D, tint: number): ImageBitmap {
  return (tint === 0xffffff ? c : tinted(c, tint)).canvas.transferToImageBitmap();
}

function makeStamp(family: Family, angle: number): Stamp {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const { x, y, w, h } = boxOf(family, cos, sin);
  const c = contextOf(w, h);
  c.translate(-x, -y);
  paintTurned(c, family, cos, sin);
  return { image: finish(c, family.tint), left: x, top: y };
}

/** All of it in its own size, twice as large as a graphics card has it. */
function makePicture(name: string, tint: number): ImageBitmap {
  const side = 2 * PICTURE_SIDE;
  const c = contextOf(side, side);
  c.translate(side / 2, side / 2);
  c.scale(2, 2);
  paint(c, name);
  return finish(c, tint);
}

/** A number of 0 to count - 1 for each direction. */
function directionOf(angle: number, count: number): number {
  const at = Math.round((angle / (2 * Math.PI)) * count) % count;
  return at < 0 ? at + count : at;
}

export class Stamps implements Bulk {
  private readonly families = new Map<string, Family>();
  private readonly pictures = new Map<string, ImageBitmap>(); // for what is too large, or too much, by name and tint
  private runs: RenderContainer[] = [];
  private pixels = 0;
  private made = 0; // in this frame
  private era = 0; // rises when families that were looked up before do not hold any more
  private zoom = 0; // device pixels for one unit
  private resolution = 1;
  private originX = 0;
  private originY = 0;

  begin(originX: number, originY: number): void {
    this.originX = originX;
    this.originY = originY;
    this.runs.splice(0).forEach((run) => run.destroy());
  }

  add(entries: Entry[], container: Container): void {
    const all = entries.map((entry): Placed => ({ entry, family: NONE, look: entry.look, scale: 0, era: -1 }));
    const run = new RenderContainer({ render: (renderer) => this.draw(renderer, run, all) });
    this.runs.push(run);
    container.addChild(run);
  }

  // Each frame looks at the objects themselves.
  end(): void {}
  refresh(): void {}
  move(): void {}

  upload(): void {
    this.made = 0;
    if (this.pixels > PIXELS_MAX) this.forget();
  }

  private forget(): void {
    for (const { directions } of this.families.values()) for (const stamp of directions) stamp?.image.close();
    for (const image of this.pictures.values()) image.close();
    this.families.clear();
    this.pictures.clear();
    this.pixels = 0;
    this.era++;
  }

  private draw(renderer: Renderer, run: RenderContainer, all: Placed[]): void {
    const { activeContext, activeResolution } = (renderer as unknown as CanvasRenderer).canvasContext;
    const c = activeContext as unknown as CanvasRenderingContext2D;
    const { a, tx, ty } = run.worldTransform;
    const zoom = a * activeResolution;
    if (zoom !== this.zoom) this.era++;
    this.zoom = zoom;
    this.resolution = activeResolution;
    c.save();
    c.setTransform(1, 0, 0, 1, 0, 0);
    const { width, height } = c.canvas;
    for (const placed of all) {
      const { entry } = placed;
      const x = (entry.x - this.originX) * zoom + tx * activeResolution;
      const y = (entry.y - this.originY) * zoom + ty * activeResolution;
      const reach = radiusOf(entry.look) * entry.scale * zoom + LEAST_PX * activeResolution;
      if (x + reach >= 0 && y + reach >= 0 && x - reach <= width && y - reach <= height) this.drawOne(c, placed, x, y);
    }
    c.restore();
  }

  private drawOne(c: CanvasRenderingContext2D, placed: Placed, x: number, y: number): void {
    const { entry } = placed;
    if (placed.look !== entry.look || placed.scale !== entry.scale || placed.era !== this.era) this.lookUp(placed);
    if (c.globalAlpha !== entry.look.alpha) c.globalAlpha = entry.look.alpha;
    const stamp = this.stampOf(placed.family, entry.rotation);
    if (stamp) c.drawImage(stamp.image, Math.round(x) + stamp.left, Math.round(y) + stamp.top);
    else this.drawThere(c, placed.family, x, y, entry.rotation);
  }

  private lookUp(placed: Placed): void {
    const { entry } = placed;
    const { look } = entry;
    const [ownWidth, ownHeight] = sizeOf(look);
    const unit = entry.scale * this.zoom;
    const grow = Math.max(unit, (LEAST_PX * this.resolution) / Math.max(ownWidth, ownHeight));
    const width = Math.max(1, Math.round(ownWidth * grow));
    const height = Math.max(1, Math.round(ownHeight * grow));
    const name = pictureOf(look);
    const key = `${name} ${look.tint} ${width} ${height}`;
    let family = this.families.get(key);
    if (!family) {
      const count = countDirections(name, width, height);
      family = { name, tint: look.tint, width, height, directions: Array.from({ length: count }) };
      this.families.set(key, family);
    }
    Object.assign(placed, { family, look, scale: entry.scale, era: this.era });
  }

  /** undefined: too large, or too many were made already. */
  private stampOf(family: Family, angle: number): Stamp | undefined {
    const { directions, width, height } = family;
    const at = directionOf(angle, directions.length);
    const stamp = directions[at];
    if (stamp || Math.max(width, height) > STAMP_MOST_PX || this.made >= MADE_MAX) return stamp;
    const made = makeStamp(family, (at / directions.length) * 2 * Math.PI);
    directions[at] = made;
    this.made++;
    this.pixels += made.image.width * made.image.height;
    return made;
  }

  private drawThere(c: CanvasRenderingContext2D, family: Family, x: number, y: number, angle: number): void {
    const { name, tint, width, height } = family;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    c.setTransform(cos, sin, -sin, cos, x, y);
    if (name === "rect") {
      c.fillStyle = cssColour(tint);
      c.fillRect(-width / 2, -height / 2, width, height);
    } else c.drawImage(this.pictureFor(name, tint), -width / 2, -height / 2, width, height);
    c.setTransform(1, 0, 0, 1, 0, 0);
  }

  private pictureFor(name: string, tint: number): ImageBitmap {
    const key = `${name} ${tint}`;
    let image = this.pictures.get(key);
    if (!image) {
      image = makePicture(name, tint);
      this.pictures.set(key, image);
      this.pixels += image.width * image.height;
    }
    return image;
  }
}
