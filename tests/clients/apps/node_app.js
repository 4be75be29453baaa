// A small HTTP server under an unmodified dd-trace: run with `node --require dd-trace/init`.
// It knows nothing of Tidemill. GET /stop ends it as a service ends: the server closes, the tracer flushes.
'use strict'
const http = require('http')
const tracer = require('dd-trace')

const server = http.createServer((request, response) => {
  if (request.url.startsWith('/order/')) {
    tracer.trace('order.load', { resource: 'load', tags: { order: request.url.slice(7) } }, () => {
      response.end('ok')
    })
  } else if (request.url === '/broken') {
    tracer.trace('order.pay', (span) => {
      span.setTag('error', new TypeError('card is not a function'))
      response.statusCode = 500
      response.end('broken')
    })
  } else if (request.url === '/stop') {
    response.end('stopping')
    server.close(() => setTimeout(() => process.exit(0), 2500))
    server.closeAllConnections()
  } else {
    response.end('ready')
  }
})
server.listen(Number(process.argv[2]), '127.0.0.1')
