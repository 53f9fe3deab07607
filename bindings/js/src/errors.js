// What went wrong: a family for each thing that a program does differently, as in docs/library.md.

export class PixiError extends Error {
  /** @param {{layer?: string, fix?: string, code?: number, closeCode?: number, reason?: string, isFinal?: boolean,
   *           retryAfterMs?: number}} more */
  constructor(family, message, more = {}) {
    super(message);
    this.name = "PixiError";
    this.family = family;
    this.layer = more.layer ?? "usage";
    this.fix = more.fix ?? "";
    this.code = more.code ?? 0; // of JSON-RPC
    this.closeCode = more.closeCode ?? 0;
    this.reason = more.reason ?? "";
    this.isFinal = more.isFinal ?? false; // trying again unchanged cannot help
    this.retryAfterMs = more.retryAfterMs ?? 0;
  }
}

export function usage(message, fix) {
  return new PixiError("USAGE", message, { fix, isFinal: true });
}

export function settings(message, fix) {
  return new PixiError("SETTINGS", message, { layer: "settings", fix, isFinal: true });
}

export function timedOut(what, fix = "check the server and the network between, or wait longer") {
  return new PixiError("TIMEOUT", `${what}: no answer in time`, { layer: "request", fix });
}

// Close codes: family, whether the client stays away, whether what was sent may be sent again unchanged, what to do.
const CLOSES = {
  1000: ["CLOSED", true, true, "nothing, if that was meant; else see the server's log"],
  1001: ["LOST", false, true, "the server is going away: it is tried again"],
  1002: ["PROTOCOL", false, false, "the server objects to what was sent: see its log"],
  1003: ["PROTOCOL", false, false, "the server does not take what was sent: see its log"],
  1007: ["PROTOCOL", false, false, "send text as UTF-8; see the server's log for what it objects to"],
  1008: ["LOST", false, true, "see the server's log for the rule that was broken"],
  1009: ["TOO_LARGE", false, false, "send smaller messages, or raise limits.message_bytes of the server"],
  1011: ["LOST", false, true, "see the server's log for its error"],
  1012: ["LOST", false, true, "the server restarts: it is tried again in a moment"],
  1013: ["LOST", false, true, "the server is full, or this reader too slow: it is tried again"],
  3000: ["KEY", true, true, "use a valid key; the server's operator makes one with `pixi-ws-server key add`"],
  3003: ["KEY", true, true, "ask the server's operator what this key may do"],
  3008: ["LOST", false, true, "see the server's log for what it waited for, and the network between"],
};
const OTHER = ["LOST", false, true, "it is tried again; see the server's log"];

/** How a connection that was open has ended: the WebSocket's close code (1006: without a word) and reason. */
export function ofClose(code, reason) {
  if (code === 1006) return new PixiError("LOST", "the connection is lost", { layer: "tcp", fix: OTHER[3] });
  const [family, isFinal, , fix] = CLOSES[code] ?? OTHER;
  const message = `closed by the server with ${code}${reason ? `: ${reason}` : ""}`;
  return new PixiError(family, message, {
    layer: family === "KEY" ? "key" : "close",
    fix,
    closeCode: code,
    reason,
    isFinal,
  });
}

export function mayResendAfter(closeCode) {
  return (CLOSES[closeCode] ?? OTHER)[2];
}

/** The same end for a call that goes on over the next connection: not what broke it, but that it is lost. */
export function asLost(error) {
  if (error.family === "LOST" || !error.closeCode) return error;
  return new PixiError("LOST", error.message, { ...error, isFinal: false });
}

// Errors of JSON-RPC: family, layer, final, what to do.
const CALLS = {
  "-32001": ["KEY", "key", true, "use a key with that permission: `pixi-ws-server key list` shows what each may do"],
  "-32002": ["TOO_LARGE", "limits", true, "send a smaller message, or raise limits.message_bytes of the server"],
  "-32003": ["FAILED", "limits", false, "ask for less at a time, or let the server's operator raise the limit"],
  "-32004": ["NO_RESPONDER", "request", true, "start the program that answers it"],
  "-32005": ["TIMEOUT", "request", false, "check the program that should answer, or wait longer"],
  "-32006": ["FAILED", "limits", false, "free the server's disk, or raise its limits; or remove retained messages"],
  "-32007": [
    "USAGE",
    "usage",
    true,
    "a topic has no '+' or '#'; in a filter '+' stands for a whole level, '#' for the rest",
  ],
  "-32008": ["FAILED", "request", true, "start from what the server has"],
};
const OTHER_CALL = ["FAILED", "request", true, "ask whoever runs what answered: the server, or a request's responder"];

/** What the server, or a responder, answered to a call. */
export function ofCall(what, error) {
  const [family, layer, isFinal, fix] = CALLS[error?.code] ?? OTHER_CALL;
  const retryAfterMs = Number(error?.data?.retry_after_ms) || 0;
  return new PixiError(family, `${what}: ${error?.message ?? "an error"}`, {
    layer,
    isFinal,
    fix,
    code: Number(error?.code) || 0,
    retryAfterMs,
  });
}
