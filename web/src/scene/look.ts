// How an object looks: a payload read by docs/scene.md, every member in its range, every default in its place.

export type Kind = "circle" | "rect" | "triangle" | "line" | "polygon" | "sprite" | "image" | "text" | "mistake";

export interface Look {
  kind: Kind;
  x: number;
  y: number;
  width: number; // 0: its own
  height: number;
  points: [number, number][];
  stroke: number;
  size: number;
  scale: number;
  rotation: number;
  tint: number;
  alpha: number;
  z: number;
  label: string;
  text: string;
  source: string; // a sprite's name or data
  data: object | null;
  reason: string; // of a mistake
}

/** Why a payload is none. */
export class Mistake extends Error {}

type Members = Record<string, unknown>;

export const SPRITES = [
  "dot",
  "pin",
  "house",
  "tree",
  "car",
  "bus",
  "tram",
  "bicycle",
  "person",
  "boat",
  "arrow",
] as const;

const SHAPES = ["circle", "rect", "triangle", "line", "polygon"];
const IMAGE = /^data:image\/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}$/;
const COLOUR = /^#[0-9A-Fa-f]{6}$/;
const STANDARD_TINT = 0x3b82f6;
const STANDARD_SIZE = 16;
const SHOWN = 40; // characters of a value in a reason

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

function wrong(name: string, value: unknown, wanted: string): Mistake {
  return new Mistake(
    value === undefined ? `${name} is missing: ${wanted}` : `${name} is ${show(value)}, not ${wanted}`,
  );
}

/** A number in its range; standard: what it is when it is left out. */
export function readNumber(o: Members, name: string, least: number, most: number, standard?: number): number {
  const value = o[name];
  if (value === undefined && standard !== undefined) return standard;
  if (typeof value !== "number" || !(value >= least && value <= most))
    throw wrong(name, value, `a number of ${least} to ${most}`);
  return value;
}

export function readWhole(o: Members, name: string, least: number, most: number, standard: number): number {
  const value = readNumber(o, name, least, most, standard);
  if (!Number.isInteger(value)) throw wrong(name, value, "a whole number");
  return value;
}

function readText(o: Members, name: string, least: number, most: number): string {
  const value = o[name];
  if (value === undefined) return "";
  const length = typeof value === "string" ? (value.length <= most ? value.length : [...value].length) : -1;
  if (length < least || length > most) throw wrong(name, value, `a text of ${least} to ${most} characters`);
  return value as string;
}

export function readColour(o: Members, name: string, standard: number): number {
  const value = o[name];
  if (value === undefined) return standard;
  if (typeof value !== "string" || !COLOUR.test(value)) throw wrong(name, value, "a colour as #rrggbb");
  return Number.parseInt(value.slice(1), 16);
}

export function readImage(o: Members, name: string): string {
  const value = o[name];
  if (typeof value !== "string" || !IMAGE.test(value)) throw wrong(name, value, "an image, data:image/png;base64,…");
  return value;
}

export function readMembers(payload: unknown): Members {
  if (typeof payload !== "object" || payload === null || Array.isArray(payload) || payload instanceof Uint8Array)
    throw new Mistake(payload instanceof Uint8Array ? "the payload is no JSON" : `${show(payload)} is no JSON object`);
  return payload as Members;
}

function readKind(o: Members): Kind {
  const named = ["shape", "sprite", "text"].filter((name) => o[name] !== undefined);
  if (named.length > 1) throw new Mistake(`${named.join(" and ")} are both there: at most one may be`);
  if (o.sprite !== undefined) return SPRITES.includes(o.sprite as never) ? "sprite" : "image";
  if (o.text !== undefined) return "text";
  if (o.shape !== undefined && !SHAPES.includes(o.shape as string)) throw wrong("shape", o.shape, SHAPES.join(", "));
  return (o.shape as Kind | undefined) ?? "circle";
}

function isPoint(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length === 2 && value.every((n) => typeof n === "number" && n >= -1e9 && n <= 1e9)
  );
}

function readPoints(o: Members, kind: Kind): [number, number][] {
  const least = kind === "polygon" ? 3 : 2;
  if (kind !== "line" && kind !== "polygon") {
    if (o.points !== undefined) throw new Mistake("points belong to a line or a polygon");
    return [];
  }
  const points = o.points;
  if (!Array.isArray(points) || points.length < least || points.length > 1024 || !points.every(isPoint))
    throw wrong("points", points, `a list of ${least} to 1024 [x, y]`);
  return points as [number, number][];
}

function readSource(o: Members, kind: Kind): string {
  if (kind === "sprite") return o.sprite as string;
  if (kind !== "image") return "";
  if (typeof o.sprite === "string" && !o.sprite.startsWith("data:"))
    throw wrong("sprite", o.sprite, `one of ${SPRITES.join(", ")}, or data:image/…`);
  return readImage(o, "sprite");
}

function readData(o: Members): object | null {
  if (o.data === undefined) return null;
  if (typeof o.data !== "object" || o.data === null || Array.isArray(o.data)) throw wrong("data", o.data, "an object");
  return o.data;
}

/** Throws Mistake. */
export function readLook(payload: unknown): Look {
  const o = readMembers(payload);
  const kind = readKind(o);
  const isPicture = kind === "sprite" || kind === "image";
  const own = isPicture || kind === "line" || kind === "polygon" || kind === "text" ? 0 : STANDARD_SIZE;
  const width = readNumber(o, "width", 0.01, 1e6, 0);
  const height = readNumber(o, "height", 0.01, 1e6, 0);
  return {
    kind,
    x: readNumber(o, "x", -1e9, 1e9),
    y: readNumber(o, "y", -1e9, 1e9),
    width: width || height || own,
    height: height || width || own,
    points: readPoints(o, kind),
    stroke: readNumber(o, "stroke", 0, 1e4, kind === "line" ? 2 : 0),
    size: readNumber(o, "size", 1, 1000, 16),
    scale: readNumber(o, "scale", 0.001, 1000, 1),
    rotation: readNumber(o, "rotation", -1e6, 1e6, 0),
    tint: readColour(o, "tint", isPicture ? 0xffffff : STANDARD_TINT),
    alpha: readNumber(o, "alpha", 0, 1, 1),
    z: readWhole(o, "z", -1e6, 1e6, 0),
    label: readText(o, "label", 0, 256),
    text: readText(o, "text", 1, 1024),
    source: readSource(o, kind),
    data: readData(o),
    reason: "",
  };
}

function placeOf(payload: unknown, name: string): number {
  const value = (payload as Members | null)?.[name];
  return typeof value === "number" && value >= -1e9 && value <= 1e9 ? value : 0;
}

/** What stands in its place: marked, and where it would be if that is known. */
export function placeholder(payload: unknown, reason: string): Look {
  return {
    kind: "mistake",
    x: placeOf(payload, "x"),
    y: placeOf(payload, "y"),
    width: 24,
    height: 24,
    points: [],
    stroke: 0,
    size: 16,
    scale: 1,
    rotation: 0,
    tint: 0xffffff,
    alpha: 1,
    z: 0,
    label: reason,
    text: "",
    source: "",
    data: null,
    reason,
  };
}
