// Topics and filters: MQTT 5 §4.7.
import { usage } from "./errors.js";

const BYTES_MAX = 65535;

function checkText(text, what) {
  if (typeof text !== "string" || !text)
    throw usage(`the ${what} is no text`, `make it levels with / between, such as scene/objects/tram`);
  if (text.length > BYTES_MAX || new TextEncoder().encode(text).length > BYTES_MAX)
    throw usage(`the ${what} is over ${BYTES_MAX} bytes`, "make it shorter");
  if (text.includes("\0")) throw usage(`the ${what} holds U+0000`, "take it away");
}

export function checkTopic(topic) {
  checkText(topic, "topic");
  if (/[+#]/.test(topic)) throw usage(`the topic ${topic} has a + or #`, "those belong into filters");
}

export function checkFilter(filter) {
  checkText(filter, "filter");
  const levels = filter.split("/");
  const isGood = levels.every(
    (level, i) => !/[+#]/.test(level) || level === "+" || (level === "#" && i === levels.length - 1),
  );
  if (!isGood) throw usage(`the filter ${filter} is none`, "a + is a whole level, a # the whole last one");
}
