// Everything that is drawn on the map, once a frame where something changed.
import "pixi.js/unsafe-eval";
import { autoDetectRenderer, Container, Graphics, type Renderer, RendererType, type Texture } from "pixi.js";
import type { Camera, Rect } from "../camera.js";
import type { Entry } from "../scene/entry.js";
import { radiusOf } from "../scene/shape.js";
import type { Store } from "../scene/store.js";
import type { Bulk } from "./bulk.js";
import { installWords, wordsTextures } from "./fonts.js";
import { Grid } from "./grid.js";
import { Images } from "./images.js";
import { Labels } from "./labels.js";
import { Layers } from "./layers.js";
import { Particles } from "./particles.js";
import { Stamps } from "./stamps.js";
import { Tiles } from "./tiles.js";
import { boundTints, countCopies } from "./tints.js";

const MARGIN = 0.6; // of a view, prepared beyond each side
const LABELS_MS = 250;
const SOFTWARE = /swiftshader|llvmpipe|software/i;

type Kind = "webgl" | "canvas";

export interface Theme {
  label: number;
  mistake: number;
  ground: number;
  accent: number;
  ink: number;
  grid: number;
}

interface Ring {
  entry: Entry | null;
  graphics: Graphics;
  drawn: string;
}

function isInside(inner: Rect, outer: Rect): boolean {
  return (
    inner.left >= outer.left && inner.right <= outer.right && inner.top >= outer.top && inner.bottom <= outer.bottom
  );
}

/** Is there no graphics card? */
function isSoftware(): boolean {
  const gl = document.createElement("canvas").getContext("webgl2");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = gl && info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return SOFTWARE.test(name);
}

/** Without a graphics card WebGL is computed too, and many times slower than a 2D canvas copies pixels. */
function preferred(wish: string | null): Kind[] {
  const kind = wish === "webgl" || wish === "canvas" ? wish : isSoftware() ? "canvas" : "webgl";
  return kind === "webgl" ? ["webgl", "canvas"] : ["canvas"];
}

export class Stage {
  readonly kind: Kind;
  readonly layers: Layers;
  hovered: Ring;
  selected: Ring;
  pulled: { entry: Entry; x: number; y: number } | null = null;
  private readonly root = new Container();
  private readonly world = new Container();
  private readonly images = new Images();
  private readonly bulk: Bulk;
  private readonly grid: Grid;
  private readonly tiles: Tiles;
  private readonly labels: Labels;
  private readonly pull = new Graphics();
  private prepared: Rect | null = null;
  private preparedScale = 1;
  private preparedMs = 0;
  private labelsMs = 0;
  private cameraVersion = -1;
  private isImageNew = false;
  private isForced = true;

  private constructor(
    private readonly renderer: Renderer,
    private theme: Theme,
  ) {
    this.kind = renderer.type === RendererType.CANVAS ? "canvas" : "webgl";
    this.grid = new Grid(renderer.resolution);
    this.tiles = new Tiles(this.images);
    this.bulk = this.kind === "canvas" ? new Stamps() : new Particles();
    this.layers = new Layers(this.bulk, this.images, theme.ink);
    this.labels = this.kind === "canvas" ? new Labels(theme) : new Labels(theme, renderer.resolution);
    this.hovered = { entry: null, graphics: new Graphics(), drawn: "" };
    this.selected = { entry: null, graphics: new Graphics(), drawn: "" };
    this.world.addChild(this.tiles.container, this.layers.container);
    this.root.addChild(
      this.grid.container,
      this.world,
      this.labels.container,
      this.hovered.graphics,
      this.selected.graphics,
      this.pull,
    );
    this.images.onLoaded = () => (this.isImageNew = true);
  }

  /** A picture that cannot be shown, and why. */
  set onPictureFailed(fn: (source: string, reason: string) => void) {
    this.images.onFailed = fn;
  }

  /** wish: "webgl" or "canvas", for who knows better than the page what draws faster here. */
  static async create(canvas: HTMLCanvasElement, theme: Theme, wish: string | null): Promise<Stage> {
    const resolution = Math.min(2, devicePixelRatio || 1);
    const preference = preferred(wish);
    const renderer = await autoDetectRenderer({
      canvas,
      resolution,
      autoDensity: true,
      backgroundAlpha: 0,
      antialias: true,
      preference,
    });
    installWords(resolution);
    return new Stage(renderer as Renderer, theme);
  }

  private textures(): Texture[] {
    return [...wordsTextures(), ...this.images.textures()];
  }

