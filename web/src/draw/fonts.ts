// Letters as pictures: a text that changes costs no new texture. Bounded, however many letters the world has.
import { BitmapFont, Cache, TextStyle, type TextStyleOptions, type Texture } from "pixi.js";

const FAMILY = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const LETTERS_MAX = 1500;
const UNKNOWN = "□";
const seen = new Set<string>();

/** The same text; letters beyond the bound are boxes. */
export function knownLetters(text: string): string {
  let out = "";
  for (const letter of text) {
    if (!seen.has(letter) && seen.size < LETTERS_MAX) seen.add(letter);
    out += seen.has(letter) ? letter : UNKNOWN;
  }
  return out;
}

function install(name: string, style: TextStyleOptions, resolution: number): void {
  const whole = { fontFamily: FAMILY, ...style };
  BitmapFont.install({ name, style: whole, resolution, chars: [[" ", "~"]], padding: 4 });
}

const WORDS = "pixi-page-words";
export const WORDS_SIZE = 48;

/** White, to be tinted; of WORDS_SIZE, to be scaled. */
export function installWords(resolution: number): void {
  install(WORDS, { fontSize: WORDS_SIZE, fill: "#ffffff" }, resolution);
}

export function wordsTextures(): Texture[] {
  const { chars } = Cache.get<BitmapFont>(`${WORDS}-bitmap`);
  return Object.values(chars).flatMap(({ texture }) => texture ?? []);
}

export function wordsStyle(): TextStyle {
  return new TextStyle({ fontFamily: WORDS, fontSize: WORDS_SIZE, align: "center", fill: "#ffffff" });
}

function labelLook(colour: number, ground: number): TextStyleOptions {
  const stroke = { color: ground, width: 3, join: "round" } as const;
  return { fontFamily: FAMILY, fontSize: 12, fontWeight: "500", fill: colour, stroke };
}

const installed = new Map<string, TextStyle>();

/** As large as they are shown, of this colour, with the ground's colour around them: legible on whatever is below.
 *  resolution: by letters of that many pixels for one; without it as one picture, for a canvas. */
export function labelStyle(colour: number, ground: number, resolution?: number): TextStyle {
  const name = `pixi-page-label-${colour.toString(16)}-${ground.toString(16)}`;
  let style = installed.get(name);
  if (style) return style;
  if (resolution) {
    install(name, labelLook(colour, ground), resolution);
    style = new TextStyle({ fontFamily: name, fontSize: 12, align: "center", fill: "#ffffff" });
  } else style = new TextStyle(labelLook(colour, ground));
  installed.set(name, style);
  return style;
}
