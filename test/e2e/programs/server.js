// Answers requests with Node's http; see README.md.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const zlib = require('zlib');

function text(path, size) {
  const line = path.match(/e2e-[0-9a-f]{16}/)[0] + ' 0123456789 abcdefghijklmnopqrstuvwxyz\n';
  return Buffer.from(line.repeat(Math.floor(size / line.length) + 1).slice(0, size));
}

function answer(request, response) {
  const query = new URL(request.url, 'http://any').searchParams;
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    let body = Buffer.concat(parts);
    if (body.length === 0) body = text(request.url, Number(query.get('size')));
    response.statusCode = Number(query.get('status')) || 200;
    response.setHeader('Content-Type', 'text/plain');
    if (query.get('gzip')) {
      body = zlib.gzipSync(body);
      response.setHeader('Content-Encoding', 'gzip');
    }
    if (query.get('chunked')) {
      response.write(body.subarray(0, body.length / 2));
      response.end(body.subarray(body.length / 2));
    } else {
      response.setHeader('Content-Length', body.length);
      response.end(body);
    }
  });
}

const [, , , certificate, key] = process.argv;
const server = certificate
  ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, answer)
  : http.createServer(answer);

const [, host, port] = process.argv[2].match(/^\[?(.*?)\]?:(\d+)$/);
server.listen(Number(port), host, () => {
  console.log(`ready ${host.includes(':') ? `[${host}]` : host}:${server.address().port}`);
});
