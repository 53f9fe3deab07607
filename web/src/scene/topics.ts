// Topics under scene/ and event/: docs/scene.md.

export type Target =
  { kind: "object"; id: string } | { kind: "tile"; zoom: number; x: number; y: number } | { kind: "camera" };

export const FILTER = "scene/#";
export const CLICK = "event/scene/click";
export const DRAG = "event/scene/drag";
export const CAMERA = "event/scene/camera";

const OBJECTS = "scene/objects/";
const TILES = /^scene\/tiles\/(-?\d{1,2})\/(-?\d{1,10})\/(-?\d{1,10})$/;

function isWithin(n: number, most: number): boolean {
  return n >= -most && n <= most;
}

/** null: none of what a scene is made of. */
export function readTopic(topic: string): Target | null {
  if (topic.startsWith(OBJECTS)) {
    const id = topic.slice(OBJECTS.length);
    return id && !id.includes("/") && id.length <= 128 ? { kind: "object", id } : null;
  }
  if (topic === "scene/camera") return { kind: "camera" };
  const [zoom, x, y] = TILES.exec(topic)?.slice(1).map(Number) ?? [];
  if (zoom === undefined || x === undefined || y === undefined) return null;
  return isWithin(zoom, 16) && isWithin(x, 1e9) && isWithin(y, 1e9) ? { kind: "tile", zoom, x, y } : null;
}
