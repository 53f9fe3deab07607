// The client: one link to one server, made again when it is lost. docs/javascript.md, docs/protocol.md
import { Calls } from "./calls.js";
import { Connection } from "./connection.js";
import { PixiError, asLost, timedOut, usage } from "./errors.js";
import { Message } from "./message.js";
import { readOptions, readUrl } from "./options.js";
import { toWire } from "./payload.js";
import { Producer } from "./producer.js";
import { Retry } from "./retry.js";
import { Subscription } from "./subscription.js";
import { tell } from "./tell.js";
import { checkFilter, checkTopic } from "./topic.js";

const SILENT = { layer: "tcp", fix: "it is tried again; see whether the server runs" };

function closed() {
  return new PixiError("CLOSED", "there is no connection", { layer: "close", fix: "connect first" });
}

function checkClose(code, reason) {
  if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999))
    throw usage(`${code} is no close code that may be sent`, "use 1000, or 3000 to 4999");
  if (new TextEncoder().encode(reason).length > 123) throw usage("the reason is over 123 bytes", "make it shorter");
}

export class Client {
  #url;
  #options;
  #calls;
  #retry;
  #producer = new Producer();
  #subscriptions = new Map(); // by filter
  #listeners = new Set();
  #state = { name: "new" };
  #connection = null;
  #count = 0; // of connections
  #retryTimer = 0;
  #pingTimer = 0;
  #retryFirst = false;
  #wasOpen = false;
  #heard = false; // anything since the last ping
  #openers = []; // who waits for a connection
  #closer = null; // who waits for its end

