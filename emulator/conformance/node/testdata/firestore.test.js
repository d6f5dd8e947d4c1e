// What Node's official client asks of Firestore. With STRICT set, the server is to refuse the queries for which production wants a composite
// index, and nothing else.
const assert = require('node:assert/strict');
const {test, after} = require('node:test');
const {Firestore, FieldValue, FieldPath, Timestamp, Filter, GeoPoint, AggregateField} = require('@google-cloud/firestore');

const db = new Firestore({projectId: 'node'});
after(() => db.terminate());

let places = 0;
const place = () => db.collection('conformance').doc(`place-${++places}`).collection(`c${places}`);
const ids = snapshot => snapshot.docs.map(d => d.id);

// indexed is for a query that needs a composite index.
async function indexed(query, check) {
  if (process.env.STRICT) {
    await assert.rejects(query(), e => e.code === 9 && /index/.test(e.message));
    return;
  }
  check(await query());
}

async function numbers(n) {
  const c = place();
  const batch = db.batch();
  for (let i = 0; i < n; i++) batch.set(c.doc(`d${i}`), {i, even: i % 2 === 0, tags: [`t${i % 3}`, 'all']});
  await batch.commit();
  return c;
}

test('values of every type come back as they went', async () => {
  const c = place();
  const value = {
    nothing: null, yes: true, int: 42, float: 1.5, nan: NaN, text: 'ü€𝄞', bytes: Buffer.from([0, 255]), at: new Timestamp(1, 2000),
    place: new GeoPoint(1.5, -2.5), list: [1, 'a', {b: []}], map: {a: {b: {c: 1}}}, ref: c.doc('other'), vector: FieldValue.vector([1, 2.5]),
  };
  await c.doc('a').set(value);
  const got = (await c.doc('a').get()).data();
  assert.ok(got.ref.isEqual(value.ref) && got.vector.isEqual(value.vector) && got.at.isEqual(value.at) && got.place.isEqual(value.place));
  for (const k of ['nothing', 'yes', 'int', 'float', 'nan', 'text', 'bytes', 'list', 'map']) assert.deepEqual(got[k], value[k], k);
});

test('create, set with merge, update, delete and their preconditions', async () => {
  const d = place().doc('a');
  const made = await d.create({a: 1, m: {x: 1}});
  await assert.rejects(d.create({}), {code: 6});
  await d.set({m: {y: 2}}, {merge: true});
  await d.update({'m.x': FieldValue.delete(), b: 2});
  assert.deepEqual((await d.get()).data(), {a: 1, b: 2, m: {y: 2}});
  await assert.rejects(d.update({a: 2}, {lastUpdateTime: made.writeTime}), {code: 9});
  await d.delete({exists: true});
  await assert.rejects(d.update({a: 1}), {code: 5});
  assert.equal((await d.get()).exists, false);
});

test('transforms', async () => {
  const d = place().doc('a');
  await d.set({n: 1, list: [1, 2], at: FieldValue.serverTimestamp()});
  await d.update({n: FieldValue.increment(1.5), list: FieldValue.arrayUnion(2, 3)});
  await d.update({list: FieldValue.arrayRemove(1)});
  const got = await d.get();
  assert.equal(got.get('n'), 2.5);
  assert.deepEqual(got.get('list'), [2, 3]);
  assert.ok(got.get('at').isEqual(got.createTime));
});

test('getAll with missing ones and a field mask', async () => {
  const c = place();
  await c.doc('a').set({x: 1, y: 2});
  const [a, b] = await db.getAll(c.doc('a'), c.doc('b'), {fieldMask: ['x']});
  assert.deepEqual(a.data(), {x: 1});
  assert.equal(b.exists, false);
});

test('filters of one field', async () => {
  const c = await numbers(6);
  assert.deepEqual(ids(await c.where('i', '==', 3).get()), ['d3']);
  assert.deepEqual(ids(await c.where('i', '!=', 3).get()), ['d0', 'd1', 'd2', 'd4', 'd5']);
  assert.deepEqual(ids(await c.where('i', '>=', 2).where('i', '<', 4).get()), ['d2', 'd3']);
  assert.deepEqual(ids(await c.where('i', 'in', [5, 1]).get()), ['d1', 'd5']);
  assert.deepEqual(ids(await c.where('i', 'not-in', [0, 1, 2]).get()), ['d3', 'd4', 'd5']);
  assert.deepEqual(ids(await c.where('tags', 'array-contains', 't2').get()), ['d2', 'd5']);
  assert.deepEqual(ids(await c.where('tags', 'array-contains-any', ['t1', 't2']).get()), ['d1', 'd2', 'd4', 'd5']);
  assert.deepEqual(ids(await c.where(FieldPath.documentId(), '>', 'd3').get()), ['d4', 'd5']);
});

