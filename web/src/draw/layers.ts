// Which objects are drawn, and in what order: runs of particles where many stand together that the atlas holds, and nodes
// of their own between. Made anew when objects come or go, or the view leaves what was prepared.
import { Container, Particle, ParticleContainer, Sprite } from "pixi.js";
import type { Rect } from "../camera.js";
import type { Entry } from "../scene/entry.js";
import { isIn, sizeOf } from "../scene/shape.js";
import type { Atlas } from "./atlas.js";
import type { Images } from "./images.js";
import { isBulk, makeNode, type Node } from "./nodes.js";

const DRAWN_MAX = 60_000;
const RUN_LEAST = 32; // fewer are sprites: a run costs a draw call
const LEAST_PX = 3; // so that nothing is too small to be seen

interface Placed {
  particle?: Particle;
  run?: ParticleContainer;
  sprite?: Sprite;
  node?: Node;
}

function order(a: Entry, b: Entry): number {
  return a.look.z - b.look.z || (a.id < b.id ? -1 : 1);
}

/** As many of them as can be drawn, evenly. */
function thin<T>(all: T[], most: number): T[] {
  const step = all.length / most;
  return step <= 1 ? all : Array.from({ length: most }, (_, i) => all[Math.floor(i * step)] as T);
}

export class Layers {
  readonly container = new Container();
  visible: Entry[] = []; // as they are drawn, the hindmost first
  originX = 0; // what is drawn is near it: single precision is enough there
  originY = 0;
  private readonly placed = new Map<Entry, Placed>();
  private readonly nodes = new Map<Entry, Node>();
  private readonly particles: Particle[] = [];
  private readonly sprites: Sprite[] = [];
  private readonly runs: ParticleContainer[] = [];
  private used = { particles: 0, sprites: 0, runs: 0 };
  private readonly stale = new Set<ParticleContainer>();
  private leastUnits = 0;

  constructor(
    private readonly atlas: Atlas,
    private readonly images: Images,
    public ink: number,
  ) {}

  rebuild(entries: Iterable<Entry>, rect: Rect, scale: number): void {
    const all: Entry[] = [];
    for (const entry of entries) if (isIn(entry, rect)) all.push(entry);
    this.visible = thin(all.sort(order), DRAWN_MAX);
    this.originX = (rect.left + rect.right) / 2;
    this.originY = (rect.top + rect.bottom) / 2;
    this.leastUnits = LEAST_PX / scale;
    this.container.removeChildren();
    this.placed.clear();
    this.used = { particles: 0, sprites: 0, runs: 0 };
    this.layOut();
    this.dropUnused();
  }

  private layOut(): void {
    let i = 0;
    while (i < this.visible.length) {
      let end = i;
      while (end < this.visible.length && isBulk((this.visible[end] as Entry).look)) end++;
      if (end === i) this.addNode(this.visible[i++] as Entry);
      else this.addRun(this.visible.slice(i, end));
      i = Math.max(i, end);
    }
  }

  private addRun(entries: Entry[]): void {
    if (entries.length < RUN_LEAST) return entries.forEach((entry) => this.addSprite(entry));
    const run = this.takeRun();
    run.particleChildren = entries.map((entry) => this.addParticle(entry, run));
    run.update();
    this.container.addChild(run);
  }

  private takeRun(): ParticleContainer {
    return (this.runs[this.used.runs++] ??= new ParticleContainer({
      texture: this.atlas.get("circle"),
      dynamicProperties: { position: true, rotation: true, vertex: false, color: false, uvs: false },
    }));
  }

  private addParticle(entry: Entry, run: ParticleContainer): Particle {
    const particle = (this.particles[this.used.particles++] ??= new Particle({
      texture: this.atlas.get("circle"),
      anchorX: 0.5,
      anchorY: 0.5,
    }));
    const placed = { particle, run };
    this.placed.set(entry, placed);
    this.show(entry, placed);
    return particle;
  }

  private addSprite(entry: Entry): void {
    const sprite = (this.sprites[this.used.sprites++] ??= new Sprite({ anchor: 0.5 }));
    const placed = { sprite };
    this.placed.set(entry, placed);
    this.container.addChild(sprite);
    this.show(entry, placed);
  }

  private addNode(entry: Entry): void {
    let node = this.nodes.get(entry);
    if (node && !this.isFit(node, entry)) {
      node.destroy();
      node = undefined;
    }
    node ??= makeNode(entry.look, this.images, this.ink);
    this.nodes.set(entry, node);
    const placed = { node };
    this.placed.set(entry, placed);
    this.container.addChild(node.container);
    this.show(entry, placed);
  }

  private isFit(node: Node, { look }: Entry): boolean {
    return node.kind === (look.kind === "text" || look.kind === "image" ? look.kind : "drawn");
  }

  /** What is not drawn any more. Particles and sprites wait to be used again. */
  private dropUnused(): void {
    for (const [entry, node] of this.nodes) {
      if (this.placed.get(entry)?.node === node) continue;
      node.destroy();
      this.nodes.delete(entry);
    }
    this.runs.splice(this.used.runs).forEach((run) => run.destroy());
    this.sprites.splice(this.used.sprites + 1000).forEach((sprite) => sprite.destroy());
    this.particles.length = Math.min(this.particles.length, this.used.particles + 20_000);
  }

  /** Looks otherwise. */
  refresh(entry: Entry): void {
    const placed = this.placed.get(entry);
    if (placed) this.show(entry, placed);
  }

  /** Is elsewhere. */
  move(entry: Entry): void {
    const placed = this.placed.get(entry);
    if (placed) this.place(entry, placed);
  }

  private show(entry: Entry, placed: Placed): void {
    const { look } = entry;
    const picture = placed.particle ?? placed.sprite;
    if (picture) {
      picture.texture = this.atlas.get(look.kind === "sprite" ? look.source : look.kind);
      picture.tint = look.tint;
      picture.alpha = look.alpha;
    }
    placed.node?.show(look);
    if (placed.run) this.stale.add(placed.run);
    this.place(entry, placed);
  }

  private place(entry: Entry, placed: Placed): void {
    if (placed.node) return placed.node.place(entry, this.originX, this.originY);
    const { particle, sprite } = placed;
    const [width, height] = sizeOf(entry.look);
    const grow = Math.max(1, this.leastUnits / (Math.max(width, height) * entry.scale));
    const x = entry.x - this.originX;
    const y = entry.y - this.originY;
    if (sprite) {
      sprite.position.set(x, y);
      sprite.rotation = entry.rotation;
      sprite.scale.set(
        (width * entry.scale * grow) / sprite.texture.width,
        (height * entry.scale * grow) / sprite.texture.height,
      );
    } else if (particle) {
      const scaleX = (width * entry.scale * grow) / particle.texture.width;
      const scaleY = (height * entry.scale * grow) / particle.texture.height;
      particle.x = x;
      particle.y = y;
      particle.rotation = entry.rotation;
      if ((scaleX !== particle.scaleX || scaleY !== particle.scaleY) && placed.run) this.stale.add(placed.run);
      particle.scaleX = scaleX;
      particle.scaleY = scaleY;
    }
  }

  /** Before it is drawn: what particles have besides place and rotation is uploaded again where it changed. */
  upload(): void {
    this.stale.forEach((run) => run.destroyed || run.update());
    this.stale.clear();
  }
}
