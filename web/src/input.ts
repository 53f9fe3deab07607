// Mouse, touch and keys on the map.
import type { Camera } from "./camera.js";
import type { Events } from "./events.js";
import type { Entry } from "./scene/entry.js";
import { isAt } from "./scene/shape.js";

const PULL_PX = 4; // a pointer that moves further does not click
const SLACK_PX = 5;
const PAN_PX = 80;
const PULL_STEP_PX = 10;
const ZOOM = 1.25;

export interface Map {
  camera: Camera;
  events: Events;
  element: HTMLElement;
  visible(): Entry[]; // the hindmost first
  selected(): Entry | null;
  select(entry: Entry | null): void;
  hover(entry: Entry | null): void;
  pull(pulled: { entry: Entry; x: number; y: number } | null): void;
  onMove(): void; // a person has moved the camera
  command(name: "fit" | "search" | "table" | "follow" | "help"): void;
}

interface Pull {
  entry: Entry;
  x: number;
  y: number;
}

export class Input {
  private readonly pointers = new globalThis.Map<number, { x: number; y: number }>();
  private start: { x: number; y: number; entry: Entry | null } | null = null;
  private hasMoved = false;
  private pulled: Pull | null = null;
  private hoverAt: { x: number; y: number } | null = null;

  constructor(private readonly map: Map) {
    const { element } = map;
    element.addEventListener("pointerdown", (event) => this.onDown(event));
    element.addEventListener("pointermove", (event) => this.onPointer(event));
    element.addEventListener("pointerup", (event) => this.onUp(event));
    element.addEventListener("pointercancel", (event) => this.onCancel(event));
    element.addEventListener("pointerleave", () => ((this.hoverAt = null), map.hover(null)));
    element.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("keydown", (event) => this.onKey(event));
    element.addEventListener("keyup", (event) => event.key === "Shift" && this.endPull());
    element.addEventListener("blur", () => this.endPull());
  }

  /** What is under the pointer; once a frame, since things move below it. */
  step(): void {
    if (this.hoverAt && !this.start) this.map.hover(this.at(this.hoverAt.x, this.hoverAt.y));
  }

  private place(event: MouseEvent): { x: number; y: number } {
    const { left, top } = this.map.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  private at(px: number, py: number): Entry | null {
    const { camera } = this.map;
    const { x, y } = camera.toWorld(px, py);
    const visible = this.map.visible();
    for (let i = visible.length - 1; i >= 0; i--) {
      const entry = visible[i];
      if (entry && isAt(entry, x, y, SLACK_PX / camera.scale)) return entry;
    }
    return null;
  }

  // --- pointers -------------------------------------------------------------------------------------------------

  private onDown(event: PointerEvent): void {
    const at = this.place(event);
    this.map.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.endPull();
      this.start = null;
      return;
    }
    this.hasMoved = false;
    this.start = { ...at, entry: event.button === 0 ? this.at(at.x, at.y) : null };
  }

  private onPointer(event: PointerEvent): void {
    const at = this.place(event);
    const before = this.pointers.get(event.pointerId);
    this.hoverAt = event.pointerType === "mouse" ? at : null;
    if (!before) return;
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.pointers.set(event.pointerId, at);
    if (others[0]) this.pinch(before, at, others[0]);
    else this.dragTo(before, at);
  }

  private dragTo(before: { x: number; y: number }, at: { x: number; y: number }): void {
    if (!this.start) return;
    const isFirst = !this.hasMoved;
    if (isFirst && Math.hypot(at.x - this.start.x, at.y - this.start.y) < PULL_PX) return;
    this.hasMoved = true;
    if (this.start.entry) return this.pullTo(this.start.entry, at);
    const from = isFirst ? this.start : before;
    this.map.camera.panBy(from.x - at.x, from.y - at.y);
    this.map.onMove();
  }

  private pinch(before: { x: number; y: number }, at: { x: number; y: number }, other: { x: number; y: number }): void {
    const { camera } = this.map;
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(at.x - other.x, at.y - other.y);
    camera.panBy((before.x - at.x) / 2, (before.y - at.y) / 2);
    camera.zoomAt((at.x + other.x) / 2, (at.y + other.y) / 2, is / Math.max(1, was));
    this.map.onMove();
  }

