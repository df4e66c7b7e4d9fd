// `npm start`: sets up what is missing, builds, fetches the demo model once, and serves the pages.

import { fetchAsset } from "./assets.mjs";
import { build } from "./build.mjs";
import { serve } from "./serve.mjs";
import { main } from "./shell.mjs";

await main(async () => {
  await build();
  await fetchAsset("smollm2");
  const { url } = await serve({ port: Number(process.env.PORT || 8080) });
  console.log(`Inkstone is at ${url} (Ctrl+C ends it)`);
});
