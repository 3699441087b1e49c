// SPDX-License-Identifier: MIT
//
// Telegraf, long polling; token and endpoint from the environment, as many bots have them.

import { readFileSync } from "node:fs";
import { Telegraf } from "telegraf";
import { handled, started, stopped } from "./report.js";

const token = process.env.BOT_TOKEN;
const root = process.env.TELEGRAM_API_ROOT;
const pending = JSON.parse(readFileSync(process.env.PENDING_UPDATES, "utf8"));

const bot = new Telegraf(token, { telegram: { apiRoot: root } });

bot.on("message", async (ctx) => {
        await ctx.reply(`Got ${ctx.message.text}`);
        await handled(ctx.update);
});

await started({ token, root, pending });
for (const update of pending) await bot.handleUpdate(update);

// As long as launch() has not begun to poll, stop() throws, which ends the process just as well.
process.once("SIGTERM", () => bot.stop("SIGTERM"));
await bot.launch();
await stopped();
