// A subscription that outlives connections: where it stood, what waits to be read.
import { PixiError } from "./errors.js";
import { Message } from "./message.js";
import { tell } from "./tell.js";

const POSITIONS_MAX = 16; // that a server takes

function attempt() {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  out.promise.catch(() => {}); // nobody needs to wait for it
  return out;
}

/** Made by Client.subscribe. An async iterator of messages where no handler takes them. */
export class Subscription {
  constructor(client, filter, { batchMs, latest, retained = true, since, ...handlers }, queueCount) {
    this.filter = filter;
    this.client = client;
    this.handlers = handlers;
    this.wants = { retained, batchMs, latest };
    this.queueCount = queueCount;
    this.positions = new Map(); // the highest offset of each epoch
    for (const position of [since ?? []].flat()) this.remember(position);
    this.wasSubscribed =
      this.isAnswered =
      this.isSynced =
      this.isBehind =
      this.isCatchingUp =
      this.hasGap =
      this.isOver =
        false;
    this.pending = null; // the position that holds once the retained messages have come
    this.queue = [];
    this.readers = [];
    this.attempt = attempt();
  }

  /** Settled by the server's answer: {epoch, offset, recovered}. After LOST it is asked again, with a new promise. */
  get ready() {
    return this.attempt.promise;
  }

  get isQueueing() {
    return !this.handlers.onMessage && !this.handlers.onMessages;
  }

  unsubscribe() {
    return this.client.unsubscribe(this.filter);
  }

  // --- what the client calls ------------------------------------------------------------------------------------

  /** The parameters to ask with. Until the answer what comes is meant for one that stood here before. */
  ask() {
    this.isAnswered = false;
    const since = [...this.positions].map(([epoch, offset]) => ({ epoch, offset }));
    return {
      filter: this.filter,
      since: since.length && !this.filter.startsWith("$") ? since : undefined,
      retained: this.wants.retained ? undefined : false,
      batch_ms: this.wants.batchMs,
      latest: this.wants.latest,
    };
  }

  remember({ epoch, offset }) {
    this.positions.delete(epoch); // the newest stands last
    this.positions.set(epoch, offset);
    if (this.positions.size > POSITIONS_MAX) this.positions.delete(this.positions.keys().next().value);
  }

  onSubscribed(result) {
    if (this.isOver) return; // another stands in its place
    const isAgain = this.wasSubscribed;
    this.wasSubscribed = this.isAnswered = true;
    this.isBehind = this.isCatchingUp = false;
    this.pending = { epoch: result.epoch, offset: result.offset };
    this.isSynced = result.recovered || !this.wants.retained;
    if (!result.recovered) this.positions.clear();
    if (this.isSynced) this.remember(this.pending);
    if (isAgain && !result.recovered) {
      this.hasGap = true;
      tell(this.handlers.onHistoryLost);
    }
    this.attempt.resolve(result);
    tell(this.handlers.onSubscribed, result);
  }

  onFailed(error) {
    this.isCatchingUp = false;
    this.attempt.reject(error);
    this.attempt = attempt();
  }

  onSynced() {
    if (!this.isAnswered || this.isBehind) return;
    if (!this.isSynced) this.remember(this.pending);
    this.isSynced = true;
    tell(this.handlers.onSynced);
  }

  /** One message; null when it came before, or is to come again. */
  take(params, connection) {
    if (!this.isAnswered) return null;
    if (this.isQueueing && this.queue.length >= this.queueCount) this.isBehind = true;
    if (this.isBehind) {
      this.hasGap ||= !params.offset;
      return null;
    }
    if (params.offset && !params.retained) {
      if (params.offset <= (this.positions.get(params.epoch) ?? 0)) return null;
      if (this.isSynced) this.remember(params);
      else this.pending = { epoch: params.epoch, offset: params.offset };
    }
    const message = new Message(params, connection, this.hasGap);
    this.hasGap = false;
    return message;
  }

  deliver(messages) {
    tell(this.handlers.onMessages, messages);
    if (this.handlers.onMessage) messages.forEach((message) => tell(this.handlers.onMessage, message));
    if (!this.isQueueing) return;
    for (const message of messages) {
      const reader = this.readers.shift();
      if (reader) reader.resolve({ value: message, done: false });
      else this.queue.push(message);
    }
  }

  /** For good: without an error as agreed. */
  end(error) {
    if (this.isOver) return;
    this.isOver = true;
    this.error = error && error.closeCode !== 1000 ? error : null;
    this.attempt.reject(error ?? new PixiError("CLOSED", `${this.filter} is unsubscribed`, { layer: "close" }));
    this.readers.splice(0).forEach((reader) => this.settle(reader));
    tell(this.handlers.onEnd, this.error);
  }

  settle({ resolve, reject }) {
    const error = this.error;
    this.error = null; // told once
    if (error) reject(error);
    else resolve({ value: undefined, done: true });
  }

  // --- the iterator ---------------------------------------------------------------------------------------------

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    const message = this.queue.shift();
    if (this.isBehind && !this.queue.length && !this.isCatchingUp) {
      this.isCatchingUp = true;
      this.client.catchUp(this);
    }
    if (message) return Promise.resolve({ value: message, done: false });
    return new Promise((resolve, reject) => {
      if (this.isOver) this.settle({ resolve, reject });
      else this.readers.push({ resolve, reject });
    });
  }

  async return() {
    if (!this.isOver) await this.unsubscribe().catch(() => {}); // a break out of `for await` is no place for it
    return { value: undefined, done: true };
  }
}
