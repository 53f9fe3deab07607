// use.mjs WHAT URL KEY NARROW-KEY -- @pixi-ws/client in use, with a hub. Prints what test_javascript.py waits for.
import assert from "node:assert";
import { createRequire } from "node:module";
import { Client } from "../../bindings/js/src/index.js";
import { Retry } from "../../bindings/js/src/retry.js";

const WebSocket = createRequire(import.meta.url)("ws");
const [, , what, url, key, narrow] = process.argv;

async function connected(more = {}) {
  const client = new Client(url, { key, WebSocket, reconnectInitialMs: 1, ...more });
  await client.connect();
  return client;
}

async function fails(promise, family) {
  await assert.rejects(promise, (error) => error.family === family || assert.fail(`${error.family} ${error.message}`));
}

async function take(iterator, count) {
  const out = [];
  while (out.length < count) out.push((await iterator.next()).value);
  return out;
}

/** What was meant for a subscription that is gone does not come to the one in its place. */
async function replaced() {
  const client = await connected();
  const first = client.subscribe("event/#");
  assert.deepEqual(
    (await take(first, 2)).map((message) => message.payload),
    ["first", { x: 1 }],
  );
  let synced = 0;
  const other = client.subscribe("event/#", { onSynced: () => synced++ });
  assert.deepEqual(
    (await take(other, 2)).map((message) => message.payload),
    ["first", { x: 1 }],
  );
  assert.equal(synced, 0);
  await client.close();
}

/** What is published is what comes; bytes as bytes. */
async function payloads() {
  const client = await connected();
  const every = client.subscribe("event/#");
  await every.ready;
  const bytes = Uint8Array.from({ length: 70000 }, (_, i) => i * 7);
  const sent = [
    1,
    "x",
    "",
    null,
    { a: [true, "ü🦆"] },
    bytes,
    new Uint8Array(),
    bytes.subarray(3, 9),
    new DataView(bytes.buffer, 1, 2),
  ];
  for (const payload of sent)
    await client.publish("event/x", payload, {
      headers: [
        ["a", "b"],
        ["a", "c"],
      ],
    });
  const came = await take(every, sent.length);
  came.forEach((message, i) => {
    const payload = sent[i] instanceof DataView ? bytes.slice(1, 3) : sent[i];
    assert.deepEqual(message.payload, payload instanceof Uint8Array ? new Uint8Array(payload) : payload);
    assert.equal(message.isJson, !ArrayBuffer.isView(sent[i]));
    assert.equal(message.isEmpty, i === 6);
    assert.deepEqual(message.headers, [
      ["a", "b"],
      ["a", "c"],
    ]);
    assert(message.offset > 0 && message.epoch.length === 16 && message.timeMs > 1e12);
  });
  const circle = {};
  circle.circle = circle;
  for (const payload of [undefined, () => 1, 1n, circle]) await fails(client.publish("event/x", payload), "USAGE");
  assert.equal(client.queuedBytes, 0);
}

async function iterators() {
  const client = await connected();
  const every = client.subscribe("event/#");
  await every.ready;
  for (let i = 0; i < 5; i++) await client.publish("event/x", i);
  let sum = 0;
  for await (const message of every) {
    sum += message.payload;
    if (message.payload === 3) break;
  }
  assert.equal(sum, 6);
  await fails(client.unsubscribe("event/#"), "USAGE"); // the break has done it
  const first = client.subscribe("event/#");
  const second = client.subscribe("event/#");
  assert.deepEqual(await first.next(), { value: undefined, done: true }); // replaced
  const refused = new Client(url, { key: narrow, WebSocket });
  await refused.connect();
  await fails(refused.subscribe("other/#").next(), "KEY");
  assert.equal(refused.state.name, "open");
  const waits = second.next();
  await client.close();
  assert.deepEqual(await waits, { value: undefined, done: true });
}

async function requests() {
  const asker = await connected();
  const responder = await connected();
  const asked = responder.subscribe("request/#");
  await asked.ready;
  for (let i = 0; i < 3; i++) {
    const answer = asker.request("request/double", i);
    const { value } = await asked.next();
    await responder.reply(value, value.payload * 2, { headers: [["by", "me"]] });
    assert.deepEqual([(await answer).payload, (await answer).headers], [i * 2, [["by", "me"]]]);
  }
  const bad = assert.rejects(asker.request("request/double", "x"), /no number/);
  await responder.replyError((await asked.next()).value, "no number");
  await bad;
  await responder.close();
  await fails(asker.request("request/double", 1), "NO_RESPONDER");
}