  /** Pictures and letters that are held in a colour. */
  get copies(): number {
    return countCopies(this.textures());
  }

  resize(width: number, height: number): void {
    this.renderer.resize(width, height);
    this.isForced = true;
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    this.layers.setInk(theme.ink);
    this.labels.setColours(theme);
    this.hovered.drawn = this.selected.drawn = "";
    this.prepared = null;
    this.isForced = true;
  }

  /** Something that neither store nor camera knows has changed. */
  force(): void {
    this.isForced = true;
  }

  /** False: nothing had changed. */
  draw(store: Store, camera: Camera, nowMs: number): boolean {
    const hasMoved = store.moved.size > 0 || store.changed.size > 0;
    const isCameraNew = this.cameraVersion !== camera.version;
    const isNew = this.prepare(store, camera, nowMs, hasMoved);
    if (!isNew) this.update(store);
    store.wasDrawn();
    if (!isNew && !hasMoved && !isCameraNew && !this.isForced) return false;
    this.cameraVersion = camera.version;
    this.isForced = false;
    this.world.scale.set(camera.scale);
    const origin = camera.toView(this.layers.originX, this.layers.originY);
    this.world.position.set(origin.x, origin.y);
    this.grid.draw(camera, this.theme.grid);
    this.drawLabels(camera, nowMs, isNew);
    this.drawRing(this.hovered, camera, 2, 0.55);
    this.drawRing(this.selected, camera, 2.5, 1);
    this.drawPull(camera);
    this.bulk.upload();
    boundTints(() => this.textures());
    this.renderer.render(this.root);
    return true;
  }

  /** Anew, where what was prepared does not do. Many objects that come and go are looked at less often. */
  private prepare(store: Store, camera: Camera, nowMs: number, hasMoved: boolean): boolean {
    const waitMs = Math.min(500, store.objects.size / 150);
    const restMs = 400 + waitMs;
    const zoom = camera.scale / this.preparedScale;
    const isOut = !this.prepared || !isInside(camera.rect(), this.prepared) || zoom > 1.6 || zoom < 0.6;
    const isOld =
      (store.isOrderChanged && nowMs - this.preparedMs >= waitMs) || (hasMoved && nowMs - this.preparedMs >= restMs);
    if (!isOut && !isOld && !store.areTilesChanged && !this.isImageNew) return false;
    this.prepared = camera.rect(MARGIN);
    this.preparedScale = camera.scale;
    this.layers.rebuild(store.objects.values(), this.prepared, camera.scale);
    this.tiles.rebuild(store.tiles, this.prepared, this.layers.originX, this.layers.originY);
    this.preparedMs = nowMs;
    store.isOrderChanged = store.areTilesChanged = this.isImageNew = false;
    return true;
  }

  private update(store: Store): void {
    for (const entry of store.changed) this.layers.refresh(entry);
    for (const entry of store.moved) this.layers.move(entry);
  }

  private drawLabels(camera: Camera, nowMs: number, isNew: boolean): void {
    if (isNew || nowMs - this.labelsMs >= LABELS_MS) {
      this.labels.pick(this.layers.visible, camera);
      this.labelsMs = nowMs;
    }
    this.labels.place(camera);
  }

  private drawRing(ring: Ring, camera: Camera, width: number, alpha: number): void {
    ring.graphics.visible = ring.entry !== null;
    if (!ring.entry) return;
    const { x, y } = camera.toView(ring.entry.x, ring.entry.y);
    const radius = Math.round(Math.min(radiusOf(ring.entry.look) * ring.entry.scale * camera.scale, 1e5) + 6);
    if (ring.drawn !== `${radius}`)
      ring.graphics.clear().circle(0, 0, radius).stroke({ width, color: this.theme.accent, alpha });
    ring.drawn = `${radius}`;
    ring.graphics.position.set(x, y);
  }

  private drawPull(camera: Camera): void {
    this.pull.clear();
    if (!this.pulled) return;
    const from = camera.toView(this.pulled.entry.x, this.pulled.entry.y);
    const to = camera.toView(this.pulled.x, this.pulled.y);
    this.pull.moveTo(from.x, from.y).lineTo(to.x, to.y).stroke({ width: 2, color: this.theme.accent, alpha: 0.6 });
    this.pull
      .circle(to.x, to.y, 9)
      .fill({ color: this.theme.accent, alpha: 0.35 })
      .stroke({ width: 2, color: this.theme.accent });
  }
}
