// SPDX-License-Identifier: MIT
//
// The HTTPS server of the bots with a webhook, in the place of a web server that passes requests on: at WEBHOOK_LISTEN,
// with key and certificate from the credentials of the unit.

import { readFileSync } from "node:fs";
import https from "node:https";

const credential = (name) => readFileSync(`${process.env.CREDENTIALS_DIRECTORY}/${name}`, "utf8").trim();

// Passes requests to `callback` until SIGTERM, and returns when the last one has been answered.
export function serve(callback) {
        const [host, port] = process.env.WEBHOOK_LISTEN.split(":");
        const tls = { key: credential("webhook-key"), cert: credential("webhook-certificate") };
        let stopping = false;

        const server = https.createServer(tls, (request, response) => {
                // A connection that is kept alive would keep the server alive, too.
                response.shouldKeepAlive = !stopping;
                response.on("close", () => stopping && server.closeIdleConnections());
                return callback(request, response);
        });

        return new Promise((resolve, reject) => {
                server.on("error", reject);
                process.once("SIGTERM", () => {
                        stopping = true;
                        server.close(resolve);
                        server.closeIdleConnections();
                });
                server.listen(port, host);
        });
}
