// SPDX-License-Identifier: MIT
//
// What a bot of these tests does its work on: it tells the simulated Telegram of each update that it has handled. One
// connection for all reports, in order: its end is how a worker that was killed is noticed (tests/telegram/README.md).

import { readFileSync } from "node:fs";
import http from "node:http";

const [host, port] = (process.env.TELEGRAM_SIM_CONTROL ?? "127.0.0.1:8900").split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

const identity = { unit: ownUnit() };
const pendingUpdates = new WeakSet();
let source;

// The last part of the control group's path, as systemd names it.
function ownUnit() {
        const path = /\/([^/\n]+\.service)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"));

        return path ? path[1] : "worker";
}

function report(fields) {
        const body = JSON.stringify({ ...identity, ...fields });

        return new Promise((resolve, reject) => {
                const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
                const request = http.request({ host, port, agent, method: "POST", path: "/worker", headers });

                request.on("error", reject);
                request.on("response", (response) => response.resume().on("end", resolve));
                request.end(body);
        });
}

// The bot runs: with this token, at this root of the API, after it was handed these updates, and will get others from
// "poll" or "webhook".
export function started({ token, root, pending, from = "poll" }) {
        Object.assign(identity, { bot: Number.parseInt(token, 10), root: root.replace(/\/$/, "") });
        pending.forEach((update) => pendingUpdates.add(update));
        source = from;
        return report({ event: "start", presence: true });
}

// All frameworks pass on the object that they were given, so the object tells where it came from.
export async function handled(update) {
        const uid = /^uid=(\d+)/.exec(update.message?.text ?? "");

        if (uid)
                await report({
                        event: "handled",
                        uid: Number(uid[1]),
                        from: pendingUpdates.has(update) ? "pending" : source,
                });
}

export function stopped() {
        return report({ event: "stop" });
}
