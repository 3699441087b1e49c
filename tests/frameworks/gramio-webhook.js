// SPDX-License-Identifier: MIT
//
// GramIO with a webhook; token and endpoint from the credentials of its unit. The webhook itself is tgswitchd's matter:
// the bot neither sets nor deletes it.

import { readFileSync } from "node:fs";
import { Bot, webhookHandler } from "gramio";
import { handled, started, stopped } from "./report.js";
import { serve } from "./webhook-server.js";

const credential = (name) => readFileSync(`${process.env.CREDENTIALS_DIRECTORY}/${name}`, "utf8").trim();

const token = credential("bot-token");
const root = credential("bot-endpoint");
const pending = JSON.parse(credential("bot-pending-updates"));

const bot = new Bot(token, { api: { baseURL: `${root}/bot` } });

bot.on("message", async (context) => {
        await context.send(`Got ${context.text}`);
        await handled(context.update);
});

await started({ token, root, pending, from: "webhook" });
await bot.start({ webhook: true });
for (const update of pending) await bot.updates.handleUpdate(update);

// With shouldWait an update is acknowledged when it has been handled, not before.
await serve(webhookHandler(bot, "http", { secretToken: credential("webhook-secret"), shouldWait: true }));
await bot.stop();
await stopped();
// stop() leaves a timer behind that would keep the process for three seconds.
process.exit();
