// What a person does on the map, said to whoever listens to event/scene/#.
import type { Link } from "./link.js";
import { CAMERA, CLICK, DRAG } from "./scene/topics.js";

const CAMERA_MS = 200;
const MOVE_MS = 40;

export type Phase = "start" | "move" | "end";

function round(value: number): number {
  return Number(value.toPrecision(9));
}

export class Events {
  private cameraMs = 0;
  private moveMs = 0;
  private cameraTimer = 0;

  constructor(private readonly link: Link) {}

  click(id: string | null, x: number, y: number, button: number): void {
    this.link.publish(CLICK, { id, x: round(x), y: round(y), button });
  }

  /** The first and the last are stored; of those between some may be left out. */
  drag(id: string, x: number, y: number, phase: Phase): void {
    const payload = { id, x: round(x), y: round(y), phase };
    if (phase !== "move") return this.link.publish(DRAG, payload);
    const nowMs = performance.now();
    if (nowMs - this.moveMs < MOVE_MS) return;
    this.moveMs = nowMs;
    this.link.notify(DRAG, payload);
  }

  /** Now and then while it moves, and where it comes to rest. */
  camera(view: { x: number; y: number; scale: number; width: number; height: number }): void {
    const { x, y, scale, width, height } = view;
    const say = (): void => {
      this.cameraMs = performance.now();
      this.link.notify(CAMERA, {
        x: round(x),
        y: round(y),
        scale: round(scale),
        width: Math.round(width),
        height: Math.round(height),
      });
    };
    clearTimeout(this.cameraTimer);
    if (performance.now() - this.cameraMs >= CAMERA_MS) say();
    else this.cameraTimer = setTimeout(say, CAMERA_MS);
  }
}
