// Node's pg: unnamed and named statements, text results, types by OID.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connected, endless, pg, rejection } from '../server.mjs';

export async function it_logs_in() {
  const client = await connected();
  const { rows, fields } = await client.query('SELECT 1 AS one, $1::text AS two', ['zwei']);
  assert.deepEqual(rows, [{ one: 1, two: 'zwei' }]);
  assert.deepEqual(fields.map((f) => f.dataTypeID), [23, 25]);
  await client.end();
}

export async function a_wrong_password_is_refused() {
  const error = await rejection(connected({ password: 'wrong' }));
  assert.equal(error.code, '28P01');
}

export async function types_arrive() {
  const client = await connected({ options: '-c TimeZone=UTC' });
  const { rows } = await client.query({
    text: `SELECT true, 2, 3::bigint, 1.5::float8, 12.50::numeric(10,2), 'ü', '2024-02-29 12:00:00+02'::timestamptz,
                  '\\x00ff'::bytea, ARRAY[1,2,NULL], '{"a":1}'::jsonb, NULL`,
    rowMode: 'array',
  });
  assert.deepEqual(rows[0], [true, 2, '3', 1.5, '12.50', 'ü', new Date('2024-02-29T10:00:00Z'), Buffer.from([0, 255]),
    [1, 2, null], { a: 1 }, null]);
  await client.end();
}

export async function binary_results_are_the_same() {
  const client = await connected();
  for (const sql of ['SELECT 1', 'SELECT 1.5::float8', "SELECT 'ü'", 'SELECT true',
    "SELECT '2024-02-29 12:00:00+02'::timestamptz"]) {
    const text = await client.query({ text: sql, rowMode: 'array' });
    const binary = await client.query({ text: sql, rowMode: 'array', binary: true });
    assert.deepEqual(binary.rows, text.rows, sql);
  }
  await client.end();
}

export async function parameters_of_every_kind_are_taken() {
  const client = await connected();
  const { rows } = await client.query({
    text: 'SELECT $1::int + 1, $2::text, $3::bool, $4::numeric, $5::timestamptz, $6::int[], $7::text',
    values: [41, "it's", true, '1.10', new Date('2024-01-01T00:00:00Z'), [1, 2], null],
    rowMode: 'array',
  });
  assert.deepEqual(rows[0], [42, "it's", true, '1.10', new Date('2024-01-01T00:00:00Z'), [1, 2], null]);
  await client.end();
}

export async function a_named_statement_runs_many_times() {
  const client = await connected();
  for (let n = 0; n < 20; n += 1) {
    const { rows } = await client.query({ name: 'double', text: 'SELECT $1::int * 2 AS n', values: [n] });
    assert.deepEqual(rows, [{ n: n * 2 }]);
  }
  await client.end();
}

export async function the_history_is_counted() {
  const client = await connected();
  const { rows } = await client.query('SELECT count(*) AS n FROM interactions');
  assert.deepEqual(rows, [{ n: '2000' }]);
  await client.end();
}

export async function a_pool_serves_many_at_once() {
  const pool = new pg.Pool({ max: 4 });
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.query('SELECT $1::int AS n', [n])));
  assert.deepEqual(answers.map((a) => a.rows[0].n), Array.from({ length: 20 }, (_, n) => n));
  await pool.end();
}

export async function an_error_has_its_code_and_place() {
  const client = await connected();
  const missing = await rejection(client.query('SELECT * FROM nowhere'));
  assert.equal(missing.code, '42P01');
  const column = await rejection(client.query('SELECT nothing FROM interactions'));
  assert.equal(column.code, '42703');
  const zero = await rejection(client.query('SELECT 1/$1::int', [0]));
  assert.equal(zero.code, '22012');
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}

export async function a_statement_timeout_ends_the_work() {
  const client = await connected({ statement_timeout: 400 });
  assert.equal((await rejection(client.query(endless))).code, '57014');
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}

export async function several_statements_give_several_results() {
  const client = await connected();
  const results = await client.query('SELECT 1 AS a; SELECT 2 AS b');
  assert.deepEqual(results.map((r) => r.rows[0]), [{ a: 1 }, { b: 2 }]);
  await client.end();
}

export async function tls_is_verified() {
  const client = await connected({ ssl: { ca: readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } });
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}
