// SPDX-License-Identifier: MIT
//
// node-telegram-bot-api, long polling; token and endpoint from the environment, as many bots have them.

import { readFileSync } from "node:fs";
import { Bot, run } from "node-telegram-bot-api/node";
import { handled, started, stopped } from "./report.js";

const token = process.env.BOT_TOKEN;
const root = process.env.TELEGRAM_API_ROOT;
const pending = JSON.parse(readFileSync(process.env.PENDING_UPDATES, "utf8"));

const bot = new Bot(token, { apiRoot: root });

bot.on("message", async (ctx) => {
        await ctx.reply(`Got ${ctx.message.text}`);
        await handled(ctx.update);
});

await started({ token, root, pending });
for (const update of pending) await bot.handleUpdate(update);

// run() stops on SIGTERM by itself.
await run(bot);
await stopped();
