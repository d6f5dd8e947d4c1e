// What the reference system's own Node clients ask of the API: @zitadel/node over gRPC with its service account, @zitadel/client over gRPC,
// gRPC-Web and Connect with the token that the former fetches. Nothing is changed in them.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {Code, ConnectError} from '@connectrpc/connect';
import {createConnectTransport} from '@connectrpc/connect-node';
import {createClientFor, toDate} from '@zitadel/client';
import {createServerTransport} from '@zitadel/client/node';
import {createClientTransport} from '@zitadel/client/web';
import {ActionService as ActionServiceBeta} from '@zitadel/proto/zitadel/action/v2beta/action_service_pb.js';
import {ExecutionType as ExecutionTypeBeta, TargetFieldName as TargetFieldNameBeta} from '@zitadel/proto/zitadel/action/v2beta/query_pb.js';
import {TextFilterMethod} from '@zitadel/proto/zitadel/filter/v2beta/filter_pb.js';
import {ErrorDetailSchema} from '@zitadel/proto/zitadel/message_pb.js';
import {createServiceAccountInterceptor} from '@zitadel/node/dist/api/interceptors.js';
import {ActionServiceDefinition} from '@zitadel/node/dist/api/generated/zitadel/action/v2/action_service.js';
import {ActionServiceDefinition as ActionServiceBetaDefinition} from '@zitadel/node/dist/api/generated/zitadel/action/v2beta/action_service.js';
import {ErrorDetail} from '@zitadel/node/dist/api/generated/zitadel/message.js';
import {ServiceAccount} from '@zitadel/node/dist/credentials/service-account.js';
import {createChannel, createClientFactory, Status} from 'nice-grpc';
import protobuf from 'protobufjs';

const {CALLOUT_API: api, CALLOUT_ISSUER: issuer, CALLOUT_KEY_FILE: keyFile} = process.env;
const account = ServiceAccount.fromJsonString(readFileSync(keyFile, 'utf8'));
const apiAccess = {apiAccess: true};
const endpoint = 'http://127.0.0.1:9/hook';

// The clients differ in how they write a oneof, a duration and a number: each says how.
const channels = [];
const clients = {};

function niceGrpc(definition) {
  const channel = createChannel(api);
  channels.push(channel);
  const client = createClientFactory().use(createServiceAccountInterceptor(issuer, account, apiAccess)).create(definition, channel);
  return {
    client,
    one: (name, value) => ({[name]: value}),
    chosen: (target, name) => target[name],
    date: d => d,
    number: Number,
    async fails(call, code, id) {
      let trailer;
      await assert.rejects(call({onTrailer: t => (trailer = t)}), err => err.code === Status[code]);
      if (id) assert.equal(detail(trailer.get('grpc-status-details-bin')).id, id);
    },
  };
}

// detail reads the first detail of a google.rpc.Status: the field 3, whose Any has the message in its field 2.
function detail(status) {
  const part = (bytes, number) => {
    const reader = protobuf.Reader.create(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag >>> 3 === number) return reader.bytes();
      reader.skipType(tag & 7);
    }
    throw new Error(`no field ${number}`);
  };
  return ErrorDetail.decode(part(part(status, 3), 2));
}

function connectES(transport) {
  const inner = createClientFor(ActionServiceBeta)(transport);
  return {
    client: inner,
    one: (name, value, of) => ({[of]: {case: name, value}}),
    chosen: (target, name) => (target.targetType.case === name ? target.targetType.value : undefined),
    date: toDate,
    number: Number,
    async fails(call, code, id) {
      const err = await call({}).then(() => assert.fail('it did not fail'), e => ConnectError.from(e));
      const name = code.toLowerCase().replace(/(^|_)(.)/g, (_, _a, c) => c.toUpperCase());
      assert.equal(err.code, Code[name], err.message);
      if (id) {
        assert.equal(err.findDetails(ErrorDetailSchema)[0]?.id, id);
        assert.match(err.rawMessage, new RegExp(`\\(${id}\\)$`));
      }
    },
  };
}

before(async () => {
  const token = await account.authenticate(issuer, apiAccess);
  const bearer = next => req => {
    req.header.set('Authorization', `Bearer ${token}`);
    return next(req);
  };
  const connectOptions = {baseUrl: api, httpVersion: '1.1', interceptors: [bearer]};
  Object.assign(clients, {
    v2: niceGrpc(ActionServiceDefinition),
    v2beta: niceGrpc(ActionServiceBetaDefinition),
    'v2beta by connect-es, gRPC': connectES(createServerTransport(token, {baseUrl: api})),
    'v2beta by connect-es, gRPC-Web': connectES(createClientTransport(token, {baseUrl: api})),
    'v2beta by connect-es, Connect with protobuf': connectES(createConnectTransport({...connectOptions, useBinaryFormat: true})),
    'v2beta by connect-es, Connect with JSON': connectES(createConnectTransport({...connectOptions, useBinaryFormat: false})),
    'v2beta by connect-es, Connect over HTTP/2': connectES(createConnectTransport({...connectOptions, httpVersion: '2'})),
  });
});
after(() => channels.forEach(c => c.close()));

