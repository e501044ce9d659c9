// Answers every request with 103 Early Hints and then 200.
'use strict';

const http = require('http');

const server = http.createServer((request, response) => {
  response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' }, () => {
    response.setHeader('Content-Type', 'text/html');
    response.end('<link rel="stylesheet" href="/style.css">');
  });
});

const [host, port] = process.argv[2].split(':');
server.listen(Number(port), host, () => console.log('ready', process.argv[2]));
