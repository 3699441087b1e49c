// SPDX-License-Identifier: MIT
//
// Telegraf with a webhook; token and endpoint from the environment. The webhook itself is tgswitchd's matter: the bot
// neither sets nor deletes it, so launch() is not called.

import { readFileSync } from "node:fs";
import { Telegraf } from "telegraf";
import { handled, started, stopped } from "./report.js";
import { serve } from "./webhook-server.js";

const credential = (name) => readFileSync(`${process.env.CREDENTIALS_DIRECTORY}/${name}`, "utf8").trim();

const token = process.env.BOT_TOKEN;
const root = process.env.TELEGRAM_API_ROOT;
const pending = JSON.parse(readFileSync(process.env.PENDING_UPDATES, "utf8"));

const bot = new Telegraf(token, { telegram: { apiRoot: root } });

bot.on("message", async (ctx) => {
        await handled(ctx.update);
        // The answer to the webhook's request carries this call: Telegraf makes none of its own for it.
        await ctx.sendChatAction("typing");
});

await started({ token, root, pending, from: "webhook" });
for (const update of pending) await bot.handleUpdate(update);

await serve(bot.webhookCallback("/telegram", { secretToken: credential("webhook-secret") }));
await stopped();
