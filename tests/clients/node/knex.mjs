// knex: the query and schema builder of many services, over pg.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { endless, module, rejection } from '../server.mjs';

const knex = module('knex');

async function _with(check, more = {}) {
  const db = knex({
    client: 'pg',
    connection: {
      host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, password: process.env.PGPASSWORD,
      database: process.env.PGDATABASE, options: '-c TimeZone=UTC', ...more,
    },
    pool: { min: 0, max: 3 },
  });
  try {
    return await check(db);
  } finally {
    await db.destroy();
  }
}

export async function it_connects() { // connect
  await _with(async (db) => assert.deepEqual((await db.raw('SELECT 1 AS one')).rows, [{ one: 1 }]));
}

export async function rows_are_selected() { // queries
  await _with(async (db) => {
    assert.deepEqual(await db('shops').select('id', 'name').where({ region_id: 1 }).orderBy('id'),
      [{ id: 1, name: 'Harbour' }, { id: 2, name: 'Market' }]);
    assert.deepEqual(await db('shops').whereIn('id', [1, 2]).andWhere('area', '>', 100).first('name'), { name: 'Harbour' });
    assert.deepEqual(await db('shops').whereNull('opened').pluck('name'), ['Old Town']);
  });
}

export async function rows_are_joined_and_grouped() { // queries
  return _with(async (db) => JSON.stringify(await db('sales').join('shops', 'shops.id', 'sales.shop_id').groupBy('shops.name')
    .select('shops.name').count({ n: '*' }).sum({ total: 'amount' }).avg({ mean: 'quantity' }).max({ last: 'sold_at' })
    .havingRaw('count(*) > ?', [10]).orderBy('shops.name')));
}

export async function pages_are_taken() { // queries
  return _with(async (db) => JSON.stringify(await db('sales').orderBy('id', 'desc').limit(3).offset(5)));
}

export async function with_queries_and_unions_are_asked() { // queries
  return _with(async (db) => JSON.stringify(await db.with('big', (q) => q.from('sales').where('amount', '>', 1240).select('shop_id'))
    .from('big').select('shop_id').union([db('shops').select('id').where('id', 3)]).orderBy('shop_id')));
}

export async function windows_are_asked() { // queries
  return _with(async (db) => JSON.stringify(await db('shops').select('id').rank('r', 'area', 'region_id').orderBy('id')));
}

export async function tables_are_made_and_seen() { // definitions, metadata
  await _with(async (db) => {
    await db.schema.createTable('x_made', (t) => {
      t.integer('id').primary();
      t.string('name', 40).notNullable();
      t.decimal('price', 10, 2);
      t.timestamp('at');
      t.jsonb('about');
    });
    assert.equal(await db.schema.hasTable('x_made'), true);
    assert.equal(await db.schema.hasColumn('x_made', 'price'), true);
    const info = await db('x_made').columnInfo();
    assert.deepEqual(info.name, { type: 'character varying', maxLength: 40, nullable: false, defaultValue: null });
    await db.schema.alterTable('x_made', (t) => t.text('more'));
    assert.equal(await db.schema.hasColumn('x_made', 'more'), true);
    await db.schema.dropTable('x_made');
    assert.equal(await db.schema.hasTable('x_made'), false);
  });
}

export async function rows_are_inserted_changed_and_deleted() { // writing
  await _with(async (db) => {
    await db.schema.createTable('x_rows', (t) => { t.integer('a'); t.text('b'); });
    await db('x_rows').insert([{ a: 1, b: 'x' }, { a: 2, b: 'y' }, { a: 3 }]);
    assert.equal(await db('x_rows').where('a', '>', 1).update({ b: 'z' }), 2);
    assert.equal(await db('x_rows').where('a', 1).del(), 1);
    assert.deepEqual(await db('x_rows').orderBy('a'), [{ a: 2, b: 'z' }, { a: 3, b: 'z' }]);
    await db.batchInsert('x_rows', Array.from({ length: 60 }, (_, n) => ({ a: n + 10, b: `${n}` })), 20);
    assert.deepEqual(await db('x_rows').count({ n: '*' }), [{ n: '62' }]);
    await db.schema.dropTable('x_rows');
  });
}

export async function an_insert_returns_its_row() { // writing
  await _with(async (db) => {
    await db.schema.createTable('x_returning', (t) => { t.integer('a'); t.text('b'); });
    try {
      assert.deepEqual(await db('x_returning').insert({ a: 1, b: 'x' }, ['a', 'b']), [{ a: 1, b: 'x' }]);
    } finally {
      await db.schema.dropTable('x_returning');
    }
  });
}