test('OR', async () => {
  const c = await numbers(6);
  const or = Filter.or(Filter.where('i', '==', 5), Filter.where('tags', 'array-contains', 't0'));
  assert.deepEqual(ids(await c.where(or).get()), ['d0', 'd3', 'd5']);
});

test('AND with an order needs an index', async () => {
  const c = await numbers(6);
  await indexed(() => c.where('even', '==', true).orderBy('i', 'desc').get(), s => assert.deepEqual(ids(s), ['d4', 'd2', 'd0']));
});

test('inequalities on two fields need an index', async () => {
  const c = await numbers(6);
  await indexed(() => c.where('i', '>', 1).where('even', '!=', true).get(), s => assert.deepEqual(ids(s), ['d3', 'd5']));
});

test('order, cursors, offset, limits and a projection', async () => {
  const c = await numbers(8);
  assert.deepEqual(ids(await c.orderBy('i', 'desc').limit(2).get()), ['d7', 'd6']);
  assert.deepEqual(ids(await c.orderBy('i').startAfter(2).endAt(4).get()), ['d3', 'd4']);
  assert.deepEqual(ids(await c.orderBy('i').startAt(await c.doc('d6').get()).get()), ['d6', 'd7']);
  assert.deepEqual(ids(await c.orderBy('i').offset(6).get()), ['d6', 'd7']);
  assert.deepEqual(ids(await c.orderBy('i').limitToLast(2).get()), ['d6', 'd7']);
  assert.deepEqual((await c.select('i').limit(1).get()).docs[0].data(), {i: 0});
});

test('a query as a stream', async () => {
  const c = await numbers(5);
  const got = [];
  for await (const d of c.orderBy('i').stream()) got.push(d.id);
  assert.equal(got.length, 5);
});

test('count, sum and average', async () => {
  const c = await numbers(5);
  assert.equal((await c.count().get()).data().count, 5);
  const {sum, average} = (await c.aggregate({sum: AggregateField.sum('i'), average: AggregateField.average('i')}).get()).data();
  assert.deepEqual([sum, average], [10, 2]);
});

test('collection groups', async () => {
  const name = `group${++places}`;
  for (const id of ['a', 'b']) await place().doc('x').collection(name).doc(id).set({id});
  assert.deepEqual(ids(await db.collectionGroup(name).get()).sort(), ['a', 'b']);
});

test('partitions', async () => {
  const c = await numbers(300);
  let seen = 0;
  for await (const part of db.collectionGroup(c.id).getPartitions(4)) seen += (await part.toQuery().get()).size;
  assert.equal(seen, 300);
});

test('the nearest neighbours', async () => {
  const c = place();
  for (const [id, v] of [['a', [0, 0]], ['b', [3, 4]], ['c', [1, 1]]]) await c.doc(id).set({v: FieldValue.vector(v)});
  const near = await c.findNearest({vectorField: 'v', queryVector: [0, 0], limit: 2, distanceMeasure: 'EUCLIDEAN', distanceResultField: 'far'}).get();
  assert.deepEqual(near.docs.map(d => [d.id, d.get('far')]), [['a', 0], ['c', Math.SQRT2]]);
});

test('contended transactions lose nothing', async () => {
  const d = place().doc('a');
  await d.set({n: 0});
  await Promise.all([...Array(12)].map(() => db.runTransaction(async tx => {
    const n = (await tx.get(d)).get('n');
    tx.update(d, {n: n + 1});
  }, {maxAttempts: 20})));
  assert.equal((await d.get()).get('n'), 12);
});

test('a transaction that throws leaves nothing', async () => {
  const d = place().doc('a');
  await assert.rejects(db.runTransaction(async tx => { tx.set(d, {a: 1}); throw new Error('no'); }), /no/);
  assert.equal((await d.get()).exists, false);
});

