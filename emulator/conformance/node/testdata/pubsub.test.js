// What Node's official client asks of Pub/Sub.
const assert = require('node:assert/strict');
const http = require('node:http');
const {test, after} = require('node:test');
const {PubSub} = require('@google-cloud/pubsub');

const client = new PubSub({projectId: 'node'});
after(() => client.close());

let places = 0;
async function pair(conf) {
  const n = ++places;
  const [topic] = await client.createTopic(`topic-${n}`);
  const [sub] = await topic.createSubscription(`sub-${n}`, conf);
  return {topic, sub};
}

// received collects n messages; take decides what becomes of each.
function received(sub, n, take = m => m.ack()) {
  return new Promise((resolve, reject) => {
    const got = [];
    sub.on('error', reject);
    sub.on('message', m => {
      got.push(m);
      take(m, got.length);
      if (got.length === n) setImmediate(() => sub.close().then(() => resolve(got), reject));
    });
  });
}

test('publish and stream', async () => {
  const {topic, sub} = await pair();
  const sent = await Promise.all([...Array(100)].map((_, i) => topic.publishMessage({data: Buffer.from(`m${i}`), attributes: {i: `${i}`}})));
  const got = await received(sub, 100);
  assert.deepEqual(got.map(m => m.id).sort(), sent.sort());
  assert.ok(got.every(m => m.data.toString() === `m${m.attributes.i}` && m.publishTime instanceof Date));
});

test('what was not acknowledged comes again', async () => {
  const {topic, sub} = await pair();
  await topic.publishMessage({data: Buffer.from('x')});
  const [first, second] = await received(sub, 2, (m, n) => n === 1 ? m.nack() : m.ack());
  assert.equal(first.id, second.id);
});

test('exactly-once delivery answers acknowledgements', async () => {
  const {topic, sub} = await pair({enableExactlyOnceDelivery: true});
  await topic.publishMessage({data: Buffer.from('x')});
  const answer = new Promise((resolve, reject) => {
    sub.on('error', reject);
    sub.on('message', m => m.ackWithResponse().then(resolve, reject));
  });
  assert.equal(await answer, 'SUCCESS');
  await sub.close();
});

test('messages of a key come in their order', async () => {
  const {topic, sub} = await pair({enableMessageOrdering: true});
  topic.setPublishOptions({messageOrdering: true});
  for (let i = 0; i < 50; i++) topic.publishMessage({data: Buffer.from(`${i}`), orderingKey: 'k'});
  const got = await received(sub, 50);
  assert.deepEqual(got.map(m => m.data.toString()), [...Array(50).keys()].map(String));
});

test('a filter', async () => {
  const {topic, sub} = await pair({filter: 'attributes.kind = "wanted" AND NOT attributes:old'});
  for (const attributes of [{kind: 'other'}, {kind: 'wanted', old: '1'}, {kind: 'wanted'}]) await topic.publishMessage({data: Buffer.from('x'), attributes});
  const [m] = await received(sub, 1);
  assert.deepEqual(m.attributes, {kind: 'wanted'});
});

test('dead letters, with the attempts counted', async () => {
  const [dead] = await client.createTopic('dead');
  const [graves] = await dead.createSubscription('graves');
  const {topic, sub} = await pair({
    deadLetterPolicy: {deadLetterTopic: dead.name, maxDeliveryAttempts: 5},
    retryPolicy: {minimumBackoff: {seconds: 0}, maximumBackoff: {seconds: 0}},
  });
  await topic.publishMessage({data: Buffer.from('x')});
  const [tries, [letter]] = await Promise.all([received(sub, 5, m => m.nack()), received(graves, 1)]);
  assert.deepEqual(tries.map(m => m.deliveryAttempt), [1, 2, 3, 4, 5]);
  assert.equal(letter.attributes.CloudPubSubDeadLetterSourceSubscription, sub.name.split('/').pop());
});

test('a push', async () => {
  const pushed = new Promise(resolve => {
    const server = http.createServer((req, res) => {
      const parts = [];
      req.on('data', p => parts.push(p)).on('end', () => {
        res.writeHead(204).end();
        server.close();
        resolve(JSON.parse(Buffer.concat(parts)));
      });
    }).listen(0, '127.0.0.1', async () => {
      const {topic} = await pair({pushConfig: {pushEndpoint: `http://127.0.0.1:${server.address().port}/push`}});
      await topic.publishMessage({data: Buffer.from('ü'), attributes: {a: 'b'}});
    });
  });
  const {message, subscription} = await pushed;
  assert.equal(Buffer.from(message.data, 'base64').toString(), 'ü');
  assert.deepEqual(message.attributes, {a: 'b'});
  assert.match(subscription, /^projects\/node\/subscriptions\/sub-/);
});

test('snapshots, and seeking back', async () => {
  const {topic, sub} = await pair();
  const [snapshot] = await sub.createSnapshot(`snapshot-${places}`);
  await topic.publishMessage({data: Buffer.from('x')});
  const [first] = await received(sub, 1);
  const again = client.subscription(sub.name);
  await again.seek(snapshot.name);
  const [second] = await received(again, 1);
  assert.equal(first.id, second.id);
});

test('administration: metadata, lists, updates, deletion', async () => {
  const {topic, sub} = await pair({ackDeadlineSeconds: 20, labels: {a: 'b'}});
  const [meta] = await sub.getMetadata();
  assert.deepEqual([meta.ackDeadlineSeconds, meta.labels], [20, {a: 'b'}]);
  await sub.setMetadata({ackDeadlineSeconds: 30});
  assert.equal((await sub.getMetadata())[0].ackDeadlineSeconds, 30);
  assert.ok((await client.getTopics())[0].some(t => t.name === topic.name));
  assert.ok((await topic.getSubscriptions())[0].some(s => s.name === sub.name));
  await sub.delete();
  await topic.delete();
  await assert.rejects(topic.getMetadata(), {code: 5});
});

test('bad input names the field', async () => {
  await assert.rejects(client.createTopic('1'), e => e.code === 3 && /name/i.test(e.message));
  const {topic} = await pair();
  await assert.rejects(topic.createSubscription('bad-deadline', {ackDeadlineSeconds: 5}), e => e.code === 3 && /deadline/i.test(e.message));
  await assert.rejects(topic.createSubscription('bad-filter', {filter: 'attributes.'}), e => e.code === 3 && /filter/i.test(e.message));
  await assert.rejects(client.topic('nobody-made-this').publishMessage({data: Buffer.from('x')}), {code: 5});
});
