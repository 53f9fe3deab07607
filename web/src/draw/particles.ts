// Many objects by a graphics card: where enough stand together a run of particles, which is one draw call, else sprites.
import { type Container, Particle, ParticleContainer, Sprite } from "pixi.js";
import type { Entry } from "../scene/entry.js";
import { sizeOf } from "../scene/shape.js";
import { Atlas } from "./atlas.js";
import { type Bulk, LEAST_PX, pictureOf } from "./bulk.js";

const RUN_LEAST = 32; // fewer are sprites: a run costs a draw call
const SPRITES_SPARE = 1000;
const PARTICLES_SPARE = 20_000;

interface Placed {
  picture: Particle | Sprite;
  run: ParticleContainer | null;
}

export class Particles implements Bulk {
  private readonly atlas = new Atlas();
  private readonly placed = new Map<Entry, Placed>();
  private readonly particles: Particle[] = [];
  private readonly sprites: Sprite[] = [];
  private readonly runs: ParticleContainer[] = [];
  private used = { particles: 0, sprites: 0, runs: 0 };
  private readonly stale = new Set<ParticleContainer>();
  private originX = 0;
  private originY = 0;
  private leastUnits = 0;

  begin(originX: number, originY: number, scale: number): void {
    this.originX = originX;
    this.originY = originY;
    this.leastUnits = LEAST_PX / scale;
    this.placed.clear();
    this.used = { particles: 0, sprites: 0, runs: 0 };
  }

  add(entries: Entry[], container: Container): void {
    if (entries.length < RUN_LEAST) return entries.forEach((entry) => container.addChild(this.addSprite(entry)));
    const run = this.takeRun();
    run.particleChildren = entries.map((entry) => this.addParticle(entry, run));
    run.update();
    container.addChild(run);
  }

  private takeRun(): ParticleContainer {
    return (this.runs[this.used.runs++] ??= new ParticleContainer({
      texture: this.atlas.get("circle"),
      dynamicProperties: { position: true, rotation: true, vertex: false, color: false, uvs: false },
    }));
  }

  private addParticle(entry: Entry, run: ParticleContainer): Particle {
    const picture = (this.particles[this.used.particles++] ??= new Particle({
      texture: this.atlas.get("circle"),
      anchorX: 0.5,
      anchorY: 0.5,
    }));
    this.placed.set(entry, { picture, run });
    this.refresh(entry);
    return picture;
  }

  private addSprite(entry: Entry): Sprite {
    const picture = (this.sprites[this.used.sprites++] ??= new Sprite({ anchor: 0.5 }));
    this.placed.set(entry, { picture, run: null });
    this.refresh(entry);
    return picture;
  }

  /** Particles and sprites wait to be used again. */
  end(): void {
    this.runs.splice(this.used.runs).forEach((run) => run.destroy());
    this.sprites.splice(this.used.sprites + SPRITES_SPARE).forEach((sprite) => sprite.destroy());
    this.particles.length = Math.min(this.particles.length, this.used.particles + PARTICLES_SPARE);
  }

  refresh(entry: Entry): void {
    const placed = this.placed.get(entry);
    if (!placed) return;
    placed.picture.texture = this.atlas.get(pictureOf(entry.look));
    placed.picture.tint = entry.look.tint;
    placed.picture.alpha = entry.look.alpha;
    if (placed.run) this.stale.add(placed.run);
    this.place(entry, placed);
  }

  move(entry: Entry): void {
    const placed = this.placed.get(entry);
    if (placed) this.place(entry, placed);
  }

  private place(entry: Entry, { picture, run }: Placed): void {
    const [width, height] = sizeOf(entry.look);
    const grow = Math.max(1, this.leastUnits / (Math.max(width, height) * entry.scale)) * entry.scale;
    const scaleX = (width * grow) / picture.texture.width;
    const scaleY = (height * grow) / picture.texture.height;
    picture.x = entry.x - this.originX;
    picture.y = entry.y - this.originY;
    picture.rotation = entry.rotation;
    if (picture instanceof Sprite) return void picture.scale.set(scaleX, scaleY);
    if (run && (scaleX !== picture.scaleX || scaleY !== picture.scaleY)) this.stale.add(run);
    picture.scaleX = scaleX;
    picture.scaleY = scaleY;
  }

  /** What particles have besides place and rotation is uploaded again where it changed. */
  upload(): void {
    this.stale.forEach((run) => run.destroyed || run.update());
    this.stale.clear();
  }
}
