// SPDX-License-Identifier: Apache-2.0
// keys.mjs ALGORITHM ID: a private JSON Web Key Set with one new key.
import crypto from 'node:crypto';

const [alg, kid] = process.argv.slice(2);
const {privateKey} = alg.startsWith('ES')
  ? crypto.generateKeyPairSync('ec', {namedCurve: {ES256: 'P-256', ES384: 'P-384'}[alg]})
  : crypto.generateKeyPairSync('rsa', {modulusLength: 2048});
console.log(JSON.stringify({keys: [{...privateKey.export({format: 'jwk'}), alg, kid, use: 'sig'}]}));
