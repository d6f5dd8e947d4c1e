// The smallest endpoint that a target may have. The target's signing keys are in CALLOUT_SIGNING_KEYS: node receiver.mjs
import crypto from 'node:crypto';
import http from 'node:http';

const keys = (process.env.CALLOUT_SIGNING_KEYS ?? '').split(',').filter(Boolean); // two while they rotate
const tolerance = Number(process.env.CALLOUT_TOLERANCE ?? 300); // seconds
const [host, port] = (process.env.CALLOUT_ADDRESS ?? '127.0.0.1:9000').split(':');
const maxBody = 8 << 20; // bytes

// signed says whether one of the keys made one of the signatures, of start and body, and when that may have been.
function signed(signatures, time, start, body) {
  if (!/^\d{1,12}$/.test(time) || !(Math.abs(Date.now() / 1000 - Number(time)) <= tolerance)) return false;
  return keys.some((key) => {
    const want = crypto.createHmac('sha256', key).update(start).update(body).digest();
    return signatures.some((got) => got.length === want.length && crypto.timingSafeEqual(got, want));
  });
}

// verify looks at both kinds of signature, and wants one at least. Each kind may have several, of which one is enough.
function verify(headers, body) {
  const reference = headers['zitadel-signature'] ?? '';
  const standard = headers['webhook-signature'] ?? '';
  if (reference) {
    const parts = reference.split(',').map((part) => part.split('='));
    const time = parts.find(([name]) => name === 't')?.[1] ?? '';
    const signatures = parts.filter(([name]) => name === 'v1').map(([, hex]) => Buffer.from(hex ?? '', 'hex'));
    if (!signed(signatures, time, `${time}.`, body)) return false;
  }
  if (standard) {
    const id = headers['webhook-id'] ?? '';
    const time = headers['webhook-timestamp'] ?? '';
    const signatures = standard.split(' ').filter((part) => part.startsWith('v1,')).map((part) => Buffer.from(part.slice(3), 'base64'));
    if (!id || !signed(signatures, time, `${id}.${time}.`, body)) return false;
  }
  return Boolean(reference || standard);
}

const server = http.createServer(async (request, response) => {
  const chunks = []; // as they came: what was signed is the bytes
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBody) return request.destroy();
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (!verify(request.headers, body)) return response.writeHead(401).end();
  console.log(`${request.headers['webhook-id']} ${body}`);
  response.writeHead(204).end();
});
server.requestTimeout = 30_000;
server.listen(Number(port), host, () => console.log(`listening at ${host}:${server.address().port}`));
