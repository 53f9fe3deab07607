// Where objects are: how large they are, and what is under a point.
import type { Rect } from "../camera.js";
import type { Entry } from "./entry.js";
import type { Look } from "./look.js";

const SPRITE_SIZE = 32; // of the page's own
const radii = new WeakMap<Look, number>();

/** Width and height before scale. An image's own size is known when it is there. */
export function sizeOf(look: Look, own = SPRITE_SIZE): [number, number] {
  if (look.kind === "text") return textSize(look);
  return [look.width || own, look.height || own];
}

function textSize(look: Look): [number, number] {
  const lines = look.text.split("\n");
  const longest = Math.max(...lines.map((line) => line.length));
  return [longest * look.size * 0.55, lines.length * look.size * 1.2];
}

function readRadius(look: Look): number {
  if (look.points.length) return Math.max(...look.points.map(([x, y]) => Math.hypot(x, y))) + look.stroke / 2;
  const [width, height] = sizeOf(look);
  return Math.hypot(width, height) / 2 + look.stroke / 2;
}

/** How far it reaches from its place, in units before scale. */
export function radiusOf(look: Look): number {
  let radius = radii.get(look);
  if (radius === undefined) radii.set(look, (radius = readRadius(look)));
  return radius;
}

export function isIn(entry: Entry, rect: Rect): boolean {
  const r = radiusOf(entry.look) * entry.scale;
  return entry.x + r >= rect.left && entry.x - r <= rect.right && entry.y + r >= rect.top && entry.y - r <= rect.bottom;
}

function distanceToSegment(x: number, y: number, [ax, ay]: [number, number], [bx, by]: [number, number]): number {
  const dx = bx - ax;
  const dy = by - ay;
  const square = dx * dx + dy * dy;
  const t = square ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square)) : 0;
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

function isInPolygon(x: number, y: number, points: [number, number][]): boolean {
  let isInside = false;
  points.forEach(([ax, ay], i) => {
    const [bx, by] = points[(i + 1) % points.length] ?? [ax, ay];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) isInside = !isInside;
  });
  return isInside;
}

function isOnLine(x: number, y: number, look: Look, slack: number): boolean {
  return look.points.some((point, i) => {
    const next = look.points[i + 1];
    return next !== undefined && distanceToSegment(x, y, point, next) <= look.stroke / 2 + slack;
  });
}

function isOnBox(x: number, y: number, look: Look, slack: number): boolean {
  const [width, height] = sizeOf(look);
  const halfWidth = width / 2 + look.stroke / 2 + slack;
  const halfHeight = height / 2 + look.stroke / 2 + slack;
  if (look.kind === "circle") return (x / halfWidth) ** 2 + (y / halfHeight) ** 2 <= 1;
  return Math.abs(x) <= halfWidth && Math.abs(y) <= halfHeight;
}

/** Is it at this place? slack: so many units beside it, too. */
export function isAt(entry: Entry, x: number, y: number, slack: number): boolean {
  const { look, scale } = entry;
  const dx = x - entry.x;
  const dy = y - entry.y;
  if (Math.hypot(dx, dy) > radiusOf(look) * scale + slack) return false;
  const cos = Math.cos(entry.rotation);
  const sin = Math.sin(entry.rotation);
  const ownX = (dx * cos + dy * sin) / scale;
  const ownY = (dy * cos - dx * sin) / scale;
  if (look.kind === "line") return isOnLine(ownX, ownY, look, slack / scale);
  if (look.kind === "polygon") return isInPolygon(ownX, ownY, look.points) || isOnLine(ownX, ownY, look, slack / scale);
  return isOnBox(ownX, ownY, look, slack / scale);
}

const boxes = new WeakMap<Look, Rect>();

/** Around its place, before rotation and scale. */
function boxOf(look: Look): Rect {
  let box = boxes.get(look);
  if (!box) {
    const [width, height] = sizeOf(look);
    const xs = look.points.length ? look.points.map(([x]) => x) : [-width / 2, width / 2];
    const ys = look.points.length ? look.points.map(([, y]) => y) : [-height / 2, height / 2];
    const more = look.stroke / 2;
    box = {
      left: Math.min(...xs) - more,
      right: Math.max(...xs) + more,
      top: Math.min(...ys) - more,
      bottom: Math.max(...ys) + more,
    };
    boxes.set(look, box);
  }
  return box;
}

/** What one of them covers: its box turned, and a box around that. */
function extent(entry: Entry): Rect {
  const { left, right, top, bottom } = boxOf(entry.look);
  const cos = Math.cos(entry.rotation) * entry.scale;
  const sin = Math.sin(entry.rotation) * entry.scale;
  const x = entry.x + ((left + right) / 2) * cos - ((top + bottom) / 2) * sin;
  const y = entry.y + ((left + right) / 2) * sin + ((top + bottom) / 2) * cos;
  const halfWidth = ((right - left) / 2) * Math.abs(cos) + ((bottom - top) / 2) * Math.abs(sin);
  const halfHeight = ((right - left) / 2) * Math.abs(sin) + ((bottom - top) / 2) * Math.abs(cos);
  return { left: x - halfWidth, right: x + halfWidth, top: y - halfHeight, bottom: y + halfHeight };
}

/** What all of them cover; null: there are none. */
export function boundsOf(entries: Iterable<Entry>): Rect | null {
  const rect = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const entry of entries) {
    const one = extent(entry);
    rect.left = Math.min(rect.left, one.left);
    rect.right = Math.max(rect.right, one.right);
    rect.top = Math.min(rect.top, one.top);
    rect.bottom = Math.max(rect.bottom, one.bottom);
  }
  return rect.left <= rect.right ? rect : null;
}
