// Idempotency keys: who publishes, and the how manieth it is. A server stores each once, however often it is sent.

function uuid() {
  const bytes = new Uint8Array(16);
  if (globalThis.crypto)
    // randomUUID is missing on pages that came in clear
    globalThis.crypto.getRandomValues(bytes);
  else bytes.forEach((_, i) => (bytes[i] = Math.random() * 256)); // Node 18: need not be secret
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export class Producer {
  constructor() {
    this.id = uuid();
    this.last = 0;
    this.open = new Set(); // those not answered, in order
  }

  next() {
    const seq = ++this.last;
    this.open.add(seq);
    const [low] = this.open;
    return { producer: this.id, seq, low };
  }

  done(seq) {
    this.open.delete(seq);
  }
}
