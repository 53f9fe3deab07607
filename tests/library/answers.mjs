// answers.mjs ROW URL KEY -- as answers.c: do what this row of docs/library.md says, and print what each call answered.
// tests/library/test_javascript.py compares.
import assert from "node:assert";
import { createRequire } from "node:module";
import { Client, PixiError } from "../../bindings/js/src/index.js";

const WebSocket = createRequire(import.meta.url)("ws");
const SOON = 50;
const [, , row, url, key] = process.argv;
const standard = { key, WebSocket, reconnectInitialMs: 1, messageBytes: 1024, queueBytes: 4096, requestMs: 5000 };
const is = (...names) => names.includes(row);

function put(name, code, reason) {
  console.log(`${name} ${code || ""} ${reason ?? ""}`.trim());
}

function sayError(error) {
  if (!(error instanceof PixiError)) throw error;
  assert(error.family === "CLOSED" || (error.layer && error.message && error.fix), `${error.stack} ${error.fix}`);
  put(error.family, error.closeCode, error.closeCode ? error.reason : "");
}

async function say(call) {
  try {
    const answer = await call();
    put("OK", answer?.code, answer?.reason);
    return answer;
  } catch (error) {
    sayError(error);
    return null;
  }
}

async function connected(more = {}) {
  const client = new Client(url, { ...standard, ...more });
  await client.connect();
  return client;
}

async function connect() {
  if (is("new-settings", "connect-settings")) return say(() => new Client(url, standard));
  const client = is("connect-again")
    ? await connected()
    : new Client(url, { ...standard, allowPlaintext: is("connect-name") });
  const timeoutMs = is("connect-timeout", "connect-started") ? SOON : undefined;
  if (is("connect-started")) {
    client.start({ retry: true });
    await say(() => client.connect({ timeoutMs }));
  }
  await say(() => client.connect({ timeoutMs }));
}

async function send() {
  if (is("send-early")) return say(() => new Client(url, standard).publish("event/tram", 12345678));
  const client = await connected();
  if (is("send-would-block", "send-no-room")) {
    const options = is("send-would-block") ? { nowait: true } : { timeoutMs: SOON };
    const all = Array.from({ length: 100 }, () => client.publish("event/tram", 12345678, options));
    await Promise.any(
      all.map((one) =>
        one.then(
          () => assert(false),
          (error) => error,
        ),
      ),
    ).then(sayError);
    return;
  }
  if (is("send-too-large")) return say(() => client.publish("event/tram", new Uint8Array(1025)));
  if (is("send-bad-topic")) return say(() => client.publish("event/#", 1));
  if (is("send-late")) await client.close();
  await say(() => client.publish("event/tram", 12345678, is("send-unanswered") ? { timeoutMs: SOON } : {}));
}

async function request() {
  const isUnanswered = is("request-unanswered");
  const client = await connected(isUnanswered ? { connectMs: 1000 } : {});
  const reply = await say(() => client.request("request/x", 1, isUnanswered ? { timeoutMs: 1 } : {}));
  if (reply) assert.deepEqual([reply.payload, reply.headers], ["pong", [["a", "b"]]]);
}

function told(client) {
  const all = [];
  const readers = [];
  const tell = (what) => (readers.length ? readers.shift()(what) : all.push(what));
  client.onState(({ error }) => error && tell(error));
  return { tell, next: async () => all.shift() ?? new Promise((resolve) => readers.push(resolve)) };
}

async function reply() {
  const client = new Client(url, standard);
  const news = told(client);
  if (is("reply-not-asked")) {
    await client.connect();
    const answer = await client.request("request/x", 1);
    return say(() => client.reply(answer, 1));
  }
  client.subscribe("request/#", { onMessage: news.tell });
  await client.connect();
  const asked = await news.next();
  assert(asked.isRequest);
  if (is("reply-lost")) assert.equal((await news.next()).family, "LOST");
  await say(() => (is("reply-error") ? client.replyError(asked, "no trams today") : client.reply(asked, 1)));
}

async function subscribe() {
  if (is("subscribe-early")) return say(() => void new Client(url, standard).subscribe("event/#"));
  const client = await connected({ requestMs: is("subscribe-unanswered") ? SOON : 5000 });
  if (is("unsubscribe-unknown")) return say(() => client.unsubscribe("event/#"));
  await say(() => client.subscribe(is("subscribe-bad-filter") ? "event/#/x" : "event/#").ready.then(() => {}));
  if (is("subscribe-twice")) await say(() => client.subscribe("event/#").ready.then(() => {}));
  if (is("unsubscribe")) await say(() => client.unsubscribe("event/#"));
}

async function recv() {
  const client = new Client(url, standard);
  const news = told(client);
  client.subscribe("event/#", { onMessage: news.tell, onEnd: (error) => is("recv-unsubscribed") && news.tell(error) });
  client.start();
  for (const _ of is("recv-message", "recv-unsubscribed") ? [1] : [1, 2]) {
    const what = client.state.error?.isFinal && _ === 2 ? client.state.error : await news.next();
    if (what instanceof PixiError) {
      sayError(what);
      continue;
    }
    assert.deepEqual([what.topic, what.filter, what.payload], ["event/tram", "event/#", { x: 1 }]);
    assert(what.isJson && !what.isRequest && !what.isRetained && what.timeMs === 1);
    put("OK");
  }
}

async function close() {
  if (is("close-early")) return say(() => new Client(url, standard).close());
  const client = await connected({ closeMs: is("close-unanswered") ? SOON : 3000 });
  const how = { "close-code": [4001, "that is all"], "close-wrong": [1006] }[row] ?? [];
  await say(() => client.close(...how));
  if (is("close-twice")) await say(() => client.close());
  if (is("close-and-connect")) {
    await say(() => client.connect());
    await say(() => client.publish("event/tram", 12345678).then(() => {}));
  }
}

async function set() {
  await say(() => new Client(url, { ...standard, [is("set-unknown") ? "colour" : "closeMs"]: "soon" }));
}

const doing = { connect, new: connect, set, send, request, reply, subscribe, unsubscribe: subscribe, recv, close };
await doing[row.split("-")[0]]();
process.exit(0);
