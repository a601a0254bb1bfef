// Node's pg: unnamed and named statements, text results, types by OID.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connected, endless, pg, rejection } from '../server.mjs';

export async function it_logs_in() { // connect
  const client = await connected();
  const { rows, fields } = await client.query('SELECT 1 AS one, $1::text AS two', ['zwei']);
  assert.deepEqual(rows, [{ one: 1, two: 'zwei' }]);
  assert.deepEqual(fields.map((f) => f.dataTypeID), [23, 25]);
  await client.end();
}

export async function a_wrong_password_is_refused() { // password
  const error = await rejection(connected({ password: 'wrong' }));
  assert.equal(error.code, '28P01');
}

export async function types_arrive() { // types
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

export async function binary_results_are_the_same() { // types
  const client = await connected();
  for (const sql of ['SELECT 1', 'SELECT 1.5::float8', "SELECT 'ü'", 'SELECT true',
    "SELECT '2024-02-29 12:00:00+02'::timestamptz"]) {
    const text = await client.query({ text: sql, rowMode: 'array' });
    const binary = await client.query({ text: sql, rowMode: 'array', binary: true });
    assert.deepEqual(binary.rows, text.rows, sql);
  }
  await client.end();
}

export async function parameters_of_every_kind_are_taken() { // parameters
  const client = await connected();
  const { rows } = await client.query({
    text: 'SELECT $1::int + 1, $2::text, $3::bool, $4::numeric, $5::timestamptz, $6::int[], $7::text',
    values: [41, "it's", true, '1.10', new Date('2024-01-01T00:00:00Z'), [1, 2], null],
    rowMode: 'array',
  });
  assert.deepEqual(rows[0], [42, "it's", true, '1.10', new Date('2024-01-01T00:00:00Z'), [1, 2], null]);
  await client.end();
}

export async function a_named_statement_runs_many_times() { // prepared
  const client = await connected();
  for (let n = 0; n < 20; n += 1) {
    const { rows } = await client.query({ name: 'double', text: 'SELECT $1::int * 2 AS n', values: [n] });
    assert.deepEqual(rows, [{ n: n * 2 }]);
  }
  await client.end();
}

export async function the_history_is_counted() { // queries
  const client = await connected();
  const { rows } = await client.query('SELECT count(*) AS n FROM interactions');
  assert.deepEqual(rows, [{ n: '2000' }]);
  await client.end();
}

export async function a_pool_serves_many_at_once() { // pools
  const pool = new pg.Pool({ max: 4 });
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.query('SELECT $1::int AS n', [n])));
  assert.deepEqual(answers.map((a) => a.rows[0].n), Array.from({ length: 20 }, (_, n) => n));
  await pool.end();
}

export async function an_error_has_its_code_and_place() { // errors
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

export async function a_statement_timeout_ends_the_work() { // timeout
  const client = await connected({ statement_timeout: 400 });
  assert.equal((await rejection(client.query(endless))).code, '57014');
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}

export async function several_statements_give_several_results() { // several
  const client = await connected();
  const results = await client.query('SELECT 1 AS a; SELECT 2 AS b');
  assert.deepEqual(results.map((r) => r.rows[0]), [{ a: 1 }, { b: 2 }]);
  await client.end();
}

export async function tls_is_verified() { // tls
  const client = await connected({ ssl: { ca: readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } });
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}

export async function a_stranger_s_certificate_is_not_trusted() { // tls
  const error = await rejection(connected({ ssl: { rejectUnauthorized: true } }));
  assert.match(error.code, /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET/);
}

export async function columns_are_described() { // metadata
  const client = await connected();
  const { fields } = await client.query('SELECT e.*, 1 AS one, count(*) OVER () FROM every_type e WHERE id < 0');
  await client.end();
  return JSON.stringify(fields.map((f) => [f.name, f.dataTypeID, f.dataTypeSize, f.dataTypeModifier, f.columnID]));
}

export async function changed_rows_are_counted_and_returned() { // writing
  const client = await connected();
  await client.query('CREATE TABLE n_counts (a int, b text)');
  assert.equal((await client.query("INSERT INTO n_counts VALUES ($1, $2), (2, 'y')", [1, 'x'])).rowCount, 2);
  const changed = await client.query('UPDATE n_counts SET b = $1 WHERE a = $2 RETURNING a, b', ['z', 2]);
  assert.deepEqual([changed.command, changed.rowCount, changed.rows], ['UPDATE', 1, [{ a: 2, b: 'z' }]]);
  assert.equal((await client.query('DELETE FROM n_counts')).rowCount, 2);
  await client.query('DROP TABLE n_counts');
  await client.end();
}

export async function tables_are_made_changed_and_dropped() { // definitions
  const client = await connected();
  await client.query('CREATE TABLE n_changed (a int)');
  await client.query('ALTER TABLE n_changed ADD COLUMN b text');
  assert.deepEqual((await client.query('SELECT * FROM n_changed')).fields.map((f) => f.name), ['a', 'b']);
  await client.query('DROP TABLE n_changed');
  assert.equal((await rejection(client.query('SELECT * FROM n_changed'))).code, '42P01');
  await client.end();
}

export async function a_temporary_table_is_of_the_session() { // temporary
  const client = await connected();
  const other = await connected();
  await client.query('CREATE TEMPORARY TABLE n_temporary (a int)');
  await client.query('INSERT INTO n_temporary VALUES ($1), (2)', [1]);
  assert.deepEqual((await client.query('SELECT sum(a)::int AS n FROM n_temporary')).rows, [{ n: 3 }]);
  assert.equal((await rejection(other.query('SELECT * FROM n_temporary'))).code, '42P01');
  await client.end();
  await other.end();
}

export async function a_transaction_and_its_savepoint_are_rolled_back() { // transactions
  const client = await connected();
  await client.query('CREATE TABLE n_rolled (a int)');
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('INSERT INTO n_rolled VALUES (1)');
  await client.query('SAVEPOINT here');
  assert.equal((await rejection(client.query('SELECT 1/0'))).code, '22012');
  assert.equal((await rejection(client.query('SELECT 1'))).code, '25P02');
  await client.query('ROLLBACK TO SAVEPOINT here');
  await client.query('COMMIT');
  await client.query('BEGIN');
  await client.query('INSERT INTO n_rolled VALUES (2)');
  await client.query('ROLLBACK');
  assert.deepEqual((await client.query('SELECT * FROM n_rolled')).rows, [{ a: 1 }]);
  await client.query('DROP TABLE n_rolled');
  await client.end();
}

export async function notices_are_told() { // notices
  const client = await connected();
  const told = [];
  client.on('notice', (notice) => told.push([notice.severity, notice.code, notice.message]));
  await client.query('DROP TABLE IF EXISTS n_nowhere');
  assert.deepEqual(told, [['NOTICE', '00000', 'table "n_nowhere" does not exist, skipping']]);
  await client.end();
}

export async function cancel_stops_the_work() { // cancel
  const client = await connected();
  const query = new pg.Query(endless);
  const failed = new Promise((resolve) => { query.on('error', resolve); });
  client.query(query);
  setTimeout(() => new pg.Client().cancel(client, query), 500);
  assert.equal((await failed).code, '57014');
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await client.end();
}

export async function settings_hold() { // settings
  const client = await connected({ options: '-c TimeZone=Asia/Tokyo', application_name: 'a check' });
  const { rows } = await client.query("SELECT current_setting('TimeZone') AS zone, current_setting('application_name') AS name");
  assert.deepEqual(rows, [{ zone: 'Asia/Tokyo', name: 'a check' }]);
  await client.end();
}