const seconds = n => ({seconds: BigInt(n), nanos: 0});
const names = ['v2', 'v2beta', 'v2beta by connect-es, gRPC', 'v2beta by connect-es, gRPC-Web', 'v2beta by connect-es, Connect with protobuf',
  'v2beta by connect-es, Connect with JSON', 'v2beta by connect-es, Connect over HTTP/2'];

for (const [n, name] of names.entries()) {
  const prefix = `n${n}-`;
  const using = body => async () => {
    const c = clients[name];
    const nice = 'v2' === name || 'v2beta' === name;
    const duration = s => (nice ? {seconds: s, nanos: 0} : seconds(s));
    const create = (suffix, options = {}) => c.client.createTarget({name: prefix + suffix, timeout: duration(10), endpoint,
      ...c.one('restWebhook', {interruptOnError: true}, 'targetType'), ...options});
    const offset = o => (nice ? o : BigInt(o));
    await body({...c, duration, create, offset});
  };

  test(`${name}: the life of a target`, using(async ({client, create, chosen, date, duration, one, fails, number}) => {
    const began = Date.now();
    const made = await create('life');
    assert.ok(made.id);
    assert.match(made.signingKey, /^\S{16,}$/);
    assert.ok(Math.abs(date(made.creationDate) - began) < 60_000);

    const {target} = await client.getTarget({id: made.id});
    assert.equal(target.name, prefix + 'life');
    assert.equal(target.endpoint, endpoint);
    assert.equal(target.signingKey, made.signingKey);
    assert.equal(number(target.timeout.seconds), 10);
    assert.equal(chosen(target, 'restWebhook').interruptOnError, true);
    assert.equal(+date(target.creationDate), +date(made.creationDate));

    await sleep(5);
    const same = await client.updateTarget({id: made.id, name: prefix + 'life'});
    assert.equal(+date(same.changeDate), +date(target.changeDate), 'what changes nothing changes no date');
    const changed = await client.updateTarget({id: made.id, name: prefix + 'alive', timeout: duration(20), ...one('restAsync', {}, 'targetType')});
    assert.ok(date(changed.changeDate) > date(target.changeDate));
    assert.ok(!changed.signingKey);
    const after = (await client.getTarget({id: made.id})).target;
    assert.equal(after.name, prefix + 'alive');
    assert.equal(number(after.timeout.seconds), 20);
    assert.ok(chosen(after, 'restAsync'));
    assert.equal(after.signingKey, made.signingKey);

    const rotated = await client.updateTarget({id: made.id, expirationSigningKey: duration(0)});
    assert.ok(rotated.signingKey && rotated.signingKey !== made.signingKey);
    assert.equal((await client.getTarget({id: made.id})).target.signingKey, rotated.signingKey);
    const overlapping = await client.updateTarget({id: made.id, expirationSigningKey: duration(3600)});
    assert.ok(overlapping.signingKey && overlapping.signingKey !== rotated.signingKey);

    const gone = await client.deleteTarget({id: made.id});
    assert.ok(date(gone.deletionDate));
    assert.equal(+date((await client.deleteTarget({id: made.id})).deletionDate), +date(gone.deletionDate), 'deleted again');
    assert.equal((await client.deleteTarget({id: 'never'})).deletionDate, undefined);
    await fails(o => client.getTarget({id: made.id}, o), 'NOT_FOUND', 'QUERY-hj5oaniyrz');
  }));

  test(`${name}: lists of targets`, using(async ({client, create, one, offset, number}) => {
    const made = [];
    for (const suffix of ['list-a', 'list-B', 'list-c']) made.push(await create(suffix));
    const named = (text, method) => one('targetNameFilter', {targetName: text, method}, 'filter');
    const list = async (filters, pagination, sortingColumn = TargetFieldNameBeta.NAME) => {
      const answer = await client.listTargets({filters, pagination: {asc: true, ...pagination}, sortingColumn});
      return [answer.targets.map(t => t.name.slice(prefix.length)), number(answer.pagination.totalResult), number(answer.pagination.appliedLimit)];
    };
    const ours = named(prefix + 'list-', TextFilterMethod.STARTS_WITH);
    assert.deepEqual(await list([ours]), [['list-B', 'list-a', 'list-c'].sort(), 3, 100]);
    assert.deepEqual(await list([ours], {limit: 1, offset: offset(1)}, TargetFieldNameBeta.CREATED_DATE), [['list-B'], 3, 1]);
    assert.deepEqual(await list([ours], {asc: false}, TargetFieldNameBeta.CREATED_DATE), [['list-c', 'list-B', 'list-a'], 3, 100]);
    assert.deepEqual(await list([named(prefix + 'LIST-b', TextFilterMethod.EQUALS)]), [[], 0, 100]);
    assert.deepEqual(await list([named(prefix + 'LIST-b', TextFilterMethod.EQUALS_IGNORE_CASE)]), [['list-B'], 1, 100]);
    assert.deepEqual(await list([ours, one('inTargetIdsFilter', {targetIds: [made[0].id, made[2].id, 'none']}, 'filter')]), [['list-a', 'list-c'], 2, 100]);
    const all = await client.listTargets({});
    assert.ok(all.targets.length >= 3 && number(all.pagination.totalResult) >= 3);
    assert.ok(all.targets.every(t => t.signingKey));
  }));

  test(`${name}: executions`, using(async ({client, create, date, one, number}) => {
    const targets = [(await create('e1')).id, (await create('e2')).id];
    const on = event => one('event', one('event', event, 'condition'), 'conditionType');
    const set = await client.setExecution({condition: on(`order.${n}.created`), targets});
    assert.ok(date(set.setDate));
    await client.setExecution({condition: one('request', one('method', '/zitadel.session.v2.SessionService/ListSessions', 'condition'), 'conditionType'), targets: [targets[0]]});
    await client.setExecution({condition: one('function', {name: 'preuserinfo'}, 'conditionType'), targets: [targets[1]]});

    const found = await client.listExecutions({filters: [one('inConditionsFilter', {conditions: [on(`order.${n}.created`)]}, 'filter')]});
    assert.equal(number(found.pagination.totalResult), 1);
    assert.deepEqual(found.executions[0].targets, targets, 'in order');
    const ofTarget = await client.listExecutions({filters: [one('targetFilter', {targetId: targets[1]}, 'filter')]});
    assert.equal(number(ofTarget.pagination.totalResult), 2);
    const ofBoth = await client.listExecutions({filters: [one('targetFilter', {targetId: targets[0]}, 'filter'),
      one('executionTypeFilter', {executionType: ExecutionTypeBeta.REQUEST}, 'filter')]});
    assert.equal(ofBoth.executions.length, 1);
    await client.setExecution({condition: on(`order.${n}.created`), targets: []});
    const removed = await client.listExecutions({filters: [one('inConditionsFilter', {conditions: [on(`order.${n}.created`)]}, 'filter')]});
    assert.equal(removed.executions.length, 0);
  }));

  test(`${name}: names that may be conditions`, using(async ({client}) => {
    assert.ok((await client.listExecutionFunctions({})).functions.includes('preuserinfo'));
    assert.ok((await client.listExecutionMethods({})).methods.includes('/zitadel.session.v2.SessionService/ListSessions'));
    assert.ok((await client.listExecutionServices({})).services.includes('zitadel.session.v2.SessionService'));
  }));

  test(`${name}: errors`, using(async ({client, create, duration, one, fails}) => {
    const made = await create('taken');
    const target = options => ({name: prefix + 'bad', timeout: duration(10), endpoint, ...one('restWebhook', {}, 'targetType'), ...options});
    await fails(o => client.createTarget(target({name: prefix + 'taken'}), o), 'ALREADY_EXISTS', 'V3-DKcYh');
    await fails(o => client.createTarget(target({endpoint: 'http://10.0.0.1/'}), o), 'INVALID_ARGUMENT', 'COMMAND-NcJUKo');
    await fails(o => client.updateTarget({id: made.id, endpoint: 'http://10.0.0.1/'}, o), 'INVALID_ARGUMENT', 'COMMAND-jKbbu2');
    await fails(o => client.createTarget(target({name: ''}), o), 'INVALID_ARGUMENT');
    await fails(o => client.createTarget(target({timeout: duration(0)}), o), 'INVALID_ARGUMENT');
    await fails(o => client.updateTarget({id: 'never', name: 'x'}, o), 'NOT_FOUND', 'COMMAND-xj14f2cccn');
    await fails(o => client.getTarget({id: 'never'}, o), 'NOT_FOUND', 'QUERY-hj5oaniyrz');
    await fails(o => client.setExecution({condition: one('function', {name: 'nobody'}, 'conditionType'), targets: [made.id]}, o), 'NOT_FOUND', 'COMMAND-cdy39t0ksr');
  }));
}

test('a service account without access to the API is refused', async () => {
  const channel = createChannel(api);
  channels.push(channel);
  const client = createClientFactory().use(createServiceAccountInterceptor(issuer, account)).create(ActionServiceDefinition, channel);
  await assert.rejects(client.listTargets({}), err => err.code === Status.UNAUTHENTICATED || err.code === Status.PERMISSION_DENIED);
});

test('no token, and a bad one', async () => {
  const inner = createClientFor(ActionServiceBeta);
  for (const transport of [createConnectTransport({baseUrl: api, httpVersion: '1.1'}), createServerTransport('bad', {baseUrl: api})]) {
    const err = await inner(transport).listTargets({}).then(() => assert.fail('it did not fail'), e => ConnectError.from(e));
    assert.equal(err.code, Code.Unauthenticated);
  }
});
