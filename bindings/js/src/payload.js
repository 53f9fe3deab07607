// Payloads: any value that JSON has, or bytes.
import { usage } from "./errors.js";

const CHUNK = 0x8000;

export function toBase64(bytes) {
  let binary = "";
  for (let i = 0; i < bytes.length; i += CHUNK) binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(binary);
}

export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

export function toBase64Url(text) {
  return toBase64(new TextEncoder().encode(text)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function bytesOf(payload) {
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload);
  return ArrayBuffer.isView(payload) ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength) : null;
}

/** As a call's parameters have it: {payload} or {payload_base64}. */
export function toWire(payload) {
  const bytes = bytesOf(payload);
  if (bytes) return { payload_base64: toBase64(bytes) };
  if (payload === undefined || typeof payload === "function" || typeof payload === "symbol")
    throw usage("the payload is nothing that JSON has", "give a value of JSON, or a Uint8Array");
  return { payload };
}

/** Of a message's or an answer's parameters: the value, or the bytes. */
export function fromWire(params) {
  return params.payload === undefined ? fromBase64(params.payload_base64 ?? "") : params.payload;
}
