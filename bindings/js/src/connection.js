// One WebSocket: dialled, open, ended. Knows nothing of what is said.
import { PixiError, ofClose, timedOut } from "./errors.js";
import { toBase64Url } from "./payload.js";

const PROTOCOL = "pixi.v1";

export class Connection {
  /** handlers: onUp(), onText(text), onEnd(error), the last of all and once. */
  constructor(url, options, handlers) {
    this.options = options;
    this.handlers = handlers;
    this.host = new URL(url).host;
    this.isUp = false;
    const protocols = options.key ? [PROTOCOL, `pixi.key.${toBase64Url(options.key)}`] : [PROTOCOL];
    this.socket = new options.WebSocket(url, protocols);
    this.timer = setTimeout(() => this.end(timedOut(`connecting to ${this.host}`)), options.connectMs);
    this.listeners = {
      open: () => this.onOpen(),
      message: (e) => this.onMessage(e),
      close: (e) => this.onClose(e),
      error: (e) => this.onError(e),
    };
    for (const [name, listener] of Object.entries(this.listeners)) this.socket.addEventListener(name, listener);
  }

  onOpen() {
    clearTimeout(this.timer);
    this.isUp = true;
    this.handlers.onUp();
  }

  onMessage(event) {
    if (typeof event.data === "string") this.handlers.onText(event.data);
    else
      this.end(
        new PixiError("PROTOCOL", "a binary message came", {
          layer: "protocol",
          fix: "see whether this is a Pixi server",
        }),
      );
  }

  onError(event) {
    this.why = event.message; // Node tells; a browser's script may not know
  }

  onClose(event) {
    if (this.isUp) return this.end(ofClose(event.code, event.reason));
    const message = `no connection to ${this.host}${this.why ? `: ${this.why}` : ""}`;
    this.end(new PixiError("CONNECT", message, { layer: "tcp", fix: "start the server, or correct the address" }));
  }

  /** Does the socket take more? */
  hasRoom() {
    return this.isUp && this.socket.bufferedAmount <= this.options.socketBytes;
  }

  send(text) {
    const hasRoom = this.hasRoom();
    if (hasRoom) this.socket.send(text);
    return hasRoom;
  }

  /** Begin the closing handshake; onEnd follows, by time-out if the peer does not answer. */
  close(code, reason) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.end(timedOut("close", "nothing: the connection is gone")), this.options.closeMs);
    this.socket.close(code, reason);
  }

  /** It is over, whatever the socket does. */
  end(error) {
    clearTimeout(this.timer);
    this.isUp = false;
    for (const [name, listener] of Object.entries(this.listeners)) this.socket.removeEventListener(name, listener);
    this.socket.addEventListener("error", () => {}); // Node: one without a listener ends the program
    if (this.socket.terminate)
      this.socket.terminate(); // Node: waits for nobody
    else if (this.socket.readyState < 2) this.socket.close();
    this.handlers.onEnd(error);
  }
}
