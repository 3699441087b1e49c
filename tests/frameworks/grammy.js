// SPDX-License-Identifier: MIT
//
// grammY, long polling; token and endpoint from the credentials of its unit.

import { readFileSync } from "node:fs";
import { Bot } from "grammy";
import { handled, started, stopped } from "./report.js";

const credential = (name) => readFileSync(`${process.env.CREDENTIALS_DIRECTORY}/${name}`, "utf8").trim();

const token = credential("bot-token");
const root = credential("bot-endpoint");
const pending = JSON.parse(credential("bot-pending-updates"));

const bot = new Bot(token, { client: { apiRoot: root } });

bot.on("message", async (ctx) => {
        await ctx.reply(`Got ${ctx.message.text}`);
        await handled(ctx.update);
});

await started({ token, root, pending });
await bot.init();
for (const update of pending) await bot.handleUpdate(update);

// Only now: before start() there is nothing that stop() could stop, and the signal would be lost.
process.once("SIGTERM", () => bot.stop());
await bot.start();
await stopped();
