// When a connection that is lost is made again: after a random time up to a bound that doubles ("full jitter").

export class Retry {
  constructor(initialMs, maxMs, random = Math.random) {
    this.initialMs = initialMs;
    this.maxMs = maxMs;
    this.random = random;
    this.rounds = 0; // that have failed since a connection that lasted
    this.openedMs = null;
    this.goingAwayMs = null;
  }

  opened(nowMs) {
    this.openedMs = nowMs;
  }

  /** The server says when to come back. */
  goingAway(inMs) {
    this.goingAwayMs = Math.min(Math.max(0, Number(inMs) || 0), this.maxMs);
  }

  /** How long to wait. One that is lost at once, again and again, is not made at once, again and again. */
  lost(nowMs) {
    if (this.openedMs !== null && nowMs - this.openedMs >= this.maxMs) this.rounds = 0;
    const bound = Math.min(this.maxMs, this.initialMs * 2 ** Math.min(this.rounds, 30));
    const ms = this.goingAwayMs ?? Math.floor(this.random() * (bound + 1));
    this.rounds++;
    this.openedMs = this.goingAwayMs = null;
    return ms;
  }
}
