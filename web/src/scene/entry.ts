// One object of the scene: what was last said of it, and where it is now on its way there.
import type { Look } from "./look.js";

const LEAST_MS = 40;
const MOST_MS = 1000;
const FIRST_MS = 150;

function shortest(from: number, to: number): number {
  const turn = 2 * Math.PI;
  const way = (to - from) % turn;
  return way > Math.PI ? way - turn : way < -Math.PI ? way + turn : way;
}

export class Entry {
  x: number;
  y: number;
  rotation: number;
  scale: number;
  isStale = false; // said before the history was lost
  private fromX = 0;
  private fromY = 0;
  private fromRotation = 0;
  private fromScale = 1;
  private turn = 0;
  private startMs = 0;
  private lengthMs = FIRST_MS;
  private saidMs = 0;

  constructor(
    readonly id: string,
    public look: Look,
  ) {
    this.x = look.x;
    this.y = look.y;
    this.rotation = look.rotation;
    this.scale = look.scale;
  }

  /** True when it is on its way then. As long as updates are apart, so the way takes. */
  moveTo(look: Look, nowMs: number, isAtOnce: boolean): boolean {
    this.look = look;
    if (this.saidMs)
      this.lengthMs += (Math.min(MOST_MS, Math.max(LEAST_MS, nowMs - this.saidMs)) - this.lengthMs) * 0.5;
    this.saidMs = nowMs;
    const isThere =
      look.x === this.x && look.y === this.y && look.rotation === this.rotation && look.scale === this.scale;
    if (isThere || isAtOnce) {
      this.arrive();
      return false;
    }
    this.fromX = this.x;
    this.fromY = this.y;
    this.fromScale = this.scale;
    this.fromRotation = this.rotation;
    this.turn = shortest(this.rotation, look.rotation);
    this.startMs = nowMs;
    return true;
  }

  /** False when it has arrived. */
  step(nowMs: number): boolean {
    const t = (nowMs - this.startMs) / this.lengthMs;
    if (t >= 1) {
      this.arrive();
      return false;
    }
    const { look } = this;
    const part = Math.max(0, t);
    this.x = this.fromX + (look.x - this.fromX) * part;
    this.y = this.fromY + (look.y - this.fromY) * part;
    this.scale = this.fromScale + (look.scale - this.fromScale) * part;
    this.rotation = this.fromRotation + this.turn * part;
    return true;
  }

  private arrive(): void {
    this.x = this.look.x;
    this.y = this.look.y;
    this.scale = this.look.scale;
    this.rotation = this.look.rotation;
  }
}