/** More than queue and socket hold waits, goes in order, and is stored once. */
async function backpressure() {
  const client = await connected({ queueBytes: 200_000, socketBytes: 20_000 });
  const every = client.subscribe("event/#");
  await every.ready;
  let most = 0;
  const all = Array.from({ length: 300 }, (_, i) => client.publish("event/x", [i, "x".repeat(5000)]));
  const watch = setInterval(() => (most = Math.max(most, client.queuedBytes)), 1);
  const positions = await Promise.all(all);
  clearInterval(watch);
  assert(most > 20_000 && most <= 200_000, `${most}`);
  assert.deepEqual(
    positions.map((p) => p.offset),
    positions.map((_, i) => positions[0].offset + i),
  );
  const came = await take(every, 300);
  assert(came.every((message, i) => message.payload[0] === i));
}

/** A reader that is behind gets the rest from the history. */
async function reader() {
  const client = await connected({ queueCount: 10 });
  const every = client.subscribe("event/#");
  await every.ready;
  for (let i = 0; i < 95; i++) await client.publish("event/x", i);
  const came = await take(every, 95);
  assert.deepEqual(
    came.map((message) => message.payload),
    came.map((_, i) => i),
  );
  assert(came.every((message) => !message.isAfterGap));
}

/** What draws wants few messages, the newest of each topic, and to be told when all that was retained has come. */
async function batches() {
  const client = await connected();
  for (let i = 0; i < 3; i++) await client.publish(`event/${i}`, "old", { retain: true });
  const came = [];
  await new Promise((resolve) => {
    client.subscribe("event/#", {
      batchMs: 200,
      latest: true,
      onMessages: (messages) => came.push(messages.map(({ topic, payload }) => `${topic} ${payload}`)),
      onSynced: resolve,
    });
  });
  assert.deepEqual(came.flat().sort(), ["event/0 old", "event/1 old", "event/2 old"]);
  came.length = 0;
  const all = [];
  for (let i = 0; i < 50; i++) all.push(client.publish(`event/${i % 2}`, i));
  await Promise.all(all);
  await client.publish("event/end", "end");
  while (!came.flat().includes("event/end end")) await new Promise((resolve) => setTimeout(resolve, 10));
  assert(came.length < 25 && came.flat().length < 50, `${came.length} ${came.flat().length}`);
  assert(came.flat().includes("event/0 48") && came.flat().includes("event/1 49"));
}

/** Before it is connected, and while it waits to be again, closing is at once. */
async function closing() {
  const states = [];
  const client = new Client(url, { key, WebSocket });
  client.onState(({ name }) => states.push(name));
  client.start();
  assert.deepEqual(await client.close(), { code: 1000, reason: "" });
  assert.deepEqual(states, ["connecting", "closed"]);
  const nobody = new Client("ws://127.0.0.1:1/", {
    WebSocket,
    reconnectInitialMs: 3_000_000,
    reconnectMaxMs: 3_000_000,
  });
  const waits = new Promise((resolve) => nobody.onState(({ name }) => name === "waiting" && resolve()));
  const connecting = fails(nobody.connect({ retry: true }), "CLOSED");
  await waits;
  await nobody.close();
  await connecting;
  assert.equal(nobody.state.name, "closed");
}

/** A handler that throws is heard of, and nothing else stops. */
async function handlers() {
  const client = await connected();
  const thrown = [];
  const came = [];
  process.on("uncaughtException", (error) => thrown.push(error.message));
  const end = new Promise((resolve) => {
    client.subscribe("event/#", {
      onMessage: (message) => {
        came.push(message.payload);
        if (message.payload === 2) resolve();
        throw new Error(`at ${message.payload}`);
      },
    });
  });
  for (let i = 0; i < 3; i++) await client.publish("event/x", i);
  await end;
  await new Promise(setImmediate);
  assert.deepEqual(
    [came, thrown],
    [
      [0, 1, 2],
      ["at 0", "at 1", "at 2"],
    ],
  );
  assert.equal(client.notify("event/x", 3), true);
  assert.throws(() => client.notify("event/#", 3), { family: "USAGE" });
  await client.close();
  assert.equal(client.notify("event/x", 4), false);
}

/** To a page, which has an Origin, a wrong key is told by closing with 3000. Without, there is no connection. */
async function withKey() {
  const client = new Client(url, { key: "pk_of-nobody", WebSocket });
  await fails(client.connect(), "CONNECT");
  assert.match(client.state.error.message, /401/);
}

