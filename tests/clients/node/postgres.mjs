// postgres.js: types fetched from the catalogue, pipelined prepared statements, cursors, COPY streams.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { endless, module, rejection } from '../server.mjs';

const postgres = module('postgres');

async function _with(options, check) {
  const sql = postgres({ max: 2, onnotice: () => {}, connection: { TimeZone: 'UTC' }, ...options });
  try {
    return await check(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

export async function it_logs_in() { // connect
  await _with({}, async (sql) => assert.deepEqual([...await sql`SELECT 1 AS one, ${'zwei'}::text AS two`], [{ one: 1, two: 'zwei' }]));
}

export async function a_wrong_password_is_refused() { // password
  await _with({ password: 'wrong' }, async (sql) => assert.equal((await rejection(sql`SELECT 1`)).code, '28P01'));
}

export async function array_types_are_fetched() { // types
  await _with({ fetch_types: true }, async (sql) => {
    assert.deepEqual((await sql`SELECT ${[1, 2, 3]}::int[] AS a, ARRAY['x', 'y z'] AS b`)[0], { a: [1, 2, 3], b: ['x', 'y z'] });
  });
}

export async function rows_of_every_type_arrive() { // types
  return _with({}, async (sql) => JSON.stringify(await sql`SELECT * FROM every_type ORDER BY id`, null, 1));
}

export async function columns_are_described() { // metadata
  return _with({}, async (sql) => {
    const columns = await sql`SELECT e.*, 1 AS one, count(*) OVER () FROM every_type e`.describe();
    return JSON.stringify(columns.columns.map(({ name, type }) => [name, type]));
  });
}

export async function parameters_filter_a_scan() { // parameters
  await _with({}, async (sql) => {
    const [row] = await sql`SELECT count(*)::int AS n FROM sales WHERE shop_id = ${2} AND sold_at > ${new Date('2024-03-01T00:00:00Z')}
                            AND note LIKE ${'sale%'}`;
    assert.deepEqual(row, { n: 152 });
    assert.equal((await sql`SELECT id FROM shops WHERE id IN ${sql([1, 2, 9])}`).length, 2);
    assert.equal((await sql`SELECT id FROM shops WHERE id = ANY(${[1, 2, 9]})`).length, 2);
  });
}

export async function rows_are_inserted_by_object() { // writing
  await _with({}, async (sql) => {
    await sql`CREATE TABLE m_objects (a int, b text)`;
    const done = await sql`INSERT INTO m_objects ${sql([{ a: 1, b: 'x' }, { a: 2, b: null }])}`;
    assert.equal(done.count, 2);
    assert.deepEqual([...await sql`SELECT * FROM m_objects ORDER BY a`], [{ a: 1, b: 'x' }, { a: 2, b: null }]);
    await sql`DROP TABLE m_objects`;
  });
}

export async function a_transaction_is_rolled_back() { // transactions
  await _with({}, async (sql) => {
    await sql`CREATE TABLE m_rolled (a int)`;
    await rejection(sql.begin(async (t) => {
      await t`INSERT INTO m_rolled VALUES (1)`;
      throw new Error('no');
    }));
    await sql.begin(async (t) => {
      await t`INSERT INTO m_rolled VALUES (2)`;
      await t.savepoint((s) => s`SELECT 1/0`).catch(() => {});
      await t`INSERT INTO m_rolled VALUES (3)`;
    });
    assert.deepEqual((await sql`SELECT sum(a)::int AS n FROM m_rolled`)[0], { n: 5 });
    await sql`DROP TABLE m_rolled`;
  });
}

export async function a_cursor_reads_in_parts() { // cursors, streaming
  await _with({}, async (sql) => {
    const sizes = [];
    for await (const rows of sql`SELECT id FROM sales`.cursor(300)) sizes.push(rows.length);
    assert.deepEqual(sizes, [300, 300, 300, 100]);
  });
}

export async function a_cursor_can_be_left_early() { // cursors
  await _with({}, async (sql) => {
    for await (const rows of sql`SELECT a.source_id FROM interactions a, interactions b, interactions c`.cursor(10)) {
      assert.equal(rows.length, 10);
      break;
    }
    assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
  });
}

export async function copy_streams_out() { // copy
  await _with({}, async (sql) => {
    const parts = [];
    for await (const part of await sql`COPY (SELECT id, name FROM regions ORDER BY id) TO STDOUT WITH (FORMAT csv)`.readable()) parts.push(part);
    assert.equal(Buffer.concat(parts).toString(), '1,North\n2,South\n3,Łódź\n');
  });
}

export async function copy_streams_in() { // copy
  await _with({}, async (sql) => {
    await sql`CREATE TABLE m_copy (a int, b text)`;
    await pipeline(Readable.from(['1\tx\n', '2\t\\N\n']), await sql`COPY m_copy FROM STDIN`.writable());
    assert.deepEqual([...await sql`SELECT * FROM m_copy ORDER BY a`], [{ a: 1, b: 'x' }, { a: 2, b: null }]);
    await sql`DROP TABLE m_copy`;
  });
}

export async function cancel_stops_the_work() { // cancel
  await _with({}, async (sql) => {
    const query = sql.unsafe(endless);
    setTimeout(() => query.cancel(), 500);
    assert.equal((await rejection(query)).code, '57014');
    assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
  });
}

export async function many_queries_are_pipelined() { // several
  await _with({ max: 1 }, async (sql) => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => sql`SELECT ${n}::int AS n`));
    assert.deepEqual(answers.map((rows) => rows[0].n), Array.from({ length: 50 }, (_, n) => n));
  });
}

