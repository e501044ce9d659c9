// Sends requests with Node's http; see README.md.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require(process.argv[2].startsWith('https:') ? 'https' : 'http');

function text(path, size) {
  const line = path.match(/e2e-[0-9a-f]{16}/)[0] + ' 0123456789 abcdefghijklmnopqrstuvwxyz\n';
  return Buffer.from(line.repeat(Math.floor(size / line.length) + 1).slice(0, size));
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function send(base, { method, path, size = 0, chunked = false }) {
  return new Promise((resolve, reject) => {
    const body = text(path, size);
    const headers = size > 0 && !chunked ? { 'Content-Length': size } : {};
    const request = http.request(base + path, { method, headers, agent }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        const content = Buffer.concat(parts);
        resolve({
          status: response.statusCode,
          size: content.length,
          sha256: crypto.createHash('sha256').update(content).digest('hex'),
        });
      });
    });
    request.on('error', reject);
    if (chunked) {
      request.write(body.subarray(0, 7));
      request.end(body.subarray(7));
    } else {
      request.end(size > 0 ? body : undefined);
    }
  });
}

async function main() {
  const results = [];
  for (const r of JSON.parse(fs.readFileSync(0))) {
    results.push(await send(process.argv[2], r));
  }
  console.log(JSON.stringify(results));
  agent.destroy();
}

main();
