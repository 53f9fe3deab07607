// Points at round distances, so that moving shows on an empty map too. One row of them is painted, and shown many times.
import { CanvasSource, Container, Sprite, Texture } from "pixi.js";
import type { Camera } from "../camera.js";
import { cssColour } from "../dom.js";

const STEP_PX = 32; // and up to twice as much
const RADIUS_PX = 1.2;
const ROW_PX = 4; // its height

/** Where the first one of each step is, seen from the left or the top. */
function firstOf(origin: number, step: number): number {
  const first = origin % step;
  return first < 0 ? first + step : first;
}

export class Grid {
  readonly container = new Container();
  private texture = Texture.EMPTY;
  private painted = "";

  constructor(private readonly resolution: number) {}

  draw(camera: Camera, colour: number): void {
    const step = STEP_PX * 2 ** (Math.log2(camera.scale) - Math.floor(Math.log2(camera.scale)));
    const origin = camera.toView(0, 0);
    const key = `${step} ${camera.width} ${colour}`;
    if (key !== this.painted) this.paint(step, camera.width + 2 * step, colour);
    this.painted = key;
    const left = Math.round(firstOf(origin.x, step) - step - ROW_PX / 2);
    let top = firstOf(origin.y, step) - step;
    let i = 0;
    for (; top <= camera.height; top += step) this.row(i++).position.set(left, Math.round(top - ROW_PX / 2));
    while (this.container.children.length > i) this.container.children[i]?.destroy();
  }

  private row(i: number): Sprite {
    const row = (this.container.children[i] as Sprite | undefined) ?? this.container.addChild(new Sprite());
    row.texture = this.texture;
    return row;
  }

  private paint(step: number, width: number, colour: number): void {
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(width * this.resolution);
    canvas.height = ROW_PX * this.resolution;
    const c = canvas.getContext("2d") as CanvasRenderingContext2D;
    c.scale(this.resolution, this.resolution);
    c.fillStyle = cssColour(colour);
    for (let x = ROW_PX / 2; x < width; x += step) {
      c.beginPath();
      c.arc(x, ROW_PX / 2, RADIUS_PX, 0, 7);
      c.fill();
    }
    const before = this.texture;
    this.texture = new Texture({ source: new CanvasSource({ resource: canvas, resolution: this.resolution }) });
    for (const row of this.container.children) (row as Sprite).texture = this.texture;
    if (before !== Texture.EMPTY) before.destroy(true);
  }
}
