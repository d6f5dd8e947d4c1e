// Runs vectors.json with nothing but what Node.js has built in: node verify.mjs vectors.json. The functions are what a receiver needs.
import crypto from 'node:crypto';
import fs from 'node:fs';

const decode = (segment) => {
  if (!/^[A-Za-z0-9_-]*$/.test(segment)) throw new Error('not base64url');
  return Buffer.from(segment, 'base64url');
};

const json = (segment) => JSON.parse(decode(segment).toString('utf8'));

// verifyHeaders says whether one of the keys has signed the body.
function verifyHeaders(headers, keys, body) {
  const mac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();
  const [time, ...signatures] = headers['ZITADEL-Signature'].split(',');
  const stamp = time.replace('t=', '');
  const is = (got, want) => got.length === want.length && crypto.timingSafeEqual(got, want);
  const reference = keys.some((key) => signatures.some((s) => is(Buffer.from(s.replace('v1=', ''), 'hex'), mac(key, `${stamp}.${body}`))));
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const standard = keys.some((key) =>
    headers['webhook-signature'].split(' ').some((s) => is(Buffer.from(s.replace('v1,', ''), 'base64'), mac(key, signed))));
  return reference && standard;
}

// verifyJWT gives the payload of a JWT that a key of the set has signed.
function verifyJWT(token, keySet) {
  const parts = token.split('.');
  if (parts.length !== 3) throw new Error('not a JWT');
  const header = json(parts[0]);
  const jwk = keySet.keys.find((k) => k.kid === header.kid);
  if (header.typ !== 'JWT' || header.alg !== 'RS256' || !jwk || jwk.alg !== 'RS256') throw new Error('no key of this id and algorithm');
  const key = crypto.createPublicKey({ key: jwk, format: 'jwk' });
  if (!crypto.verify('sha256', Buffer.from(`${parts[0]}.${parts[1]}`), key, decode(parts[2]))) throw new Error('the signature does not match');
  return decode(parts[1]).toString('utf8');
}

// unwrap gives the key of a JWE's content.
function unwrap(header, wrapped, key) {
  if (header.alg === 'RSA-OAEP-256' && key.asymmetricKeyType === 'rsa') {
    return crypto.privateDecrypt({ key, padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, wrapped);
  }
  if (header.alg !== 'ECDH-ES+A256KW' || key.asymmetricKeyType !== 'ec') throw new Error('no algorithm of this key');
  const shared = crypto.diffieHellman({ privateKey: key, publicKey: crypto.createPublicKey({ key: header.epk, format: 'jwk' }) });
  const number = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
  // Concat KDF of RFC 7518 section 4.6: one round is enough for 256 bits.
  const info = Buffer.concat([number(header.alg.length), Buffer.from(header.alg), number(0), number(0), number(256)]);
  const kek = crypto.createHash('sha256').update(Buffer.concat([number(1), shared, info])).digest();
  const cipher = crypto.createDecipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(wrapped), cipher.final()]);
}

// openJWE gives the payload of the JWT inside a JWE to one of the private keys.
function openJWE(token, privateKeys, keySet) {
  const parts = token.split('.');
  if (parts.length !== 5) throw new Error('not a JWE');
  const header = json(parts[0]);
  if (header.enc !== 'A256GCM' || header.cty !== 'JWT' || 'zip' in header || !(header.kid in privateKeys)) throw new Error('not for this receiver');
  const key = unwrap(header, decode(parts[1]), crypto.createPrivateKey(privateKeys[header.kid]));
  const tag = decode(parts[4]);
  if (tag.length !== 16) throw new Error('the tag is not whole');
  const cipher = crypto.createDecipheriv('aes-256-gcm', key, decode(parts[2]), { authTagLength: 16 });
  cipher.setAAD(Buffer.from(parts[0]));
  cipher.setAuthTag(tag);
  const inner = Buffer.concat([cipher.update(decode(parts[3])), cipher.final()]);
  return verifyJWT(inner.toString('utf8'), keySet);
}

const file = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const open = (v) => (v.form === 'JWE' ? openJWE(v.body, file.privateKeys, file.keySet) : verifyJWT(v.body, file.keySet));
let failed = 0;
const check = (name, ok, detail) => {
  if (!ok) { failed++; console.log(`FAILED ${name}: ${detail}`); }
};
for (const v of file.vectors) {
  check(v.name, v.keys.every((key) => verifyHeaders(v.headers, [key], v.body)), 'a signature does not match');
  check(v.name, !verifyHeaders(v.headers, v.keys, `${v.body} `), 'a changed body passes');
}
for (const v of file.payloads) {
  try { check(v.name, open(v) === v.payload, 'another payload'); } catch (e) { check(v.name, false, e); }
}
for (const v of file.refused) {
  let taken = true;
  try { open(v); } catch { taken = false; }
  check(v.name, !taken, 'it was taken');
}
console.log(`${file.vectors.length} headers, ${file.payloads.length} payloads, ${file.refused.length} refusals: ${failed} failed`);
process.exit(failed ? 1 : 0);
