// Does what peers.py does, with Node's http and https.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');

const agents = {
  'http:': new http.Agent({ keepAlive: true }),
  'https:': new https.Agent({ keepAlive: true }),
};

function fetchOne(url) {
  const { protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).get(url, { agent: agents[protocol] }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
  });
}

async function main() {
  const urls = JSON.parse(fs.readFileSync(0)).map((r) => r.url);
  let answered = 0;
  async function work() {
    while (urls.length > 0) {
      await fetchOne(urls.pop());
      answered++;
    }
  }
  await Promise.all(Array.from({ length: Number(process.argv[2]) }, work));
  console.log(answered);
  Object.values(agents).forEach((agent) => agent.destroy());
}

main();
