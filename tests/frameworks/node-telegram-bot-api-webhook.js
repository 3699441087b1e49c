// SPDX-License-Identifier: MIT
//
// node-telegram-bot-api with a webhook; token and endpoint from the environment. The webhook itself is tgswitchd's
// matter: the bot neither sets nor deletes it.

import { readFileSync } from "node:fs";
import { Bot, nodeFrameworkWebhook } from "node-telegram-bot-api";
import { handled, started, stopped } from "./report.js";
import { serve } from "./webhook-server.js";

const credential = (name) => readFileSync(`${process.env.CREDENTIALS_DIRECTORY}/${name}`, "utf8").trim();

const token = process.env.BOT_TOKEN;
const root = process.env.TELEGRAM_API_ROOT;
const pending = JSON.parse(readFileSync(process.env.PENDING_UPDATES, "utf8"));

const bot = new Bot(token, { apiRoot: root });

bot.on("message", async (ctx) => {
        await ctx.reply(`Got ${ctx.message.text}`);
        await handled(ctx.update);
});

await started({ token, root, pending, from: "webhook" });
for (const update of pending) await bot.handleUpdate(update);

await serve(nodeFrameworkWebhook(bot, { secretToken: credential("webhook-secret") }));
await stopped();
