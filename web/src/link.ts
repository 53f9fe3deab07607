// The link to the server, its state in words, and the form that asks for the key.
import { Client, type Message, PixiError, type State } from "@pixi-ws/client";
import { byId, setText } from "./dom.js";
import { Notices } from "./panel/notices.js";
import { FILTER } from "./scene/topics.js";

const KEY = "pixi.key"; // in sessionStorage: gone with this tab
const CLEAR = "pixi.clear"; // a person has said that the key may travel so
const BATCH_MS = 50;

export interface Handlers {
  onMessages(messages: Message[]): void;
  onHistoryLost(): void;
  onSynced(): void;
}

function serverUrl(): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1`;
}

interface Told {
  text: string; // what is shown
  news: string; // what is read out, once for each state
  action: string; // a button; "": none
}

function milliseconds(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

function tell(state: State): Told {
  const why = state.error ? state.error.message : "";
  switch (state.name) {
    case "connecting":
      return { text: "Connecting…", news: "Connecting", action: "" };
    case "open": {
      const trip = state.roundTripMs === undefined ? "" : `, ${milliseconds(state.roundTripMs)} ms`;
      return { text: `Connected${trip}`, news: "Connected", action: "" };
    }
    case "waiting": {
      const seconds = Math.max(0, Math.ceil(((state.retryAt ?? 0) - Date.now()) / 1000));
      return { text: `Reconnecting in ${seconds} s: ${why}`, news: `Reconnecting: ${why}`, action: "Try now" };
    }
    case "refused":
      return { text: `Refused: ${why}. ${state.error?.fix ?? ""}`, news: `Refused: ${why}`, action: "Enter key" };
    case "closed":
      return { text: `Closed: ${why}`, news: `Closed: ${why}`, action: "Connect" };
    default:
      return { text: "Not connected", news: "Not connected", action: "Enter key" };
  }
}

export class Link {
  private client: Client | null = null;
  private state: State = { name: "new" };
  private news = "";
  private readonly dialog = byId<HTMLDialogElement>("key-dialog");
  private readonly input = byId<HTMLInputElement>("key");
  private readonly refusals = new Set<string>();

  constructor(
    private readonly handlers: Handlers,
    private readonly notices: Notices,
  ) {
    byId("link-action").addEventListener("click", () => this.act());
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.takeKey();
    });
    byId("key-cancel").addEventListener("click", () => this.dialog.close());
    setInterval(() => this.show(), 250); // the seconds until the next attempt
  }

  get name(): State["name"] {
    return this.state.name;
  }

  start(): void {
    const key = sessionStorage.getItem(KEY);
    if (key) this.connect(key);
    else this.ask("");
    this.show();
  }

  private ask(problem: string): void {
    byId("key-clear-label").hidden = isSecureContext;
    setText(byId("key-problem"), problem);
    byId("key-problem").hidden = !problem;
    if (!this.dialog.open) this.dialog.showModal();
    this.input.focus();
  }

  private takeKey(): void {
    const key = this.input.value.trim();
    this.input.value = "";
    this.dialog.close();
    if (!key) return;
    sessionStorage.setItem(KEY, key);
    if (byId<HTMLInputElement>("key-clear").checked) sessionStorage.setItem(CLEAR, "yes");
    this.connect(key);
  }

  private act(): void {
    if (this.state.name === "waiting") this.client?.retryNow();
    else this.ask("");
  }

  /** What the server says of the page before is not this one's: the old client is closed. */
  private connect(key: string): void {
    const allowPlaintext = sessionStorage.getItem(CLEAR) !== null;
    this.client?.close().catch(() => {});
    try {
      this.client = new Client(serverUrl(), { key, allowPlaintext, pingIntervalMs: 5000, reconnectMaxMs: 10_000 });
    } catch (error) {
      if (!(error instanceof PixiError)) throw error;
      sessionStorage.removeItem(KEY);
      return this.ask(`${error.message}.`);
    }
    const client = this.client;
    client.onState((state) => client === this.client && this.onState(state));
    this.subscribe(client);
    client.start({ retry: true });
  }

  private subscribe(client: Client): void {
    client.subscribe(FILTER, {
      batchMs: BATCH_MS,
      latest: true,
      onMessages: (messages) => this.handlers.onMessages(messages),
      onSynced: () => this.handlers.onSynced(),
      onSubscribed: ({ recovered }) => recovered && this.handlers.onSynced(),
      onHistoryLost: () => this.onHistoryLost(),
      onEnd: (error) => error && this.notices.add(`The scene cannot be read: ${error.message}. ${error.fix}`),
    });
  }

  private onHistoryLost(): void {
    this.notices.add(
      "History lost: the server no longer knows what happened while there was no connection. The scene was read anew.",
    );
    this.handlers.onHistoryLost();
  }

  private onState(state: State): void {
    this.state = state;
    if (state.name === "refused") {
      sessionStorage.removeItem(KEY);
      this.ask(`${state.error?.message ?? ""}. ${state.error?.fix ?? ""}`);
    }
    this.show();
  }

  private show(): void {
    const { text, news, action } = tell(this.state);
    const button = byId<HTMLButtonElement>("link-action");
    byId("link").dataset.state = this.state.name;
    setText(byId("link-text"), text);
    byId("link-text").title = text;
    setText(button, action);
    button.hidden = !action;
    if (news !== this.news) setText(byId("live"), (this.news = news));
  }

  /** Stored; a refusal is told once for each topic. */
  publish(topic: string, payload: unknown): void {
    this.client?.publish(topic, payload, { timeoutMs: 10_000 }).catch((error: unknown) => {
      if (!(error instanceof PixiError)) throw error;
      if (error.family !== "KEY" || this.refusals.has(topic)) return;
      this.refusals.add(topic);
      this.notices.add(`What you do here is not heard: ${error.message} (${topic}). ${error.fix}`);
    });
  }

  /** Said now or never. */
  notify(topic: string, payload: unknown): void {
    this.client?.notify(topic, payload);
  }
}
