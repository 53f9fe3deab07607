// The scene as a map of what was last said: updates wait here, the newest of each topic, and are applied once a frame.
import type { Message } from "@pixi-ws/client";
import { Entry } from "./entry.js";
import {
  type Look,
  Mistake,
  placeholder,
  readColour,
  readImage,
  readLook,
  readMembers,
  readNumber,
  readWhole,
} from "./look.js";
import { readTopic, type Target } from "./topics.js";

const APPLY_LEAST_MS = 8,
  APPLY_MOST_MS = 100; // of a frame; what is left waits for the next
const OBJECTS_MAX = 250_000;
const MISTAKES_MAX = 500;

export interface Tile {
  zoom: number;
  x: number;
  y: number;
  colour: number;
  image: string;
  alpha: number;
  isStale: boolean;
}

export interface CameraWish {
  x: number;
  y: number;
  scale: number;
  durationMs: number;
}

function readTile(payload: unknown, at: { zoom: number; x: number; y: number }): Tile {
  const o = readMembers(payload);
  if ((o.color === undefined) === (o.image === undefined)) throw new Mistake("one of color and image is needed");
  const image = o.image === undefined ? "" : readImage(o, "image");
  const { zoom, x, y } = at;
  return {
    zoom,
    x,
    y,
    image,
    colour: readColour(o, "color", 0xffffff),
    alpha: readNumber(o, "alpha", 0, 1, 1),
    isStale: false,
  };
}

function readCamera(payload: unknown): CameraWish {
  const o = readMembers(payload);
  return {
    x: readNumber(o, "x", -1e9, 1e9),
    y: readNumber(o, "y", -1e9, 1e9),
    scale: readNumber(o, "scale", 1e-6, 1000, 1),
    durationMs: readWhole(o, "duration_ms", 0, 60000, 500),
  };
}

/** Drawn by other means, or at another place among the others? */
function isOtherwise(a: Look, b: Look): boolean {
  return a.kind !== b.kind || a.z !== b.z || a.stroke !== b.stroke || a.width !== b.width || a.height !== b.height;
}

export class Store {
  readonly objects = new Map<string, Entry>();
  readonly tiles = new Map<string, Tile>();
  readonly mistakes = new Map<string, string>(); // by topic
  readonly moving = new Set<Entry>();
  readonly moved = new Set<Entry>(); // since they were drawn
  readonly changed = new Set<Entry>(); // look otherwise than they are drawn
  camera: CameraWish | null = null;
  isOrderChanged = true; // objects came, went, or stand otherwise among each other
  areTilesChanged = true;
  isMotionReduced = false;
  onCamera: (camera: CameraWish) => void = () => {};
  private readonly waiting = new Map<string, Message>();
  private isInDoubt = false;

  queue(messages: Message[]): void {
    for (const message of messages) this.waiting.set(message.topic, message);
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  /** Half of the time that frames take, so that slow drawing does not keep what waits from getting less. */
  apply(nowMs: number, frameMs: number): void {
    const mostMs = Math.min(APPLY_MOST_MS, Math.max(APPLY_LEAST_MS, frameMs / 2));
    let count = 0;
    for (const [topic, message] of this.waiting) {
      this.waiting.delete(topic);
      this.take(topic, message, nowMs);
      if (++count % 256 === 0 && performance.now() - nowMs > mostMs) break;
    }
  }

  /** Everything that moves, a step further. */
  step(nowMs: number): void {
    for (const entry of this.moving) {
      this.moved.add(entry);
      if (!entry.step(nowMs)) this.moving.delete(entry);
    }
  }

  /** What has changed is on the screen now. */
  wasDrawn(): void {
    this.moved.clear();
    this.changed.clear();
  }

  private take(topic: string, message: Message, nowMs: number): void {
    const target = readTopic(topic);
    if (!target) return this.note(topic, "no topic of a scene: scene/objects/ID, scene/tiles/ZOOM/X/Y or scene/camera");
    this.mistakes.delete(topic);
    if (message.isEmpty) return this.remove(target, topic);
    try {
      this.put(target, topic, message.payload, nowMs);
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      this.note(topic, error.message);
      if (target.kind === "object") this.putObject(target.id, placeholder(message.payload, error.message), nowMs);
    }
  }

  private note(topic: string, reason: string): void {
    if (this.mistakes.size < MISTAKES_MAX) this.mistakes.set(topic, reason);
  }

  private put(target: Target, topic: string, payload: unknown, nowMs: number): void {
    if (target.kind === "object") return this.putObject(target.id, readLook(payload), nowMs);
    if (target.kind === "tile") {
      this.tiles.set(topic, readTile(payload, target));
      this.areTilesChanged = true;
      return;
    }
    this.camera = readCamera(payload);
    this.onCamera(this.camera);
  }

  private putObject(id: string, look: Look, nowMs: number): void {
    const entry = this.objects.get(id);
    if (!entry) {
      if (this.objects.size >= OBJECTS_MAX)
        return this.note(`scene/objects/${id}`, `more than ${OBJECTS_MAX} objects: this one is not shown`);
      this.objects.set(id, new Entry(id, look));
      this.isOrderChanged = true;
      return;
    }
    this.isOrderChanged ||= isOtherwise(entry.look, look);
    entry.isStale = false;
    if (entry.moveTo(look, nowMs, this.isMotionReduced)) this.moving.add(entry);
    else this.moving.delete(entry);
    this.changed.add(entry);
  }

  private remove(target: Target, topic: string): void {
    if (target.kind === "object") this.removeObject(target.id);
    else if (target.kind === "tile") this.areTilesChanged = this.tiles.delete(topic) || this.areTilesChanged;
    else this.camera = null;
  }

  private removeObject(id: string): void {
    const entry = this.objects.get(id);
    if (!entry) return;
    this.objects.delete(id);
    this.moving.delete(entry);
    this.moved.delete(entry);
    this.changed.delete(entry);
    this.isOrderChanged = true;
  }

  /** A picture cannot be shown: those that have it are mistakes. */
  fail(source: string, reason: string): void {
    for (const entry of this.objects.values())
      if (entry.look.source === source) {
        entry.look = placeholder(entry.look, reason);
        this.note(`scene/objects/${entry.id}`, reason);
        this.isOrderChanged = true;
      }
    for (const [topic, tile] of this.tiles)
      if (tile.image === source) {
        this.tiles.delete(topic);
        this.note(topic, reason);
        this.areTilesChanged = true;
      }
  }

  /** The history is lost: what does not come again until `settle` is gone. It stays in sight so long. */
  doubt(): void {
    this.isInDoubt = true;
    for (const entry of this.objects.values()) entry.isStale = true;
    for (const tile of this.tiles.values()) tile.isStale = true;
  }

  settle(): void {
    if (!this.isInDoubt) return;
    this.isInDoubt = false;
    while (this.waiting.size) this.apply(performance.now(), APPLY_MOST_MS);
    for (const [id, entry] of this.objects) if (entry.isStale) this.removeObject(id);
    for (const [topic, tile] of this.tiles)
      if (tile.isStale) this.areTilesChanged = this.tiles.delete(topic) || this.areTilesChanged;
  }
}