test('a read-only transaction, and one of the past', async () => {
  const d = place().doc('a');
  const {writeTime} = await d.set({n: 1});
  await d.set({n: 2});
  assert.equal(await db.runTransaction(async tx => (await tx.get(d)).get('n'), {readOnly: true}), 2);
  assert.equal(await db.runTransaction(async tx => (await tx.get(d)).get('n'), {readOnly: true, readTime: writeTime}), 1);
});

test('a transaction with a query', async () => {
  const c = await numbers(4);
  await db.runTransaction(async tx => {
    const s = await tx.get(c.where('even', '==', true));
    s.forEach(d => tx.delete(d.ref));
  });
  assert.deepEqual(ids(await c.get()), ['d1', 'd3']);
});

// heard collects what a listener hears until there is that much.
function heard(subscribe, n, during) {
  return new Promise((resolve, reject) => {
    const got = [];
    const stop = subscribe(s => {
      got.push(s);
      if (got.length === n) { stop(); resolve(got); } else during(got.length).catch(reject);
    }, reject);
  });
}

test('listening to a document', async () => {
  const d = place().doc('a');
  const got = await heard((f, e) => d.onSnapshot(f, e), 3, n => n === 1 ? d.set({n}) : d.delete());
  assert.deepEqual(got.map(s => s.exists), [false, true, false]);
});

test('listening to a query', async () => {
  const c = place();
  await c.doc('a').set({i: 1});
  const steps = [() => c.doc('b').set({i: 2}), () => c.doc('a').set({i: 3}), () => c.doc('b').set({i: -1})];
  const got = await heard((f, e) => c.where('i', '>', 0).orderBy('i').onSnapshot(f, e), 4, n => steps[n - 1]());
  assert.deepEqual(got.map(s => s.docChanges().map(x => `${x.type} ${x.doc.id} ${x.oldIndex}>${x.newIndex}`)),
    [['added a -1>0'], ['added b -1>1'], ['modified a 0>1'], ['removed b 0>-1']]);
});

test('a batch is whole or nothing', async () => {
  const c = place();
  await c.doc('b').set({});
  const batch = db.batch().set(c.doc('a'), {}).create(c.doc('b'), {});
  await assert.rejects(batch.commit(), {code: 6});
  assert.deepEqual(ids(await c.get()), ['b']);
});

test('a bulk writer, and a recursive delete', async () => {
  const c = place();
  const writer = db.bulkWriter();
  for (let i = 0; i < 200; i++) writer.set(c.doc(`d${i}`), {i});
  writer.set(c.doc('d0').collection('below').doc('x'), {});
  await writer.close();
  assert.equal((await c.count().get()).data().count, 200);
  await db.recursiveDelete(c);
  assert.equal((await c.get()).size, 0);
  assert.equal((await c.doc('d0').collection('below').get()).size, 0);
});

test('a bulk writer tells which writes failed', async () => {
  const c = place();
  await c.doc('a').set({});
  const writer = db.bulkWriter();
  writer.onWriteError(() => false);
  const again = writer.create(c.doc('a'), {}), fine = writer.create(c.doc('b'), {});
  await writer.close();
  await assert.rejects(again, {code: 6});
  await fine;
});

test('collections of a document, and documents that are missing', async () => {
  const c = place();
  await c.doc('missing').collection('x').doc('1').set({});
  await c.doc('there').set({});
  assert.deepEqual((await c.doc('missing').listCollections()).map(x => x.id), ['x']);
  assert.deepEqual((await c.listDocuments()).map(d => d.id), ['missing', 'there']);
});

test('limits: a document of over 1 MiB, a name of dots', async () => {
  const c = place();
  await assert.rejects(c.doc('a').set({text: 'x'.repeat(1 << 20)}), {code: 3});
  await assert.rejects(c.doc('..').set({}), {code: 3});
  await assert.rejects(c.doc('__a__').set({}), {code: 3});
});

test('large documents and a query over many', async () => {
  const c = place();
  for (let i = 0; i < 20; i++) await c.doc(`d${i}`).set({text: 'x'.repeat(900_000)});
  assert.equal((await c.get()).size, 20);
});

test('other databases of the project are others', async () => {
  const other = new Firestore({projectId: 'node', databaseId: 'other'});
  await other.doc('conformance/alone').set({a: 1});
  assert.equal((await db.doc('conformance/alone').get()).exists, false);
  assert.deepEqual((await other.listCollections()).map(c => c.id), ['conformance']);
  await other.terminate();
});