export async function a_transaction_is_rolled_back() { // transactions
  await _with(async (db) => {
    await db.schema.createTable('x_rolled', (t) => t.integer('a'));
    await rejection(db.transaction(async (t) => {
      await t('x_rolled').insert({ a: 1 });
      throw new Error('no');
    }));
    await db.transaction((t) => t('x_rolled').insert({ a: 2 }));
    assert.deepEqual(await db('x_rolled'), [{ a: 2 }]);
    await db.schema.dropTable('x_rolled');
  });
}

export async function errors_carry_their_sqlstate() { // errors
  await _with(async (db) => {
    assert.equal((await rejection(db('nowhere').select())).code, '42P01');
    assert.equal((await rejection(db('shops').select('nothing'))).code, '42703');
  });
}

export async function tls_is_verified() { // tls
  const verified = { ssl: { ca: readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } };
  await _with(async (db) => {
    const connection = await db.client.acquireConnection();
    assert.equal(connection.connection.stream.encrypted, true);
    await db.client.releaseConnection(connection);
    assert.deepEqual((await db('pg_stat_ssl').select('ssl').whereRaw('pid = pg_backend_pid()')), [{ ssl: true }]);
  }, verified);
  await _with(async (db) => assert.match((await rejection(db.raw('SELECT 1'))).code, /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET/),
    { ssl: { rejectUnauthorized: true } });
}

export async function a_wrong_password_is_refused() { // password
  await _with(async (db) => assert.equal((await rejection(db.raw('SELECT 1'))).code, '28P01'), { password: 'wrong' });
}

export async function rows_of_every_type_arrive() { // types
  return _with(async (db) => JSON.stringify(await db('every_type').orderBy('id'), null, 1));
}

export async function bindings_are_taken() { // parameters
  await _with(async (db) => {
    const { rows } = await db.raw('SELECT ?::int + 1 AS n, ?::text AS t, ?? FROM shops WHERE id = ?', [41, "it's", 'name', 3]);
    assert.deepEqual(rows, [{ n: 42, t: "it's", name: 'Station' }]);
    assert.deepEqual(await db('sales').where('sold_at', '>', new Date('2024-03-01T00:00:00Z')).where({ shop_id: 2 })
      .whereLike('note', 'sale%').count({ n: '*' }), [{ n: '152' }]);
  });
}

export async function several_statements_give_several_results() { // several
  await _with(async (db) => assert.deepEqual((await db.raw('SELECT 1 AS a; SELECT 2 AS b')).map((r) => r.rows[0]), [{ a: 1 }, { b: 2 }]));
}

export async function a_savepoint_is_rolled_back() { // transactions
  await _with(async (db) => {
    await db.schema.createTable('x_nested', (t) => t.integer('a'));
    await db.transaction(async (outer) => {
      await outer('x_nested').insert({ a: 1 });
      await rejection(outer.transaction(async (inner) => {
        await inner('x_nested').insert({ a: 2 });
        await inner.raw('SELECT 1/0');
      }));
      await outer('x_nested').insert({ a: 4 });
    }, { isolationLevel: 'repeatable read' });
    assert.deepEqual(await db('x_nested').sum({ n: 'a' }), [{ n: '5' }]);
    await db.schema.dropTable('x_nested');
  });
}

export async function a_temporary_table_is_of_the_transaction() { // temporary
  await _with(async (db) => {
    await db.transaction(async (t) => {
      await t.raw('CREATE TEMPORARY TABLE x_temporary (a int) ON COMMIT DROP');
      await t('x_temporary').insert([{ a: 1 }, { a: 2 }]);
      assert.deepEqual(await t('x_temporary').sum({ n: 'a' }), [{ n: '3' }]);
    });
    assert.equal((await rejection(db('x_temporary'))).code, '42P01');
  });
}

export async function a_timeout_cancels_the_work() { // timeout, cancel
  await _with(async (db) => {
    const error = await rejection(db.raw(endless).timeout(500, { cancel: true }));
    assert.match(error.message, /Defined query timeout of 500ms exceeded/);
    assert.deepEqual((await db.raw('SELECT 1 AS one')).rows, [{ one: 1 }]);
  });
}

export async function settings_hold() { // settings
  await _with(async (db) => assert.deepEqual((await db.raw('SHOW TimeZone')).rows, [{ TimeZone: 'Asia/Tokyo' }]),
    { options: '-c TimeZone=Asia/Tokyo' });
}

export async function a_pool_serves_many_at_once() { // pools
  await _with(async (db) => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => db.raw('SELECT ?::int AS n', [n])));
    assert.deepEqual(answers.map((a) => a.rows[0].n), Array.from({ length: 20 }, (_, n) => n));
  });
}
