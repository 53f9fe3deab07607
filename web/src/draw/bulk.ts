// Objects that look like the page's own pictures and stand together, thousands of them: how they are drawn is not the same
// with a graphics card (particles.ts) and without (stamps.ts).
import type { Container } from "pixi.js";
import type { Entry } from "../scene/entry.js";
import type { Look } from "../scene/look.js";

export const LEAST_PX = 3; // so that nothing is too small to be seen

export interface Bulk {
  /** Forget what was added. Places are seen from this origin, near which single precision is enough; scale: CSS pixels
   *  for one unit. */
  begin(originX: number, originY: number, scale: number): void;
  /** The hindmost first, in front of what the container has. */
  add(entries: Entry[], container: Container): void;
  /** Everything is added: what has no use any more goes. */
  end(): void;
  /** It looks otherwise. */
  refresh(entry: Entry): void;
  /** It is elsewhere. */
  move(entry: Entry): void;
  /** It is drawn next. */
  upload(): void;
}

/** The name of its picture. */
export function pictureOf(look: Look): string {
  return look.kind === "sprite" ? look.source : look.kind;
}
