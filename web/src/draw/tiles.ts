// The ground: squares of colour or pictures below all objects.
import { Container, Sprite, Texture } from "pixi.js";
import type { Rect } from "../camera.js";
import type { Tile } from "../scene/store.js";
import type { Images } from "./images.js";
import { noteTint } from "./tints.js";

const SIDE = 256;
const COUNT_MAX = 4000;

interface Shown {
  sprite: Sprite;
  tile: Tile;
}

export class Tiles {
  readonly container = new Container();
  private readonly shown = new Map<string, Shown>();

  constructor(private readonly images: Images) {}

  /** Those in this part of the plane, and no others. */
  rebuild(tiles: Map<string, Tile>, rect: Rect, originX: number, originY: number): void {
    for (const topic of [...this.shown.keys()]) this.drop(topic);
    for (const [topic, tile] of tiles) {
      const side = SIDE / 2 ** tile.zoom;
      const left = tile.x * side;
      const top = tile.y * side;
      if (left > rect.right || left + side < rect.left || top > rect.bottom || top + side < rect.top) continue;
      if (this.shown.size < COUNT_MAX) this.show(topic, tile, left - originX, top - originY, side);
    }
    this.container.children.sort((a, b) => a.zIndex - b.zIndex);
  }

  private show(topic: string, tile: Tile, x: number, y: number, side: number): void {
    const texture = tile.image ? (this.images.use(tile.image) ?? Texture.EMPTY) : Texture.WHITE;
    const sprite = new Sprite({ texture, tint: tile.colour, alpha: tile.alpha, zIndex: tile.zoom });
    if (tile.image) noteTint(tile.colour);
    sprite.position.set(x, y);
    sprite.scale.set(side / Math.max(1, texture.width), side / Math.max(1, texture.height));
    this.container.addChild(sprite);
    this.shown.set(topic, { sprite, tile });
  }

  private drop(topic: string): void {
    const { sprite, tile } = this.shown.get(topic) ?? {};
    sprite?.destroy();
    if (tile?.image) this.images.release(tile.image);
    this.shown.delete(topic);
  }
}
