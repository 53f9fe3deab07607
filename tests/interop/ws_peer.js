// The other end in node's ws: `serve` is a server that does what the path says, `call URL...` are clients, which expect to
// agree on the extension that EXTENSIONS names.
const { WebSocket, WebSocketServer } = require('ws');

const wait = (emitter, event) => new Promise((resolve, reject) => {
  emitter.once(event, (...values) => resolve(values));
  emitter.once('error', reject);
});

const behaviours = {
  echo(ws) {
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
  },
  fragments(ws) {
    ws.on('message', (data, isBinary) => {
      const third = Math.floor(data.length / 3);
      ws.send(data.subarray(0, third), { binary: isBinary, fin: false });
      ws.send(data.subarray(third, 2 * third), { binary: isBinary, fin: false });
      ws.send(data.subarray(2 * third), { binary: isBinary, fin: true });
    });
  },
  binary(ws) {
    ws.send(Buffer.from([...Array(256).keys()]));
  },
  async ping(ws) {
    for (const size of [0, 1, 125]) {
      ws.ping(Buffer.alloc(size));
      const [payload] = await wait(ws, 'pong');
      ws.send(`pong ${payload.length}`);
    }
    ws.close(1000);
  },
  close(ws, code) {
    ws.close(Number(code), 'as you like');
  },
};

function serve(options) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 0, ...JSON.parse(options ?? '{}') });
  server.on('listening', () => console.log(`port ${server.address().port}`));
  server.on('connection', (ws, request) => {
    const [, name, argument] = request.url.split('/');
    if (ws.extensions) console.log(`agreed on ${ws.extensions}`);
    ws.on('close', (code, reason) => console.log(`closed ${code} ${reason}`));
    ws.on('error', (error) => console.log(`error ${error.message}`));
    behaviours[name](ws, argument);
  });
}

function check(what, got, wanted) {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) {
    throw new Error(`${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
  }
}

async function open(url, protocols, options) {
  const ws = new WebSocket(url, protocols, { perMessageDeflate: true, ...options });
  await wait(ws, 'open');
  check('extensions', ws.extensions, process.env.EXTENSIONS ?? '');
  return ws;
}

async function comesBack(ws, data, binary) {
  const [got, isBinary] = await wait(ws, 'message');
  if (isBinary !== binary || !Buffer.from(data).equals(got)) throw new Error(`${data.length} bytes came back changed`);
}

const calls = {
  async sizes(url) {
    const ws = await open(url);
    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 2 ** 20]) {
      ws.send('x'.repeat(size));
      await comesBack(ws, 'x'.repeat(size), false);
      ws.send(Buffer.alloc(size, 0xff));
      await comesBack(ws, Buffer.alloc(size, 0xff), true);
    }
    ws.close();
  },
  async fragments(url) {
    const ws = await open(url);
    for (const part of ['', 'ü', 'x'.repeat(70000)]) ws.send(part, { fin: false });
    ws.ping('between');
    ws.send('end', { fin: true });
    check('pong', String((await wait(ws, 'pong'))[0]), 'between');
    await comesBack(ws, `ü${'x'.repeat(70000)}end`, false);
    ws.close();
  },
  async closes(url) {
    for (const code of [1000, 1001, 1008, 1011, 3000, 4999]) {
      const ws = await open(url);
      ws.close(code, 'über');
      check('close', (await wait(ws, 'close'))[0], code);
    }
    const ws = await open(url);
    ws.close(); // without a code
    check('close', (await wait(ws, 'close'))[0], 1005);
  },
  async protocols(url) {
    const ws = await open(url, ['b', 'a']);
    check('protocol', ws.protocol, 'b');
    ws.close();
  },
  async many(url) {
    const links = await Promise.all([...Array(50)].map(() => open(url)));
    for (const ws of links) for (let i = 0; i < 20; i++) ws.send(String(i));
    await Promise.all(links.map((ws) => new Promise((resolve) => {
      let next = 0;
      ws.on('message', (data) => {
        check('order', String(data), String(next++));
        if (next === 20) resolve();
      });
    })));
    for (const ws of links) ws.close();
  },
  async hub(url, key) {
    const options = { headers: { authorization: `Bearer ${key}` } };
    const ws = await open(url, ['pixi.v1'], options);
    check('protocol', ws.protocol, 'pixi.v1');
    ws.send('{"jsonrpc":"2.0","id":1,"method":"ping"}');
    check('answer', JSON.parse((await wait(ws, 'message'))[0]).id, 1);
    ws.send(Buffer.from('binary'));
    check('close', (await wait(ws, 'close'))[0], 1003);
    const refused = new WebSocket(url, ['pixi.v1']);
    const [, response] = await new Promise((resolve) => {
      refused.on('unexpected-response', (...values) => resolve(values));
    });
    check('status', response.statusCode, 401);
    const inBrowser = await open(url, ['pixi.v1', `pixi.key.${Buffer.from(key).toString('base64url')}`]);
    check('protocol', inBrowser.protocol, 'pixi.v1');
    inBrowser.terminate();
    refused.terminate();
  },
};

const [, , mode, ...rest] = process.argv;
if (mode === 'serve') {
  serve(rest[0]);
} else {
  calls[rest[0]](...rest.slice(1)).then(() => { console.log('done'); process.exit(0); }, (error) => {
    console.error(error);
    process.exit(1);
  });
}
