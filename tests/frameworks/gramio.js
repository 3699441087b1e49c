// SPDX-License-Identifier: MIT
//
// GramIO, long polling; token and endpoint from the credentials of its unit.

import { readFileSync } from "node:fs";
import { Bot } from "gramio";
import { handled, started, stopped } from "./report.js";

const credential = (name) => readFileSync(`${process.env.CREDENTIALS_DIRECTORY}/${name}`, "utf8").trim();

const token = credential("bot-token");
const root = credential("bot-endpoint");
const pending = JSON.parse(credential("bot-pending-updates"));

const bot = new Bot(token, { api: { baseURL: `${root}/bot` } });

bot.on("message", async (context) => {
        await context.send(`Got ${context.text}`);
        await handled(context.update);
});
bot.onStop(stopped);

await started({ token, root, pending });
await bot.init();
for (const update of pending) await bot.updates.handleUpdate(update);

// stop() does not wait for the long poll. That ends with the process, and what it brings then is not confirmed.
process.once("SIGTERM", () => bot.stop().then(() => process.exit()));
await bot.start();
