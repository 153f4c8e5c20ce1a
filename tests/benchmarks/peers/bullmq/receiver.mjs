// Fastify and BullMQ.
import { Queue } from 'bullmq'
import Fastify from 'fastify'
import { connection, records } from './duty.mjs'

const queue = new Queue('events', { connection })
const app = Fastify()
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body))
app.post('/events', async (request, reply) => {
  for (const record of records(request.body, request.headers['x-nexudus-hook-signature'])) {
    await queue.add('run', record)
  }
  reply.code(202).send()
})
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
