// Pictures that come in messages: decoded once, shared, and bounded together in memory; what nobody shows goes first.
import { CanvasSource, Texture } from "pixi.js";

const BYTES_MAX = 128 * 2 ** 20; // decoded
const SIDE_MAX = 2048;

interface Held {
  texture: Texture | null; // null: on its way, or none
  bytes: number;
  users: number;
  isBroken: boolean;
}

class Full extends Error {}

async function decode(source: string): Promise<HTMLCanvasElement> {
  const image = new Image();
  image.src = source;
  await image.decode();
  const shrink = Math.min(1, SIDE_MAX / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * shrink));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * shrink));
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

export class Images {
  private readonly held = new Map<string, Held>(); // the one used last stands last
  private bytes = 0;
  onLoaded: () => void = () => {};
  onFailed: (source: string, reason: string) => void = () => {};

  /** Its texture, or null as long as it is not there. Give it back with release. */
  use(source: string): Texture | null {
    let held = this.held.get(source);
    if (held) {
      this.held.delete(source);
    } else {
      held = { texture: null, bytes: 0, users: 0, isBroken: false };
      void this.load(source, held);
    }
    this.held.set(source, held);
    held.users++;
    return held.texture;
  }

  release(source: string): void {
    const held = this.held.get(source);
    if (!held) return;
    held.users--;
    if (held.users === 0 && held.isBroken) this.held.delete(source);
    this.makeRoom(0);
  }

  textures(): Texture[] {
    return [...this.held.values()].flatMap(({ texture }) => texture ?? []);
  }

  private async load(source: string, held: Held): Promise<void> {
    try {
      this.keep(await decode(source), held);
      this.onLoaded();
    } catch (error) {
      held.isBroken = true;
      this.onFailed(source, error instanceof Full ? error.message : "the picture cannot be decoded");
    }
  }

  private keep(canvas: HTMLCanvasElement, held: Held): void {
    const bytes = canvas.width * canvas.height * 4;
    if (!this.makeRoom(bytes)) throw new Full("too many pictures at once: there is no memory left for this one");
    held.bytes = bytes;
    this.bytes += bytes;
    held.texture = new Texture({ source: new CanvasSource({ resource: canvas, scaleMode: "linear" }) });
  }

  private makeRoom(bytes: number): boolean {
    for (const [source, held] of this.held) {
      if (this.bytes + bytes <= BYTES_MAX) break;
      if (held.users > 0 || !held.texture) continue;
      held.texture.destroy(true);
      this.bytes -= held.bytes;
      this.held.delete(source);
    }
    return this.bytes + bytes <= BYTES_MAX;
  }
}