function retry() {
  const waits = (random) => {
    const r = new Retry(100, 1000, () => random);
    return Array.from({ length: 6 }, () => r.lost(0));
  };
  assert.deepEqual(waits(0), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual(waits(0.9999), [100, 200, 400, 800, 1000, 1000]);
  const r = new Retry(100, 1000, () => 0.9999);
  r.lost(0);
  r.opened(0);
  assert.equal(r.lost(999), 200); // it did not last
  r.opened(0);
  assert.equal(r.lost(1000), 100);
  r.goingAway(700);
  assert.equal(r.lost(0), 700);
  r.goingAway(1e9);
  assert.equal(r.lost(0), 1000);
  assert.equal(r.lost(0), 800);
}

function watch(client) {
  client.onState(({ name, error, retryAt }) => {
    if (name === "open") console.log("open");
    if (name === "waiting") console.log(`waiting ${error.closeCode} ${retryAt - Date.now()}`);
  });
}

async function restart() {
  const client = new Client(url, { key, WebSocket });
  let opened = 0;
  watch(client);
  client.onState(({ name }) => name === "open" && ++opened === 2 && process.exit(0));
  client.start();
}

async function resume() {
  const client = await connected();
  let next = 0;
  watch(client);
  client.subscribe("event/#", {
    onHistoryLost: () => console.log("history lost"),
    onMessage: (message) => {
      if (message.topic === "event/end") {
        console.log("end");
        process.exit(0);
      }
      console.log(`got ${message.payload}`);
    },
  });
  client.onState(async ({ name }) => {
    if (name !== "waiting" || next) return;
    for (next = 1; next <= 3; next++)
      await client.publish("event/x", next).then(() => console.log(`published ${next}`));
  });
  await client.publish("event/x", 0);
}

/** A server in this program: what was said last, and what it says. */
class Scripted extends EventTarget {
  static last = null;
  bufferedAmount = 0;
  readyState = 1;
  asked = [];

  constructor() {
    super();
    Scripted.last = this;
    setImmediate(() => this.dispatchEvent(new Event("open")));
  }

  send(text) {
    const call = JSON.parse(text);
    if (call.method === "ping") this.say({ id: call.id, result: { time_ms: 1 } });
    else this.asked.push(call);
  }

  say(...all) {
    const data = JSON.stringify(all.map((one) => ({ jsonrpc: "2.0", ...one })));
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  close() {}
}

/** Where one subscription takes another's place, each hears what is said to it, and nothing that is said to the other. */
async function replacedTwice() {
  const client = await connected({ WebSocket: Scripted });
  const heard = [];
  const subscribe = (name) =>
    client.subscribe("event/#", {
      onMessage: ({ payload }) => heard.push(`${name} ${payload}`),
      onSubscribed: () => heard.push(`${name} subscribed`),
      onSynced: () => heard.push(`${name} synced`),
      onEnd: (error) => heard.push(`${name} ended ${error}`),
    });
  const answer = (call) => ({ id: call.id, result: { epoch: "e", offset: 0, recovered: false } });
  const message = (payload) => ({ method: "message", params: { filter: "event/#", topic: "event/x", payload } });
  const synced = { method: "synced", params: { filter: "event/#" } };
  const unsubscribed = {
    method: "unsubscribed",
    params: { filter: "event/#", error: { code: -32001, message: "no" } },
  };
  subscribe("a");
  subscribe("b");
  subscribe("c");
  const server = Scripted.last;
  const [a, b, c] = server.asked;
  server.say(answer(a), message(1), synced, answer(b), message(2), synced, unsubscribed);
  server.say(answer(c), message(3), synced);
  assert.deepEqual(heard, ["a ended null", "b ended null", "c subscribed", "c 3", "c synced"]);
}

async function cut() {
  const client = new Client(url, { key, WebSocket, reconnectInitialMs: 1, pingIntervalMs: 100, pingTimeoutMs: 1000 });
  client.subscribe("event/#", {
    onHistoryLost: () => console.log("history lost"),
    onMessage: (message) => (message.topic === "event/end" ? process.exit(0) : console.log(`got ${message.payload}`)),
    onSynced: () => console.log("open"), // before that a cut costs what is published until it is healed
  });
  client.start();
}

const doing = {
  payloads,
  replaced,
  iterators,
  requests,
  backpressure,
  reader,
  batches,
  closing,
  handlers,
  key: withKey,
  retry,
  restart,
  resume,
  cut,
  replacedTwice,
};
await doing[what]();
if (!["restart", "resume", "cut"].includes(what)) {
  console.log("done");
  process.exit(0);
}
