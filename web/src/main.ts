// The page: what is published under scene/ on a map, and what a person does there under event/.
import { Camera } from "./camera.js";
import { byId, colourOf, setText } from "./dom.js";
import { type Theme, Stage } from "./draw/stage.js";
import { Events } from "./events.js";
import { Input } from "./input.js";
import { Link } from "./link.js";
import { Minimap } from "./panel/minimap.js";
import { Mistakes } from "./panel/mistakes.js";
import { Notices } from "./panel/notices.js";
import { Search } from "./panel/search.js";
import { Selection } from "./panel/selection.js";
import { Table } from "./panel/table.js";
import type { Entry } from "./scene/entry.js";
import { boundsOf } from "./scene/shape.js";
import { type CameraWish, Store } from "./scene/store.js";

const PANELS_MS = 250;
const SLOW_MS = 80; // a frame: then half of the time is for what comes in

function theme(): Theme {
  const ink = colourOf("--ink");
  return {
    ink,
    label: ink,
    mistake: colourOf("--bad"),
    accent: colourOf("--accent"),
    ground: colourOf("--paper"),
    grid: colourOf("--grid"),
  };
}

function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

class Page {
  readonly store = new Store();
  readonly camera = new Camera();
  private readonly map = byId("map");
  private readonly notices = new Notices();
  private readonly link: Link;
  private readonly events: Events;
  private readonly input: Input;
  private readonly selection = new Selection((entry) => this.show(entry));
  private readonly table = new Table(this.store, (entry) => this.choose(entry));
  private readonly search = new Search(this.store, (entry) => this.choose(entry));
  private readonly mistakes = new Mistakes(this.store);
  private readonly minimap = new Minimap(this.store, this.camera, () => ({
    dot: style("--dot"),
    frame: style("--accent"),
  }));
  private isFollowing = false;
  private isFitted = false; // the first view shows everything
  private isSynced = false;
  private panelsMs = 0;
  private frameMs = 0; // when the last one began
  private drawnMs = 0; // when something was drawn last
  private costMs = 0; // until the frame after that
  frames = 0;

  constructor(private readonly stage: Stage) {
    this.link = new Link(
      {
        onMessages: (messages) => this.store.queue(messages),
        onHistoryLost: () => this.store.doubt(),
        onSynced: () => this.onSynced(),
      },
      this.notices,
    );
    this.events = new Events(this.link);
    this.input = new Input({
      camera: this.camera,
      events: this.events,
      element: this.map,
      visible: () => stage.layers.visible,
      selected: () => this.selection.entry,
      select: (entry) => this.selection.select(entry),
      hover: (entry) => this.hover(entry),
      pull: (pulled) => {
        stage.pulled = pulled;
        stage.force();
      },
      onMove: () => this.onMove(),
      command: (name) => this.command(name),
    });
    this.selection.onChange = (entry) => {
      stage.selected.entry = entry;
      stage.force();
    };
    stage.onPictureFailed = (source, reason) => this.store.fail(source, reason);
    this.store.onCamera = (wish) => this.follow(wish);
    this.listen();
  }

