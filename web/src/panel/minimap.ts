// All of the scene in a corner, and which part of it is in sight. A click goes there.
import type { Camera, Rect } from "../camera.js";
import { byId } from "../dom.js";
import { boundsOf } from "../scene/shape.js";
import type { Store } from "../scene/store.js";

const DOTS_MAX = 3000;

export interface MinimapColours {
  dot: string;
  frame: string;
}

/** All objects and all that is in sight; null: there are no objects. */
function union(a: Rect | null, b: Rect): Rect | null {
  return (
    a && {
      left: Math.min(a.left, b.left),
      right: Math.max(a.right, b.right),
      top: Math.min(a.top, b.top),
      bottom: Math.max(a.bottom, b.bottom),
    }
  );
}

export class Minimap {
  private readonly canvas = byId<HTMLCanvasElement>("minimap");
  private bounds: Rect | null = null;
  private scale = 1;

  constructor(
    private readonly store: Store,
    private readonly camera: Camera,
    private readonly colours: () => MinimapColours,
  ) {
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.go(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons && this.go(event));
  }

  private go(event: PointerEvent): void {
    if (!this.bounds) return;
    const { left, top } = this.middle();
    this.camera.goTo(left + event.offsetX / this.scale, top + event.offsetY / this.scale, this.camera.scale, 120);
  }

  /** The corner of what the canvas shows: the bounds stand in its middle. */
  private middle(): { left: number; top: number } {
    const { left, right, top, bottom } = this.bounds ?? { left: 0, right: 0, top: 0, bottom: 0 };
    return {
      left: (left + right - this.canvas.clientWidth / this.scale) / 2,
      top: (top + bottom - this.canvas.clientHeight / this.scale) / 2,
    };
  }

  draw(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const c = this.canvas.getContext("2d");
    this.bounds = union(boundsOf(this.store.objects.values()), this.camera.rect());
    if (!c || !width) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    c.scale(ratio, ratio);
    if (!this.bounds) return;
    const { left, right, top, bottom } = this.bounds;
    this.scale = Math.min((width - 12) / Math.max(1, right - left), (height - 12) / Math.max(1, bottom - top));
    this.drawDots(c);
    this.drawFrame(c);
  }

  private drawDots(c: CanvasRenderingContext2D): void {
    const corner = this.middle();
    const step = Math.max(1, Math.ceil(this.store.objects.size / DOTS_MAX));
    let i = 0;
    c.fillStyle = this.colours().dot;
    for (const entry of this.store.objects.values())
      if (i++ % step === 0)
        c.fillRect((entry.x - corner.left) * this.scale - 1, (entry.y - corner.top) * this.scale - 1, 2, 2);
  }

  private drawFrame(c: CanvasRenderingContext2D): void {
    const corner = this.middle();
    const seen = this.camera.rect();
    const x = (seen.left - corner.left) * this.scale;
    const y = (seen.top - corner.top) * this.scale;
    c.strokeStyle = this.colours().frame;
    c.lineWidth = 1.5;
    c.strokeRect(
      x,
      y,
      Math.max(4, (seen.right - seen.left) * this.scale),
      Math.max(4, (seen.bottom - seen.top) * this.scale),
    );
  }
}
