// What part of the plane is in sight: its middle, and CSS pixels for one unit.

export const SCALE_LEAST = 1e-6,
  SCALE_MOST = 1000;

export interface Rect {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

interface Way {
  from: [number, number, number];
  to: [number, number, number];
  startMs: number;
  lengthMs: number;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

function ease(t: number): number {
  return t < 0.5 ? 2 * t * t : 1 - (2 - 2 * t) ** 2 / 2;
}

export class Camera {
  x = 0;
  y = 0;
  scale = 1;
  width = 1; // of the view, CSS pixels
  height = 1;
  isMotionReduced = false;
  version = 0; // rises with every change
  private way: Way | null = null;

  get isTravelling(): boolean {
    return this.way !== null;
  }

  resize(width: number, height: number): void {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.version++;
  }

  set(x: number, y: number, scale = this.scale): void {
    this.x = clamp(x, -1e9, 1e9);
    this.y = clamp(y, -1e9, 1e9);
    this.scale = clamp(scale, SCALE_LEAST, SCALE_MOST);
    this.version++;
  }

  /** In pixels of the view. */
  panBy(dx: number, dy: number): void {
    this.way = null;
    this.set(this.x + dx / this.scale, this.y + dy / this.scale);
  }

  /** What is at this pixel stays there. */
  zoomAt(px: number, py: number, factor: number): void {
    this.way = null;
    const before = this.toWorld(px, py);
    this.set(this.x, this.y, this.scale * factor);
    const after = this.toWorld(px, py);
    this.set(this.x + before.x - after.x, this.y + before.y - after.y);
  }

  goTo(x: number, y: number, scale = this.scale, lengthMs = 350, nowMs = performance.now()): void {
    if (this.isMotionReduced || lengthMs === 0) return this.set(x, y, scale);
    const to = clamp(scale, SCALE_LEAST, SCALE_MOST);
    this.way = { from: [this.x, this.y, Math.log(this.scale)], to: [x, y, Math.log(to)], startMs: nowMs, lengthMs };
  }

  fit(rect: Rect): void {
    const marginPx = Math.min(60, 0.06 * Math.min(this.width, this.height));
    const width = Math.max(rect.right - rect.left, 1);
    const height = Math.max(rect.bottom - rect.top, 1);
    const room = (pixels: number): number => Math.max(pixels - 2 * marginPx, pixels / 4);
    const scale = Math.min(room(this.width) / width, room(this.height) / height, 4);
    this.goTo((rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2, scale);
  }

  /** True while it is on its way. */
  step(nowMs: number): boolean {
    if (!this.way) return false;
    const { from, to, startMs, lengthMs } = this.way;
    const t = clamp((nowMs - startMs) / lengthMs, 0, 1);
    const part = ease(t);
    const at = from.map((start, i) => start + ((to[i] ?? 0) - start) * part);
    if (t === 1) this.way = null;
    this.set(at[0] ?? 0, at[1] ?? 0, Math.exp(at[2] ?? 0));
    return true;
  }

  toWorld(px: number, py: number): { x: number; y: number } {
    return { x: this.x + (px - this.width / 2) / this.scale, y: this.y + (py - this.height / 2) / this.scale };
  }

  toView(x: number, y: number): { x: number; y: number } {
    return { x: (x - this.x) * this.scale + this.width / 2, y: (y - this.y) * this.scale + this.height / 2 };
  }

  /** In units; margin: so many views more on each side. */
  rect(margin = 0): Rect {
    const halfWidth = (this.width / this.scale) * (0.5 + margin);
    const halfHeight = (this.height / this.scale) * (0.5 + margin);
    return {
      left: this.x - halfWidth,
      right: this.x + halfWidth,
      top: this.y - halfHeight,
      bottom: this.y + halfHeight,
    };
  }
}
