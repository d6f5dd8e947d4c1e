// The Standard Webhooks library on the vectors of shared/signature: what that folder's document shows is in here.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {mock, test} from 'node:test';
import {Webhook} from 'standardwebhooks';

function open(signingKey, headers, body) {
  const secret = 'whsec_' + Buffer.from(signingKey).toString('base64');
  return new Webhook(secret).verify(body, headers); // throws
}

const {vectors} = JSON.parse(readFileSync(process.env.CALLOUT_VECTORS, 'utf8'));
for (const {name, keys, timestamp, headers, body} of vectors) {
  test(name, () => {
    mock.timers.enable({apis: ['Date'], now: timestamp * 1000});
    try {
      for (const key of keys) {
        assert.throws(() => open(key, headers, `${body} `), /signature/);
        if (body.startsWith('{')) assert.deepEqual(open(key, headers, body), JSON.parse(body)); // it reads JSON, and nothing else
      }
      assert.throws(() => open('another', headers, body), /signature/);
    } finally {
      mock.timers.reset();
    }
  });
}
