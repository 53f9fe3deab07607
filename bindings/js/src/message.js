import { fromWire } from "./payload.js";

/** A message as it came, or a request's answer. */
export class Message {
  constructor(params, connection = 0, isAfterGap = false) {
    this.topic = params.topic ?? "";
    this.filter = params.filter ?? "";
    this.payload = fromWire(params);
    this.isJson = params.payload !== undefined;
    this.epoch = params.epoch ?? "";
    this.offset = params.offset ?? 0;
    this.timeMs = params.time_ms ?? 0;
    this.isRetained = params.retained === true;
    this.headers = params.headers ?? [];
    this.request = params.request ?? null; // what reply needs; null: nobody asks
    this.connection = connection; // which one it came by
    this.isAfterGap = isAfterGap; // messages before it may be missing
  }

  get isRequest() {
    return this.request !== null;
  }

  /** Nothing at all: of a retained message, that it is taken away. */
  get isEmpty() {
    return !this.isJson && this.payload.length === 0;
  }
}