  private onUp(event: PointerEvent): void {
    const at = this.place(event);
    const { start } = this;
    this.pointers.delete(event.pointerId);
    this.start = null;
    if (this.pulled) return this.endPull();
    if (!start || this.hasMoved) return;
    const { x, y } = this.map.camera.toWorld(at.x, at.y);
    const entry = event.button === 0 ? start.entry : this.at(at.x, at.y);
    if (event.button === 0) this.map.select(entry);
    this.map.events.click(entry?.id ?? null, x, y, event.button);
  }

  private onCancel(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    this.start = null;
    this.endPull();
  }

  private onWheel(event: WheelEvent): void {
    event.preventDefault();
    const at = this.place(event);
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.map.camera.zoomAt(at.x, at.y, Math.exp((-event.deltaY * lines * (event.ctrlKey ? 8 : 1.5)) / 1000));
    this.map.onMove();
  }

  // --- pulling an object ----------------------------------------------------------------------------------------

  private pullTo(entry: Entry, at: { x: number; y: number }): void {
    this.pullToPlace(entry, this.map.camera.toWorld(at.x, at.y));
  }

  private pullToPlace(entry: Entry, { x, y }: { x: number; y: number }): void {
    if (!this.pulled) {
      this.map.select(entry);
      this.map.events.drag(entry.id, entry.x, entry.y, "start");
    }
    this.pulled = { entry, x, y };
    this.map.pull(this.pulled);
    this.map.events.drag(entry.id, x, y, "move");
  }

  private endPull(): void {
    if (!this.pulled) return;
    const { entry, x, y } = this.pulled;
    this.pulled = null;
    this.map.pull(null);
    this.map.events.drag(entry.id, x, y, "end");
  }

  private pullByKey(dx: number, dy: number): void {
    const entry = this.map.selected();
    const step = PULL_STEP_PX / this.map.camera.scale;
    if (!entry) return;
    const from = this.pulled ?? entry;
    this.pullToPlace(entry, { x: from.x + dx * step, y: from.y + dy * step });
  }

  // --- keys -----------------------------------------------------------------------------------------------------

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.map.element) return;
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey) this.pullByKey(...arrow);
    else if (arrow) this.pan(...arrow);
    else if (!this.doKey(event.key)) return;
    event.preventDefault();
  }

  private pan(dx: number, dy: number): void {
    this.map.camera.panBy(dx * PAN_PX, dy * PAN_PX);
    this.map.onMove();
  }

  private zoom(factor: number): void {
    const { camera } = this.map;
    camera.zoomAt(camera.width / 2, camera.height / 2, factor);
    this.map.onMove();
  }

  /** False: not one of ours. */
  private doKey(key: string): boolean {
    switch (key) {
      case "+":
      case "=":
        this.zoom(ZOOM);
        return true;
      case "-":
        this.zoom(1 / ZOOM);
        return true;
      case "0":
      case "Home":
        this.map.command("fit");
        return true;
      case "n":
        this.selectNext(1);
        return true;
      case "p":
        this.selectNext(-1);
        return true;
      case "Enter":
        this.clickSelected();
        return true;
      case "Escape":
        this.map.select(null);
        return true;
      case "/":
        this.map.command("search");
        return true;
      case "t":
        this.map.command("table");
        return true;
      case "c":
        this.map.command("follow");
        return true;
      case "?":
        this.map.command("help");
        return true;
      default:
        return false;
    }
  }

  private clickSelected(): void {
    const entry = this.map.selected();
    if (entry) this.map.events.click(entry.id, entry.x, entry.y, 0);
  }

  private selectNext(by: number): void {
    const rect = this.map.camera.rect();
    const all = this.map
      .visible()
      .filter(({ x, y }) => x >= rect.left && x <= rect.right && y >= rect.top && y <= rect.bottom);
    all.sort((a, b) => (a.id < b.id ? -1 : 1));
    const selected = this.map.selected();
    const at = selected ? all.indexOf(selected) : by > 0 ? -1 : 0;
    const next = all[(at + by + all.length) % all.length];
    if (next) this.map.select(next);
  }
}

const ARROWS: Record<string, [number, number] | undefined> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
