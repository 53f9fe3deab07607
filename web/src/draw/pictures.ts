// The page's own pictures: shapes and sprites, each in a square from -64 to 64.
import { Rectangle } from "pixi.js";

export const PICTURE_SIDE = 120; // the middle of that square, which is shown: what is painted fills it

const INK = "#1e293b";

export type Painter = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
type Draw = (c: Painter) => void;

function fill(c: Painter, colour: string, path: () => void): void {
  c.fillStyle = colour;
  c.beginPath();
  path();
  c.fill();
}

function box(c: Painter, colour: string, x: number, y: number, w: number, h: number, r = 0): void {
  fill(c, colour, () => c.roundRect(x, y, w, h, r));
}

function disc(c: Painter, colour: string, x: number, y: number, r: number): void {
  fill(c, colour, () => c.arc(x, y, r, 0, 7));
}

function shape(c: Painter, colour: string, points: number[]): void {
  fill(c, colour, () => {
    for (let i = 0; i < points.length; i += 2) c.lineTo(points[i] ?? 0, points[i + 1] ?? 0);
  });
}

function stroke(c: Painter, colour: string, width: number, path: () => void): void {
  c.strokeStyle = colour;
  c.lineWidth = width;
  c.lineCap = c.lineJoin = "round";
  c.beginPath();
  path();
  c.stroke();
}

/** Seen from above, driving to the right; bodies nearly white, so that the tint is their colour. */
function vehicle(c: Painter, length: number, breadth: number, panes: [number, number][]): void {
  const x = -length / 2;
  const y = -breadth / 2;
  box(c, INK, x - 3, y - 3, length + 6, breadth + 6, 14);
  box(c, "#f8fafc", x, y, length, breadth, 12);
  for (const [from, width] of panes) box(c, "#334155", x + from * length, y + 6, width * length, breadth - 12, 5);
}

const PICTURES: Record<string, Draw> = {
  circle: (c) => disc(c, "#fff", 0, 0, 60),
  rect: (c) => box(c, "#fff", -60, -60, 120, 120),
  triangle: (c) => shape(c, "#fff", [0, -60, 60, 60, -60, 60]),
  mistake: (c) => {
    box(c, "#fff7ed", -56, -56, 112, 112, 16);
    c.setLineDash([18, 12]);
    stroke(c, "#b91c1c", 8, () => c.roundRect(-56, -56, 112, 112, 16));
    c.setLineDash([]);
    stroke(c, "#b91c1c", 14, () => (c.moveTo(0, -30), c.lineTo(0, 8)));
    disc(c, "#b91c1c", 0, 32, 8);
  },
  dot: (c) => (disc(c, INK, 0, 0, 44), disc(c, "#fff", 0, 0, 36)),
  pin: (c) => {
    fill(c, INK, () => (c.arc(0, -20, 40, 2.6, 0.54), c.lineTo(0, 60), c.closePath()));
    fill(c, "#fff", () => (c.arc(0, -20, 33, 2.6, 0.54), c.lineTo(0, 48), c.closePath()));
    disc(c, INK, 0, -20, 14);
  },
  house: (c) => {
    box(c, INK, -42, -14, 84, 70, 4);
    box(c, "#fff", -36, -8, 72, 58);
    shape(c, "#dc6a4b", [-58, -6, 0, -56, 58, -6]);
    box(c, INK, -12, 14, 24, 36);
  },
  tree: (c) => (disc(c, "#166534", 0, 0, 52), disc(c, "#22a055", -4, -4, 44), disc(c, "#4ade80", -14, -16, 16)),
  car: (c) =>
    vehicle(c, 100, 54, [
      [0.2, 0.14],
      [0.58, 0.16],
    ]),
  bus: (c) =>
    vehicle(c, 116, 46, [
      [0.08, 0.2],
      [0.34, 0.2],
      [0.6, 0.18],
      [0.86, 0.08],
    ]),
  tram: (c) => {
    vehicle(c, 118, 36, [
      [0.04, 0.16],
      [0.26, 0.16],
      [0.58, 0.16],
      [0.8, 0.16],
    ]);
    box(c, INK, -3, -21, 6, 42);
  },
  bicycle: (c) => {
    const path = (): void => {
      c.arc(-32, 16, 22, 0, 7);
      c.moveTo(54, 16);
      c.arc(32, 16, 22, 0, 7);
      for (const [i, x, y] of [
        [0, -32, 16],
        [1, -14, -24],
        [1, 20, -24],
        [1, 32, 16],
        [0, -14, -24],
        [1, 2, 16],
        [1, 20, -24],
        [1, 16, -40],
        [1, 30, -40],
      ])
        i ? c.lineTo(x ?? 0, y ?? 0) : c.moveTo(x ?? 0, y ?? 0);
    };
    stroke(c, INK, 13, path);
    stroke(c, "#fff", 6, path);
  },
  person: (c) => {
    fill(c, INK, () => c.ellipse(0, 0, 26, 46, 0, 0, 7));
    fill(c, "#fff", () => c.ellipse(0, 0, 20, 40, 0, 0, 7));
    disc(c, INK, 4, 0, 20);
    disc(c, "#f1c9a5", 4, 0, 15);
  },
  boat: (c) => {
    shape(c, INK, [-58, -28, 20, -28, 60, 0, 20, 28, -58, 28]);
    shape(c, "#fff", [-52, -22, 18, -22, 50, 0, 18, 22, -52, 22]);
    box(c, "#334155", -34, -12, 36, 24, 5);
  },
  arrow: (c) => {
    const outline = [-52, -14, 6, -14, 6, -42, 58, 0, 6, 42, 6, 14, -52, 14];
    shape(c, "#fff", outline);
    stroke(
      c,
      INK,
      6,
      () => (outline.forEach((_, i) => i % 2 || c.lineTo(outline[i] ?? 0, outline[i + 1] ?? 0)), c.closePath()),
    );
  },
};

export const PICTURE_NAMES: readonly string[] = Object.keys(PICTURES);

/** Paints it around the origin. */
export function paint(c: Painter, name: string): void {
  c.save();
  PICTURES[name]?.(c);
  c.restore();
}

/** Where these pixels are not transparent, and one pixel around it for the smoothing. */
function paintedPart({ data, width, height }: ImageData): Rectangle {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 0; i < width * height; i++) {
    if (!data[4 * i + 3]) continue;
    const x = i % width;
    const y = Math.floor(i / width);
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  }
  [left, top] = [Math.max(0, left - 1), Math.max(0, top - 1)];
  return new Rectangle(left, top, Math.min(width, right + 1) - left, Math.min(height, bottom + 1) - top);
}

const parts = new Map<string, Rectangle>();

/** What of its square of PICTURE_SIDE is painted, from its upper left corner. The rest would cost, and show nothing. */
export function partOf(name: string): Rectangle {
  let part = parts.get(name);
  if (!part) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = PICTURE_SIDE;
    const c = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
    c.translate(PICTURE_SIDE / 2, PICTURE_SIDE / 2);
    paint(c, name);
    parts.set(name, (part = paintedPart(c.getImageData(0, 0, PICTURE_SIDE, PICTURE_SIDE))));
  }
  return part;
}
