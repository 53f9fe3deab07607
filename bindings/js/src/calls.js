// Calls under way: they outlive connections, go in order, and are bounded in bytes.
import { PixiError, asLost, mayResendAfter, ofCall, timedOut } from "./errors.js";

const DRAIN_MS = 10; // how often a full socket is looked at: browsers tell nobody when it has room

function full() {
  return new PixiError("FULL", "the queue is full", { layer: "limits", fix: "send more slowly, or raise queueBytes" });
}

export class Calls {
  /** transmit(text): true when the socket took it. isUp(): there is one, so that it was full. */
  constructor(options, transmit, isUp) {
    this.options = options;
    this.transmit = transmit;
    this.isUp = isUp;
    this.lastId = 0;
    this.byId = new Map(); // in the order in which they go
    this.bytes = 0;
    this.waiting = []; // for room
    this.drainTimer = 0;
  }

  /** A promise of the result. once: never sent twice. nowait: FULL instead of waiting for room. always: needs none.
   *  onResult: told at once, before what comes after the answer; a promise is later. */
  add(method, params, { once = false, nowait = false, always = false, timeoutMs = 0, onResult } = {}) {
    const id = ++this.lastId;
    const text = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const call = {
      id,
      text,
      size: new TextEncoder().encode(text).length,
      method,
      once,
      onResult,
      isSent: false,
      timer: 0,
    };
    if (call.size > this.options.messageBytes) {
      const fix = "send a smaller message, or raise messageBytes";
      throw new PixiError(
        "TOO_LARGE",
        `${method}: ${call.size} bytes are over the limit of ${this.options.messageBytes}`,
        { layer: "limits", fix, isFinal: true },
      );
    }
    const hasRoom = always || (this.hasRoom(call) && !this.waiting.length);
    if (!hasRoom && nowait) throw full();
    const promise = new Promise((resolve, reject) => Object.assign(call, { resolve, reject }));
    if (timeoutMs) call.timer = setTimeout(() => this.fail(call, timedOut(method)), timeoutMs);
    if (hasRoom) this.begin(call);
    else this.waiting.push(call);
    return promise;
  }

  hasRoom(call) {
    return this.byId.size === 0 || this.bytes + call.size <= this.options.queueBytes;
  }

  begin(call) {
    const isBehind = this.drainTimer !== 0;
    this.byId.set(call.id, call);
    this.bytes += call.size;
    if (!isBehind) this.send(call);
  }

  send(call) {
    call.isSent = this.transmit(call.text);
    if (!call.isSent && this.isUp()) this.drainTimer ||= setTimeout(() => this.flush(), DRAIN_MS);
    return call.isSent;
  }

  /** There is a connection, or room again: what was not sent goes, in order. */
  flush() {
    this.stopDraining();
    for (const call of this.byId.values()) if (!call.isSent && !this.send(call)) return;
  }

  stopDraining() {
    clearTimeout(this.drainTimer);
    this.drainTimer = 0;
  }

  remove(call) {
    clearTimeout(call.timer);
    if (!this.byId.delete(call.id)) {
      this.waiting = this.waiting.filter((other) => other !== call);
      return;
    }
    this.bytes -= call.size;
    while (this.waiting.length && this.hasRoom(this.waiting[0])) this.begin(this.waiting.shift());
  }

  fail(call, error) {
    this.remove(call);
    call.reject(error);
  }

  answer(message) {
    const call = this.byId.get(message.id);
    if (!call?.isSent) return; // its time was over before the answer came
    this.remove(call);
    if (message.error !== undefined) return call.reject(ofCall(call.method, message.error));
    call.onResult?.(message.result ?? {});
    call.resolve(message.result ?? {});
  }

  /** The connection is lost and made again: what may be sent again stays. */
  unsend(error) {
    this.stopDraining();
    const mayResend = mayResendAfter(error.closeCode);
    for (const call of [...this.byId.values()]) {
      if (call.isSent && !mayResend) this.fail(call, error);
      else if (call.isSent && call.once) this.fail(call, asLost(error));
      else call.isSent = false;
    }
  }

  /** There will be no connection any more. */
  failAll(error) {
    this.stopDraining();
    const all = [...this.byId.values(), ...this.waiting];
    this.byId.clear();
    this.waiting = [];
    this.bytes = 0;
    for (const call of all) this.fail(call, error);
  }
}
