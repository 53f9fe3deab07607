// mqtt.js as a client: node mqtt_peer.js URL KEY VERSION. Subscribes with QoS 2, publishes one message of each QoS, prints what
// comes, and "done" when all came back.
"use strict";
const mqtt = require("mqtt");

const [url, key, version] = process.argv.slice(2);
const client = mqtt.connect(url, {
  protocolVersion: Number(version), username: "any", password: key, reconnectPeriod: 0, clientId: "mqtt-js-" + version,
});
const seen = [];

client.on("connect", () => client.subscribe("js/#", { qos: 2 }, (err) => {
  if (err) throw err;
  for (const qos of [0, 1, 2]) client.publish("js/" + qos, "hello " + qos, { qos });
}));
client.on("message", (topic, payload, packet) => {
  console.log(`${topic} ${payload} ${packet.qos}`);
  seen.push(topic);
  if (seen.length === 3) client.end(false, () => console.log("done"));
});
client.on("error", (err) => {
  console.log(`error ${err.code} ${err.message}`);
  process.exit(1);
});
