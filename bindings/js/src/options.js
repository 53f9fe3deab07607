// The options of a client: what they are, their ranges, their defaults. docs/javascript.md has the same table.
import { settings, usage } from "./errors.js";

const MAX_MS = 3600000;

// name: [default, least, most] of a whole number, or [default, type].
const OPTIONS = {
  key: [undefined, "string"],
  allowPlaintext: [false, "boolean"],
  WebSocket: [undefined, "function"],
  connectMs: [5000, 1, MAX_MS],
  requestMs: [30000, 1, MAX_MS],
  closeMs: [3000, 1, MAX_MS],
  pingIntervalMs: [15000, 1, MAX_MS],
  pingTimeoutMs: [10000, 1, MAX_MS],
  reconnectInitialMs: [500, 1, MAX_MS],
  reconnectMaxMs: [30000, 1, MAX_MS],
  messageBytes: [2 ** 20, 1024, 2 ** 30],
  queueBytes: [2 ** 24, 1024, 2 ** 32],
  socketBytes: [2 ** 20, 1024, 2 ** 32],
  queueCount: [10000, 1, 2 ** 24],
};

function read(name, value) {
  const [standard, least, most] = OPTIONS[name];
  if (value === undefined) return standard;
  if (
    typeof least === "string" ? typeof value === least : Number.isSafeInteger(value) && value >= least && value <= most
  )
    return value;
  const wanted = typeof least === "string" ? `a ${least}` : `a whole number of ${least} to ${most}`;
  throw settings(`${name} is ${typeof value === "number" ? value : `a ${typeof value}`}`, `make it ${wanted}`);
}

function isLoopback(host) {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

/** The URL as it is connected to. The key never goes into it. */
export function readUrl(text, options) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw settings("the url cannot be read", "make it ws://HOST:PORT/api/v1 or wss://…");
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:")
    throw settings(`the url's scheme is ${url.protocol.slice(0, -1)}`, "make it ws or wss");
  if (url.username || url.password || url.hash)
    throw settings("the url has a user name, a password or a fragment", "take it away; the key is an option");
  if (options.key && url.protocol === "ws:" && !options.allowPlaintext && !isLoopback(url.hostname))
    throw settings(
      `the key would travel in clear to ${url.hostname}`,
      "use wss://, or allowPlaintext: true where nobody listens in",
    );
  return url.href;
}

export function readOptions(given) {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(OPTIONS, name))
      throw usage(`there is no option ${name}`, `there are: ${Object.keys(OPTIONS).join(", ")}`);
  const out = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, read(name, given[name])]));
  out.WebSocket ??= globalThis.WebSocket;
  if (!out.WebSocket)
    throw settings("there is no WebSocket here", "give one as the option WebSocket, such as that of the package ws");
  return Object.freeze(out);
}