  constructor(url, options = {}) {
    this.#options = readOptions(options);
    this.#url = readUrl(url, this.#options);
    this.#calls = new Calls(
      this.#options,
      (text) => this.#connection?.send(text) ?? false,
      () => this.#connection?.isUp ?? false,
    );
    this.#retry = new Retry(
      this.#options.reconnectInitialMs,
      Math.max(this.#options.reconnectInitialMs, this.#options.reconnectMaxMs),
    );
  }

  /** {name, roundTripMs?, retryAt?, error?}; name: new, connecting, open, waiting, refused, closing or closed. */
  get state() {
    return this.#state;
  }

  /** What is sent and not answered, in bytes. */
  get queuedBytes() {
    return this.#calls.bytes;
  }

  /** fn(state) at every change; returns what ends that. */
  onState(fn) {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  // --- connecting -----------------------------------------------------------------------------------------------

  /** Begin. retry: go on when the first attempt fails, too. */
  start({ retry = false } = {}) {
    if (!["new", "closed", "refused"].includes(this.#state.name)) return;
    this.#retryFirst = retry;
    this.#wasOpen = false;
    this.#dial();
  }

  /** Connect and wait for it. */
  connect({ retry = false, timeoutMs = 0 } = {}) {
    this.start({ retry });
    if (this.#state.name === "open") return Promise.resolve();
    if (this.#state.name === "closed") return Promise.reject(this.#state.error); // it could not even begin
    return new Promise((resolve, reject) => {
      const opener = { resolve, reject, timer: 0 };
      if (timeoutMs)
        opener.timer = setTimeout(() => {
          this.#openers = this.#openers.filter((other) => other !== opener);
          reject(timedOut("connect"));
        }, timeoutMs);
      this.#openers.push(opener);
    });
  }

  /** Don't wait any longer for the next attempt. */
  retryNow() {
    if (this.#state.name === "waiting") this.#dial();
  }

  #settleOpeners(how, value) {
    for (const opener of this.#openers.splice(0)) {
      clearTimeout(opener.timer);
      opener[how](value);
    }
  }

  #setState(state) {
    this.#state = state;
    for (const fn of [...this.#listeners]) tell(fn, state);
  }

  #dial() {
    clearTimeout(this.#retryTimer);
    this.#count++;
    this.#setState({ name: "connecting" });
    try {
      this.#connection = new Connection(this.#url, this.#options, {
        onUp: () => this.#onUp(),
        onText: (text) => this.#onText(text),
        onEnd: (error) => this.#onEnd(error),
      });
    } catch (error) {
      // a browser's page that may not, for one
      this.#end(new PixiError("SETTINGS", error.message, { layer: "settings", isFinal: true, fix: "correct the url" }));
    }
  }

  /** A socket is no link yet: a browser's wrong key is told on an open one. The first ping's answer makes it one. */
  #onUp() {
    this.#ping(this.#options.connectMs);
    for (const subscription of this.#subscriptions.values()) this.#sendSubscribe(subscription);
    this.#calls.flush();
  }

  #ping(timeoutMs) {
    const connection = this.#connection;
    const startMs = performance.now();
    this.#heard = false;
    const onResult = () => this.#onPong(connection, performance.now() - startMs);
    this.#calls.add("ping", {}, { once: true, always: true, timeoutMs, onResult }).catch((error) => {
      if (error.family === "TIMEOUT" && connection === this.#connection && !this.#heard)
        connection.end(new PixiError("LOST", "the server has fallen silent", SILENT));
      else this.#onPong(connection, null);
    });
  }

  #onPong(connection, roundTripMs) {
    if (connection !== this.#connection || !connection.isUp || this.#closer) return;
    this.#pingTimer = setTimeout(() => this.#ping(this.#options.pingTimeoutMs), this.#options.pingIntervalMs);
    this.#setState({ name: "open", roundTripMs: roundTripMs ?? this.#state.roundTripMs });
    if (this.#retry.openedMs === null) this.#retry.opened(performance.now());
    this.#wasOpen = true;
    this.#settleOpeners("resolve");
  }

  #onEnd(error) {
    this.#connection = null;
    clearTimeout(this.#pingTimer);
    if (this.#closer) return this.#onClosed(error);
    if (error.isFinal || !(this.#wasOpen || this.#retryFirst)) return this.#end(error);
    this.#calls.unsend(error);
    const ms = this.#retry.lost(performance.now());
    this.#retryTimer = setTimeout(() => this.#dial(), ms);
    this.#setState({ name: "waiting", retryAt: Date.now() + ms, error: asLost(error) });
  }

  /** There is no next attempt. */
  #end(error) {
    clearTimeout(this.#retryTimer);
    this.#calls.failAll(error);
    if (error.isFinal) this.#endSubscriptions(error);
    this.#setState({ name: error.family === "KEY" ? "refused" : "closed", error });
    this.#settleOpeners("reject", error);
  }

  #endSubscriptions(error) {
    const all = [...this.#subscriptions.values()];
    this.#subscriptions.clear();
    for (const subscription of all) subscription.end(error);
  }

  // --- closing --------------------------------------------------------------------------------------------------

  /** Close and wait for the peer's answer: {code, reason}. */
  async close(code = 1000, reason = "") {
    checkClose(code, reason);
    if (this.#closer || ["new", "closed", "refused"].includes(this.#state.name)) throw closed();
    const agreed = new PixiError("CLOSED", "closed by this side", {
      layer: "close",
      closeCode: code,
      reason,
      isFinal: true,
    });
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#retryTimer);
    if (!this.#connection?.isUp) {
      if (this.#connection) this.#connection.end(agreed);
      else this.#end(agreed);
      return { code, reason };
    }
    return new Promise((resolve, reject) => {
      this.#closer = { resolve, reject, agreed };
      this.#setState({ name: "closing" });
      this.#connection.close(code, reason);
    });
  }

  #onClosed(error) {
    const { resolve, reject, agreed } = this.#closer;
    this.#closer = null;
    this.#end(agreed);
    if (error.family === "TIMEOUT") reject(error);
    else if (!error.closeCode)
      reject(
        new PixiError("PROTOCOL", "the connection ended instead of an answer to close", {
          layer: "protocol",
          fix: "see the server's log",
        }),
      );
    else resolve({ code: error.closeCode, reason: error.reason });
  }

  // --- what the server says -------------------------------------------------------------------------------------

  #onText(text) {
    let said;
    this.#heard = true;
    try {
      said = JSON.parse(text);
    } catch {
      this.#connection.end(
        new PixiError("PROTOCOL", "what came is no JSON", {
          layer: "protocol",
          fix: "see whether this is a Pixi server",
        }),
      );
      return;
    }
    this.#takeAll(Array.isArray(said) ? said : [said]);
  }

  /** Messages of one subscription that came together are handed on together. */
  #takeAll(all) {
    let subscription = null;
    let messages = [];
    const deliver = () => {
      if (messages.length) subscription.deliver(messages);
      messages = [];
    };
    for (const one of all) {
      const to = one?.method === "message" ? this.#subscriptions.get(one.params?.filter) : null;
      if (to !== subscription) deliver();
      subscription = to;
      const message = to?.take(one.params, this.#count);
      if (message) messages.push(message);
      else if (!to) this.#take(one);
    }
    deliver();
  }

  #take(one) {
    if (one?.method === undefined) return one?.id !== undefined && this.#calls.answer(one);
    const subscription = this.#subscriptions.get(one.params?.filter);
    if (one.method === "synced") subscription?.onSynced();
    else if (one.method === "going_away") this.#retry.goingAway(one.params?.reconnect_in_ms);
    else if (one.method === "unsubscribed" && subscription?.isAnswered)
      // else of one that stood here before
      this.#drop(
        subscription,
        new PixiError("KEY", "the subscription was ended", {
          layer: "key",
          isFinal: true,
          fix: "use a key with that permission",
        }),
      );
  }

  // --- publishing -----------------------------------------------------------------------------------------------

  #publishParams(topic, payload, { retain, expiryS, headers }) {
    checkTopic(topic);
    return { topic, ...toWire(payload), retain, expiry_s: expiryS, headers };
  }

  #checkStarted() {
    if (this.#closer || ["closed", "refused"].includes(this.#state.name)) throw this.#state.error ?? closed();
    if (this.#state.name === "new") throw closed();
  }

  async #call(method, params, how) {
    this.#checkStarted();
    try {
      return await this.#calls.add(method, params, how);
    } catch (error) {
      if (error instanceof TypeError)
        // a BigInt, a circle
        throw usage(error.message, "give a value of JSON, or a Uint8Array");
      throw error;
    }
  }

  /** Store a message at the server, once however often the connection is lost meanwhile: {epoch, offset}. */
  async publish(topic, payload, options = {}) {
    const params = this.#publishParams(topic, payload, options);
    this.#checkStarted();
    const key = this.#producer.next();
    try {
      return await this.#call("publish", { ...params, key }, { nowait: options.nowait, timeoutMs: options.timeoutMs });
    } finally {
      this.#producer.done(key.seq);
    }
  }

  /** Say it now or never, without an answer. False: there is no connection, or it is full. */
  notify(topic, payload, options = {}) {
    const params = this.#publishParams(topic, payload, options);
    return this.#connection?.send(JSON.stringify({ jsonrpc: "2.0", method: "publish", params })) ?? false;
  }

  // --- asking ---------------------------------------------------------------------------------------------------

  /** Ask whoever answers on this topic; a Message. Never asked twice. */
  async request(topic, payload, { timeoutMs = this.#options.requestMs, headers } = {}) {
    checkTopic(topic);
    const params = { topic, ...toWire(payload), headers, timeout_ms: timeoutMs };
    const result = await this.#call("request", params, { once: true, timeoutMs: timeoutMs + this.#options.connectMs });
    return new Message({ topic, ...result });
  }

  #replyTo(message, more) {
    if (!message?.isRequest) throw usage("nobody asked with this message", "reply to messages whose isRequest is true");
    if (message.connection !== this.#count || !this.#connection?.isUp)
      throw new PixiError("LOST", "who asked is no longer connected to this", {
        layer: "request",
        fix: "nothing: it may ask again",
      });
    return this.#call(
      "reply",
      { request: message.request, ...more },
      { once: true, timeoutMs: this.#options.requestMs },
    );
  }

  async reply(message, payload, { headers } = {}) {
    await this.#replyTo(message, { ...toWire(payload), headers });
  }

  async replyError(message, text, code = -32050) {
    await this.#replyTo(message, { error: { code, message: String(text) } });
  }

  // --- subscribing ----------------------------------------------------------------------------------------------

  /** On this connection and all that follow. options: handlers and how; docs/javascript.md. */
  subscribe(filter, options = {}) {
    checkFilter(filter);
    const { name, error } = this.#state;
    if (name === "refused") throw error;
    const subscription = new Subscription(this, filter, options, this.#options.queueCount);
    this.#subscriptions.get(filter)?.end(null);
    this.#subscriptions.set(filter, subscription);
    if (this.#connection?.isUp) this.#sendSubscribe(subscription);
    return subscription;
  }

  async unsubscribe(filter) {
    const subscription = this.#subscriptions.get(filter);
    if (!subscription) throw usage(`there is no subscription to ${filter}`, "subscribe first");
    this.#drop(subscription, null);
    if (this.#connection?.isUp)
      await this.#call("unsubscribe", { filter }, { once: true, always: true, timeoutMs: this.#options.requestMs });
  }

  /** A Subscription asks again for what it had no room for. */
  catchUp(subscription) {
    if (this.#connection?.isUp) this.#sendSubscribe(subscription);
  }

  #drop(subscription, error) {
    if (this.#subscriptions.get(subscription.filter) === subscription) this.#subscriptions.delete(subscription.filter);
    subscription.end(error);
  }

  #sendSubscribe(subscription) {
    const onResult = (result) => subscription.onSubscribed(result);
    const how = { once: true, always: true, timeoutMs: this.#options.requestMs, onResult };
    this.#calls.add("subscribe", subscription.ask(), how).catch((error) => {
      if (error.family === "LOST")
        subscription.onFailed(error); // it is asked again on the next connection
      else this.#drop(subscription, error);
    });
  }
}