export async function an_error_in_a_pipeline_is_of_its_query() { // several, errors
  await _with({ max: 1 }, async (sql) => {
    const answers = await Promise.allSettled([sql`SELECT 1 AS n`, sql`SELECT 1/${0}::int AS n`, sql`SELECT 3 AS n`]);
    assert.deepEqual(answers.map((a) => a.status), ['fulfilled', 'rejected', 'fulfilled']);
    assert.equal(answers[1].reason.code, '22012');
  });
}

export async function the_simple_protocol_takes_several_statements() { // several
  await _with({}, async (sql) => {
    const results = await sql`SELECT 1 AS a; SELECT 2 AS b`.simple();
    assert.deepEqual(results.map((rows) => ({ ...rows[0] })), [{ a: 1 }, { b: 2 }]);
  });
}

export async function tls_is_verified() { // tls
  await _with({ ssl: { ca: readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } }, async (sql) => {
    assert.deepEqual([...await sql`SELECT 1 AS one`], [{ one: 1 }]);
  });
}

export async function a_stranger_s_certificate_is_not_trusted() { // tls
  await _with({ ssl: { rejectUnauthorized: true } }, async (sql) => {
    assert.match((await rejection(sql`SELECT 1`)).code, /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET/);
  });
}

export async function a_prepared_statement_runs_many_times() { // prepared
  await _with({ max: 1, prepare: true }, async (sql) => {
    for (let n = 0; n < 8; n += 1) assert.deepEqual((await sql`SELECT ${n}::int * 2 AS n`)[0], { n: n * 2 });
    const [{ n }] = await sql`SELECT count(*)::int AS n FROM pg_prepared_statements WHERE statement LIKE '%* 2 AS n'`;
    assert.equal(n, 1);
  });
}

export async function queries_are_built_of_fragments() { // queries
  return _with({}, async (sql) => JSON.stringify(await sql`SELECT ${sql(['shop_id', 'quantity'])}, count(*) FROM sales
    ${sql`WHERE quantity IN ${sql([1, 2])}`} GROUP BY ${sql('shop_id')}, quantity ORDER BY shop_id, quantity`));
}

export async function tables_are_made_changed_and_dropped() { // definitions
  await _with({}, async (sql) => {
    await sql`CREATE TABLE m_changed (a int)`;
    await sql`ALTER TABLE m_changed ADD COLUMN b text`;
    assert.deepEqual((await sql`SELECT * FROM m_changed`).columns.map((c) => c.name), ['a', 'b']);
    await sql`DROP TABLE m_changed`;
    assert.equal((await rejection(sql`SELECT * FROM m_changed`)).code, '42P01');
  });
}

export async function a_temporary_table_is_of_the_session() { // temporary
  await _with({ max: 1 }, async (sql) => {
    await sql`CREATE TEMPORARY TABLE m_temporary (a int)`;
    await sql`INSERT INTO m_temporary ${sql([{ a: 1 }, { a: 2 }])}`;
    assert.deepEqual((await sql`SELECT sum(a)::int AS n FROM m_temporary`)[0], { n: 3 });
    await _with({}, async (other) => assert.equal((await rejection(other`SELECT * FROM m_temporary`)).code, '42P01'));
  });
}

export async function errors_carry_their_sqlstate() { // errors
  await _with({}, async (sql) => {
    const error = await rejection(sql`SELECT nothing FROM shops`);
    assert.deepEqual([error.code, error.severity, error.position], ['42703', 'ERROR', '8']);
    assert.equal((await rejection(sql`SELECT * FROM nowhere`)).code, '42P01');
    assert.equal((await rejection(sql`SELECT ${'x'}::text::int`)).code, '22P02');
    assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
  });
}

export async function notices_are_told() { // notices
  const told = [];
  await _with({ onnotice: (notice) => told.push([notice.severity, notice.message]) }, (sql) => sql`DROP TABLE IF EXISTS m_nowhere`);
  assert.deepEqual(told, [['NOTICE', 'table "m_nowhere" does not exist, skipping']]);
}

export async function a_statement_timeout_ends_the_work() { // timeout
  await _with({ connection: { statement_timeout: 400 } }, async (sql) => {
    assert.equal((await rejection(sql.unsafe(endless))).code, '57014');
    assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
  });
}

export async function settings_hold() { // settings
  const told = {};
  const options = { connection: { TimeZone: 'Asia/Tokyo', application_name: 'a check' }, onparameter: (name, value) => { told[name] = value; } };
  await _with(options, async (sql) => {
    assert.deepEqual({ ...(await sql`SELECT current_setting('TimeZone') AS zone, current_setting('application_name') AS name`)[0] },
      { zone: 'Asia/Tokyo', name: 'a check' });
  });
  assert.equal(told.TimeZone, 'Asia/Tokyo');
}

export async function a_pool_serves_many_at_once() { // pools
  await _with({ max: 4 }, async (sql) => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => sql`SELECT ${n}::int AS n, pg_backend_pid() AS pid`));
    assert.deepEqual(answers.map(([row]) => row.n), Array.from({ length: 20 }, (_, n) => n));
    const reserved = await sql.reserve();
    assert.equal((await reserved`SELECT 1 AS one`)[0].one, 1);
    reserved.release();
  });
}
