// @pixi-ws/client: a link to a Pixi server that outlives its connections. docs/javascript.md
export { Client } from "./client.js";
export { PixiError } from "./errors.js";
export { Message } from "./message.js";
export { Subscription } from "./subscription.js";
