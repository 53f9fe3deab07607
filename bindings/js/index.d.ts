// @pixi-ws/client: docs/javascript.md says what each call does and answers.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
/** A value that JSON has, or bytes. No bytes at all, with retain, take a retained message away. */
export type Payload = unknown;
export type Headers = [name: string, value: string][];
export interface Position {
  epoch: string;
  offset: number;
}

export type Family =
  | "FAILED"
  | "USAGE"
  | "SETTINGS"
  | "CONNECT"
  | "KEY"
  | "PROTOCOL"
  | "TIMEOUT"
  | "CLOSED"
  | "NO_RESPONDER"
  | "FULL"
  | "LOST"
  | "TOO_LARGE";

export class PixiError extends Error {
  readonly family: Family;
  readonly layer: string;
  /** What to do about it. */
  readonly fix: string;
  /** Of the JSON-RPC error, or 0. */
  readonly code: number;
  /** Of RFC 6455, or 0. */
  readonly closeCode: number;
  readonly reason: string;
  /** Trying again unchanged cannot help. */
  readonly isFinal: boolean;
  /** As the server asks; 0: it did not say. */
  readonly retryAfterMs: number;
}

export class Message {
  readonly topic: string;
  readonly filter: string;
  /** A value of JSON if isJson, else a Uint8Array. */
  readonly payload: any;
  readonly isJson: boolean;
  readonly isEmpty: boolean;
  /** "" and 0: not stored. */
  readonly epoch: string;
  readonly offset: number;
  readonly timeMs: number;
  readonly isRetained: boolean;
  readonly isRequest: boolean;
  /** Messages before this one may be missing. */
  readonly isAfterGap: boolean;
  readonly headers: Headers;
}

export interface Options {
  key?: string;
  /** Send the key over ws:// to another machine. */
  allowPlaintext?: boolean;
  /** Where there is no global one: that of the package ws. */
  WebSocket?: unknown;
  connectMs?: number;
  requestMs?: number;
  closeMs?: number;
  pingIntervalMs?: number;
  pingTimeoutMs?: number;
  reconnectInitialMs?: number;
  reconnectMaxMs?: number;
  messageBytes?: number;
  queueBytes?: number;
  socketBytes?: number;
  queueCount?: number;
}

export interface State {
  name: "new" | "connecting" | "open" | "waiting" | "refused" | "closing" | "closed";
  /** open: of the last ping. */
  roundTripMs?: number;
  /** waiting: when it is tried again, as Date.now() has it. */
  retryAt?: number;
  /** waiting, refused, closed: why. */
  error?: PixiError;
}

export interface SubscribeOptions {
  onMessage?: (message: Message) => void;
  /** Those that came together. */
  onMessages?: (messages: Message[]) => void;
  onSubscribed?: (answer: Position & { recovered: boolean }) => void;
  /** The retained messages, or those that were missed, have all come. */
  onSynced?: () => void;
  /** What came while there was no connection is not kept: forget, and take what comes now. */
  onHistoryLost?: () => void;
  /** Without an error as agreed. */
  onEnd?: (error: PixiError | null) => void;
  /** false: not the retained messages. */
  retained?: boolean;
  /** Messages come together, so often at most. */
  batchMs?: number;
  /** Of several to one topic within batchMs only the newest. */
  latest?: boolean;
  /** What comes after these. */
  since?: Position | Position[];
}

export class Subscription implements AsyncIterableIterator<Message> {
  readonly filter: string;
  readonly ready: Promise<Position & { recovered: boolean }>;
  unsubscribe(): Promise<void>;
  next(): Promise<IteratorResult<Message>>;
  return(): Promise<IteratorResult<Message>>;
  [Symbol.asyncIterator](): this;
}

export interface PublishOptions {
  retain?: boolean;
  expiryS?: number;
  headers?: Headers;
}

export class Client {
  constructor(url: string, options?: Options);
  readonly state: State;
  readonly queuedBytes: number;
  onState(fn: (state: State) => void): () => void;
  start(options?: { retry?: boolean }): void;
  connect(options?: { retry?: boolean; timeoutMs?: number }): Promise<void>;
  retryNow(): void;
  close(code?: number, reason?: string): Promise<{ code: number; reason: string }>;
  publish(
    topic: string,
    payload: Payload,
    options?: PublishOptions & { timeoutMs?: number; nowait?: boolean },
  ): Promise<Position>;
  notify(topic: string, payload: Payload, options?: PublishOptions): boolean;
  request(topic: string, payload: Payload, options?: { timeoutMs?: number; headers?: Headers }): Promise<Message>;
  reply(request: Message, payload: Payload, options?: { headers?: Headers }): Promise<void>;
  replyError(request: Message, text: string, code?: number): Promise<void>;
  subscribe(filter: string, options?: SubscribeOptions): Subscription;
  unsubscribe(filter: string): Promise<void>;
}