  private listen(): void {
    const tools = { fit: "fit", table: "table", follow: "follow", help: "help" } as const;
    for (const [id, name] of Object.entries(tools))
      byId(`tool-${id}`).addEventListener("click", () => this.command(name));
    byId("tool-in").addEventListener("click", () => this.zoom(1.5));
    byId("tool-out").addEventListener("click", () => this.zoom(1 / 1.5));
    new ResizeObserver(() => this.resize()).observe(this.map);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.stage.setTheme(theme()));
    const motion = matchMedia("(prefers-reduced-motion: reduce)");
    const reduce = (): void => void (this.store.isMotionReduced = this.camera.isMotionReduced = motion.matches);
    motion.addEventListener("change", reduce);
    reduce();
  }

  start(): void {
    this.resize();
    this.link.start();
    requestAnimationFrame((nowMs) => this.frame(nowMs));
  }

  private resize(): void {
    this.camera.resize(this.map.clientWidth, this.map.clientHeight);
    this.stage.resize(this.camera.width, this.camera.height);
  }

  // --- once a frame ---------------------------------------------------------------------------------------------

  private frame(nowMs: number): void {
    requestAnimationFrame((ms) => this.frame(ms));
    this.frames++;
    this.store.apply(performance.now(), nowMs - this.frameMs);
    this.frameMs = nowMs;
    this.store.step(performance.now());
    this.camera.step(performance.now());
    if (!this.isFitted && this.isSynced && this.store.waitingCount === 0) this.fitFirst();
    this.input.step();
    this.draw(nowMs);
    if (nowMs - this.panelsMs >= PANELS_MS) this.drawPanels(nowMs);
  }

  private draw(nowMs: number): void {
    if (this.drawnMs && !this.costMs) this.costMs = nowMs - this.drawnMs;
    if (this.costMs > SLOW_MS && nowMs - this.drawnMs < 2 * this.costMs) return;
    if (!this.stage.draw(this.store, this.camera, performance.now())) return;
    this.drawnMs = nowMs;
    this.costMs = 0;
  }

  private drawPanels(nowMs: number): void {
    const { size } = this.store.objects;
    const { entry } = this.selection;
    this.panelsMs = nowMs;
    setText(byId("count"), `${size.toLocaleString("en")} ${size === 1 ? "object" : "objects"}`);
    byId("empty").hidden = !(this.isSynced && size === 0 && this.store.tiles.size === 0);
    this.mistakes.refresh();
    this.minimap.draw();
    this.table.refresh();
    this.selection.refresh(!entry || this.store.objects.get(entry.id) === entry);
  }

  // --- what happens ---------------------------------------------------------------------------------------------

  private onSynced(): void {
    this.isSynced = true;
    this.store.settle();
  }

  private fitFirst(): void {
    const bounds = boundsOf(this.store.objects.values());
    const wish = this.store.camera;
    if (!bounds && !wish) return;
    this.isFitted = true;
    if (wish) this.camera.goTo(wish.x, wish.y, wish.scale, 0);
    else this.command("fit");
  }

  private follow(wish: CameraWish): void {
    if (this.isFollowing) this.camera.goTo(wish.x, wish.y, wish.scale, wish.durationMs);
  }

  private hover(entry: Entry | null): void {
    if (this.stage.hovered.entry === entry) return;
    this.stage.hovered.entry = entry;
    this.map.classList.toggle("over", entry !== null);
    this.stage.force();
  }

  /** By a person, who is not pulled away again then. */
  private onMove(): void {
    this.isFitted = true;
    if (this.isFollowing) this.setFollowing(false);
    this.events.camera(this.camera);
  }

  private show({ look }: Entry): void {
    this.onMove();
    this.camera.goTo(look.x, look.y, Math.max(this.camera.scale, 1));
  }

  private choose(entry: Entry): void {
    this.selection.select(entry);
    this.show(entry);
  }

  private zoom(factor: number): void {
    this.camera.zoomAt(this.camera.width / 2, this.camera.height / 2, factor);
    this.onMove();
  }

  private setFollowing(isFollowing: boolean): void {
    this.isFollowing = isFollowing;
    byId("tool-follow").setAttribute("aria-pressed", String(isFollowing));
    if (isFollowing && this.store.camera) this.follow(this.store.camera);
  }

  private command(name: "fit" | "search" | "table" | "follow" | "help"): void {
    const bounds = name === "fit" ? boundsOf(this.store.objects.values()) : null;
    if (name === "fit" && bounds) this.camera.fit(bounds);
    else if (name === "search") this.search.focus();
    else if (name === "table") this.table.toggle();
    else if (name === "follow") this.setFollowing(!this.isFollowing);
    else if (name === "help") byId<HTMLDialogElement>("help").showModal();
  }

  /** For tests and the curious: what is on the map now. */
  get report(): object {
    const { x, y, scale } = this.camera;
    return {
      renderer: this.stage.kind,
      link: this.link.name,
      frames: this.frames,
      camera: { x, y, scale },
      objects: this.store.objects.size,
      tiles: this.store.tiles.size,
      mistakes: this.store.mistakes.size,
      copies: this.stage.copies,
      drawn: this.stage.layers.visible.length,
      waiting: this.store.waitingCount,
      moving: this.store.moving.size,
      isTravelling: this.camera.isTravelling || (!this.isFitted && this.store.objects.size > 0),
    };
  }
}

try {
  const canvas = document.querySelector<HTMLCanvasElement>("#map canvas");
  const wish = new URLSearchParams(location.search).get("draw");
  const page = new Page(await Stage.create(canvas as HTMLCanvasElement, theme(), wish));
  page.start();
  Object.assign(globalThis, {
    pixiPage: {
      report: () => page.report,
      object: (id: string) => page.store.objects.get(id),
      view: (x: number, y: number) => page.camera.toView(x, y),
    },
  });
} catch (error) {
  setText(
    byId("link-text"),
    `This browser cannot draw the map: ${error instanceof Error ? error.message : String(error)}`,
  );
  throw error;
}
