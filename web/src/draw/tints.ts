// What a 2D canvas shows in a colour PixiJS draws from a copy in that colour, and keeps the copy as long as the texture lives.
// So colours are counted here, and all copies let go before there are too many; those that are shown are made once more.
import type { Texture } from "pixi.js";

const COLOURS_MAX = 256;

/** As the canvas's renderer has it; its types do not say so. */
type Tinted = Texture & { tintCache?: object; patternCache?: object };

const shown = new Set<number>();

export function noteTint(tint: number): void {
  shown.add(tint);
}

export function boundTints(textures: () => Texture[]): void {
  if (shown.size <= COLOURS_MAX) return;
  shown.clear();
  for (const texture of textures() as Tinted[]) {
    delete texture.tintCache;
    delete texture.patternCache;
  }
}

export function countCopies(textures: Texture[]): number {
  const caches = (textures as Tinted[]).flatMap((t) => [t.tintCache, t.patternCache]);
  return caches.reduce((sum, cache) => sum + Object.keys(cache ?? {}).length, 0);
}
