// browser.mjs [FLAG...] -- Chromium, driven by lines of JSON on standard input: {"code", "args", "on"}. The code is the
// body of an async function of page (the one called `on`), args, open, close, until; its value or error is a line.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(new URL("../../web/", import.meta.url))("playwright-core");
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--enable-unsafe-swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [...FLAGS, ...process.argv.slice(2)],
});
const pages = new Map();

/** Counted, so that a page that complains is a test that fails. */
function watch(page, told) {
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" || message.type() === "warning") told.push(`${message.type()}: ${text}`);
  });
  page.on("pageerror", (error) => told.push(`uncaught: ${error.stack}`));
  page.on("requestfailed", (request) => told.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
}

async function open(name, { key, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, ...options });
  const page = await context.newPage();
  const told = [];
  watch(page, told);
  await page.addInitScript((given) => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (e) =>
      globalThis.violations.push(`${e.violatedDirective}: ${e.blockedURI}`),
    );
    if (given && !sessionStorage.getItem("pixi.test")) {
      sessionStorage.setItem("pixi.key", given);
      sessionStorage.setItem("pixi.test", "given"); // once: the page may take it away
    }
  }, key);
  pages.set(name, { page, told, context });
}

async function close(name) {
  const { page, told, context } = pages.get(name);
  const violations = await page.evaluate(() => globalThis.violations).catch(() => ["the page does not answer"]);
  await context.close();
  pages.delete(name);
  return { told, violations };
}

/** Playwright's own waiting needs eval in the page, which the page's policy forbids. */
async function until(page, expression, arg, ms) {
  const look = `new Promise((resolve, reject) => {
    const arg = ${JSON.stringify(arg ?? null)}, end = performance.now() + ${ms};
    const look = () => {
      let is = false;
      try { is = (${expression}); } catch {}
      if (is) resolve(); else if (performance.now() > end) reject(new Error("time is up")); else setTimeout(look, 5);
    };
    look();
  })`;
  for (const end = Date.now() + ms; ;) {
    try {
      return await page.evaluate(look);
    } catch (error) {
      if (!/context was destroyed|navigation/.test(error.message) || Date.now() > end) throw error;
    }
  }
}

const AsyncFunction = (async () => {}).constructor;
for await (const line of createInterface({ input: process.stdin })) {
  const { code, args = {}, on } = JSON.parse(line);
  let answer;
  try {
    const { page, told } = pages.get(on) ?? {};
    const value = await new AsyncFunction("browser", "page", "told", "args", "open", "close", "until", code)(
      browser,
      page,
      told,
      args,
      open,
      close,
      until,
    );
    answer = { value: value ?? null };
  } catch (error) {
    answer = { error: error.stack ?? String(error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
