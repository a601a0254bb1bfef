// pg-cursor: portals that are read in parts.
import assert from 'node:assert/strict';
import { connected, module, rejection } from '../server.mjs';

const Cursor = module('pg-cursor');

export async function a_cursor_reads_in_parts() { // cursors, streaming
  const client = await connected();
  const cursor = client.query(new Cursor('SELECT id FROM sales WHERE shop_id = $1 ORDER BY id', [2]));
  const sizes = [];
  for (;;) {
    const rows = await cursor.read(64);
    if (!rows.length) break;
    sizes.push(rows.length);
  }
  assert.deepEqual(sizes, [64, 64, 64, 8]);
  await cursor.close();
  await client.end();
}

export async function a_cursor_can_be_left_early() { // cursors
  const client = await connected();
  const cursor = client.query(new Cursor('SELECT a.source_id FROM interactions a, interactions b, interactions c'));
  assert.equal((await cursor.read(10)).length, 10);
  await cursor.close();
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}

export async function a_failing_cursor_says_so() { // cursors, errors
  const client = await connected();
  const cursor = client.query(new Cursor('SELECT * FROM nowhere'));
  assert.equal((await rejection(cursor.read(1))).code, '42P01');
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}

export async function an_error_in_the_middle_ends_the_cursor() { // cursors, errors
  const client = await connected();
  const cursor = client.query(new Cursor('SELECT 1 / (900 - id) AS x FROM (SELECT id FROM sales ORDER BY id) AS s'));
  const error = await rejection((async () => {
    for (;;) await cursor.read(100);
  })());
  assert.equal(error.code, '22012');
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}
