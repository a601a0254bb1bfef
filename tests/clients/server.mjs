// The server under test, as the scripts see it.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.env.NODE_MODULES, 'x.js'));
export const module = (name) => require(name);
export const pg = module('pg');
export const engine = process.env.SERVER_ENGINE;

export const endless = `SELECT count(*) FROM interactions a, interactions b, interactions c
                        WHERE a.quantity + b.quantity > c.quantity + 1000000`;

// A client connected by the PG* variables.
export async function connected(options = {}) {
  const client = new pg.Client(options);
  await client.connect();
  return client;
}

// The error that a promise must end in.
export async function rejection(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected an error, got ${JSON.stringify(value)}`);
}
