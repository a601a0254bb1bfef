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

export async function it_logs_in() {
  await _with({}, async (sql) => assert.deepEqual([...await sql`SELECT 1 AS one, ${'zwei'}::text AS two`], [{ one: 1, two: 'zwei' }]));
}

export async function a_wrong_password_is_refused() {
  await _with({ password: 'wrong' }, async (sql) => assert.equal((await rejection(sql`SELECT 1`)).code, '28P01'));
}

export async function array_types_are_fetched() {
  await _with({ fetch_types: true }, async (sql) => {
    assert.deepEqual((await sql`SELECT ${[1, 2, 3]}::int[] AS a, ARRAY['x', 'y z'] AS b`)[0], { a: [1, 2, 3], b: ['x', 'y z'] });
  });
}

export async function rows_of_every_type_arrive() {
  return _with({}, async (sql) => JSON.stringify(await sql`SELECT * FROM every_type ORDER BY id`, null, 1));
}

export async function columns_are_described() {
  return _with({}, async (sql) => {
    const columns = await sql`SELECT e.*, 1 AS one, count(*) OVER () FROM every_type e`.describe();
    return JSON.stringify(columns.columns.map(({ name, type }) => [name, type]));
  });
}

export async function parameters_filter_a_scan() {
  await _with({}, async (sql) => {
    const [row] = await sql`SELECT count(*)::int AS n FROM sales WHERE shop_id = ${2} AND sold_at > ${new Date('2024-03-01T00:00:00Z')}
                            AND note LIKE ${'sale%'}`;
    assert.deepEqual(row, { n: 152 });
    assert.equal((await sql`SELECT id FROM shops WHERE id IN ${sql([1, 2, 9])}`).length, 2);
    assert.equal((await sql`SELECT id FROM shops WHERE id = ANY(${[1, 2, 9]})`).length, 2);
  });
}

export async function rows_are_inserted_by_object() {
  await _with({}, async (sql) => {
    await sql`CREATE TABLE m_objects (a int, b text)`;
    const done = await sql`INSERT INTO m_objects ${sql([{ a: 1, b: 'x' }, { a: 2, b: null }])}`;
    assert.equal(done.count, 2);
    assert.deepEqual([...await sql`SELECT * FROM m_objects ORDER BY a`], [{ a: 1, b: 'x' }, { a: 2, b: null }]);
    await sql`DROP TABLE m_objects`;
  });
}

export async function a_transaction_is_rolled_back() {
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

export async function a_cursor_reads_in_parts() {
  await _with({}, async (sql) => {
    const sizes = [];
    for await (const rows of sql`SELECT id FROM sales`.cursor(300)) sizes.push(rows.length);
    assert.deepEqual(sizes, [300, 300, 300, 100]);
  });
}

export async function a_cursor_can_be_left_early() {
  await _with({}, async (sql) => {
    for await (const rows of sql`SELECT a.source_id FROM interactions a, interactions b, interactions c`.cursor(10)) {
      assert.equal(rows.length, 10);
      break;
    }
    assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
  });
}

export async function copy_streams_out() {
  await _with({}, async (sql) => {
    const parts = [];
    for await (const part of await sql`COPY (SELECT id, name FROM regions ORDER BY id) TO STDOUT WITH (FORMAT csv)`.readable()) parts.push(part);
    assert.equal(Buffer.concat(parts).toString(), '1,North\n2,South\n3,Łódź\n');
  });
}

export async function copy_streams_in() {
  await _with({}, async (sql) => {
    await sql`CREATE TABLE m_copy (a int, b text)`;
    await pipeline(Readable.from(['1\tx\n', '2\t\\N\n']), await sql`COPY m_copy FROM STDIN`.writable());
    assert.deepEqual([...await sql`SELECT * FROM m_copy ORDER BY a`], [{ a: 1, b: 'x' }, { a: 2, b: null }]);
    await sql`DROP TABLE m_copy`;
  });
}

export async function cancel_stops_the_work() {
  await _with({}, async (sql) => {
    const query = sql.unsafe(endless);
    setTimeout(() => query.cancel(), 500);
    assert.equal((await rejection(query)).code, '57014');
    assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
  });
}

export async function many_queries_are_pipelined() {
  await _with({ max: 1 }, async (sql) => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => sql`SELECT ${n}::int AS n`));
    assert.deepEqual(answers.map((rows) => rows[0].n), Array.from({ length: 50 }, (_, n) => n));
  });
}

export async function an_error_in_a_pipeline_is_of_its_query() {
  await _with({ max: 1 }, async (sql) => {
    const answers = await Promise.allSettled([sql`SELECT 1 AS n`, sql`SELECT 1/${0}::int AS n`, sql`SELECT 3 AS n`]);
    assert.deepEqual(answers.map((a) => a.status), ['fulfilled', 'rejected', 'fulfilled']);
    assert.equal(answers[1].reason.code, '22012');
  });
}

export async function the_simple_protocol_takes_several_statements() {
  await _with({}, async (sql) => {
    const results = await sql`SELECT 1 AS a; SELECT 2 AS b`.simple();
    assert.deepEqual(results.map((rows) => ({ ...rows[0] })), [{ a: 1 }, { b: 2 }]);
  });
}

export async function tls_is_verified() {
  await _with({ ssl: { ca: readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } }, async (sql) => {
    assert.deepEqual([...await sql`SELECT 1 AS one`], [{ one: 1 }]);
  });
}
