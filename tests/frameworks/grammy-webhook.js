// SPDX-License-Identifier: MIT
//
// grammY with a webhook; token and endpoint from the credentials of its unit. The webhook itself is tgswitchd's matter:
// the bot neither sets nor deletes it.

import { readFileSync } from "node:fs";
import { Bot, webhookCallback } from "grammy";
import { handled, started, stopped } from "./report.js";
import { serve } from "./webhook-server.js";

const credential = (name) => readFileSync(`${process.env.CREDENTIALS_DIRECTORY}/${name}`, "utf8").trim();

const token = credential("bot-token");
const root = credential("bot-endpoint");
const pending = JSON.parse(credential("bot-pending-updates"));

const bot = new Bot(token, { client: { apiRoot: root } });

bot.on("message", async (ctx) => {
        await ctx.reply(`Got ${ctx.message.text}`);
        await handled(ctx.update);
});

await started({ token, root, pending, from: "webhook" });
await bot.init();
for (const update of pending) await bot.handleUpdate(update);

await serve(webhookCallback(bot, "https", { secretToken: credential("webhook-secret") }));
await stopped();
