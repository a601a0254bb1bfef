// knex: the query and schema builder of many services, over pg.
import assert from 'node:assert/strict';
import { module, rejection } from '../server.mjs';

const knex = module('knex');

async function _with(check) {
  const db = knex({
    client: 'pg',
    connection: {
      host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, password: process.env.PGPASSWORD,
      database: process.env.PGDATABASE, options: '-c TimeZone=UTC',
    },
    pool: { min: 0, max: 3 },
  });
  try {
    return await check(db);
  } finally {
    await db.destroy();
  }
}

export async function it_connects() {
  await _with(async (db) => assert.deepEqual((await db.raw('SELECT 1 AS one')).rows, [{ one: 1 }]));
}

export async function rows_are_selected() {
  await _with(async (db) => {
    assert.deepEqual(await db('shops').select('id', 'name').where({ region_id: 1 }).orderBy('id'),
      [{ id: 1, name: 'Harbour' }, { id: 2, name: 'Market' }]);
    assert.deepEqual(await db('shops').whereIn('id', [1, 2]).andWhere('area', '>', 100).first('name'), { name: 'Harbour' });
    assert.deepEqual(await db('shops').whereNull('opened').pluck('name'), ['Old Town']);
  });
}

export async function rows_are_joined_and_grouped() {
  return _with(async (db) => JSON.stringify(await db('sales').join('shops', 'shops.id', 'sales.shop_id').groupBy('shops.name')
    .select('shops.name').count({ n: '*' }).sum({ total: 'amount' }).avg({ mean: 'quantity' }).max({ last: 'sold_at' })
    .havingRaw('count(*) > ?', [10]).orderBy('shops.name')));
}

export async function pages_are_taken() {
  return _with(async (db) => JSON.stringify(await db('sales').orderBy('id', 'desc').limit(3).offset(5)));
}

export async function with_queries_and_unions_are_asked() {
  return _with(async (db) => JSON.stringify(await db.with('big', (q) => q.from('sales').where('amount', '>', 1240).select('shop_id'))
    .from('big').select('shop_id').union([db('shops').select('id').where('id', 3)]).orderBy('shop_id')));
}

export async function windows_are_asked() {
  return _with(async (db) => JSON.stringify(await db('shops').select('id').rank('r', 'area', 'region_id').orderBy('id')));
}

export async function tables_are_made_and_seen() {
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

export async function rows_are_inserted_changed_and_deleted() {
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

export async function an_insert_returns_its_row() {
  await _with(async (db) => {
    await db.schema.createTable('x_returning', (t) => { t.integer('a'); t.text('b'); });
    try {
      assert.deepEqual(await db('x_returning').insert({ a: 1, b: 'x' }, ['a', 'b']), [{ a: 1, b: 'x' }]);
    } finally {
      await db.schema.dropTable('x_returning');
    }
  });
}

export async function a_transaction_is_rolled_back() {
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

export async function errors_carry_their_sqlstate() {
  await _with(async (db) => {
    assert.equal((await rejection(db('nowhere').select())).code, '42P01');
    assert.equal((await rejection(db('shops').select('nothing'))).code, '42703');
  });
}
