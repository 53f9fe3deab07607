// npm run build: the page into dist/, which pixi-ws-server serves.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { build } from "esbuild";

await rm("dist", { recursive: true, force: true });
await mkdir("dist");
await build({
  entryPoints: { page: "src/main.ts" },
  outdir: "dist",
  bundle: true,
  format: "esm",
  splitting: true,
  minify: true,
  target: "es2022",
  legalComments: "linked",
  logLevel: "warning",
});
for (const file of ["index.html", "page.css", "icon.svg"]) await copyFile(`src/${file}`, `dist/${file}`);
