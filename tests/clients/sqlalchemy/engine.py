"""SQLAlchemy on its three drivers: reflection, streaming, the Core and the ORM, pandas-like reading."""

import asyncio
import datetime
import decimal
import os
import ssl
import uuid

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from server import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, becomes_idle, raises, same

DRIVERS = ["psycopg", "psycopg2", "pg8000"]
D = decimal.Decimal


def _url(driver):
    return sa.URL.create(f"postgresql+{driver}", USER, PASSWORD, HOST, PORT, DATABASE)


def _engine(driver, **options):
    return sa.create_engine(_url(driver), **options)


def tls_is_verified():  # tls
    for driver in ("psycopg", "psycopg2"):
        engine = _engine(driver, connect_args={"sslmode": "verify-full"})
        with engine.connect() as c:
            raw = c.connection.driver_connection
            assert raw.pgconn.ssl_in_use if driver == "psycopg" else raw.info.ssl_in_use
            same(c.scalar(sa.text("SELECT 1")), 1)
        engine.dispose()
        stranger = _engine(driver, connect_args={"sslmode": "verify-full", "sslrootcert": "/nowhere"})
        raises(sa.exc.OperationalError, stranger.connect)
    trust = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    engine = _engine("pg8000", connect_args={"ssl_context": trust})
    with engine.connect() as c:
        same(c.scalar(sa.text("SELECT 1")), 1)
    engine.dispose()
    raises(ssl.SSLCertVerificationError, _engine("pg8000", connect_args={"ssl_context": ssl.create_default_context()}).connect)


def _each(check):
    """The check on every driver; what it returns must not depend on the driver."""
    answers = []
    for driver in DRIVERS:
        engine = _engine(driver)
        try:
            answers.append(check(engine))
        finally:
            engine.dispose()
        same((driver, answers[-1]), (driver, answers[0]))
    return answers[0]


def _sorted(value):
    """Dictionaries in one order, types by their words."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [_sorted(v) for v in value]
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def it_connects():  # connect
    def check(engine):
        with engine.connect() as c:
            same(c.scalar(sa.text("SELECT 1")), 1)
            assert engine.dialect.server_version_info >= (15,), engine.dialect.server_version_info
            same(engine.dialect.default_schema_name, "public")
    _each(check)


def a_wrong_password_is_refused():  # password
    for driver in DRIVERS:
        engine = sa.create_engine(_url(driver).set(password="wrong"))
        raises(sa.exc.DBAPIError, engine.connect)


def schemas_are_reflected():  # metadata
    def check(engine):
        names = sa.inspect(engine).get_schema_names()
        assert {"public", "staging", "information_schema"} <= set(names), names
    _each(check)


def tables_and_views_are_reflected():  # metadata
    def check(engine):
        inspector = sa.inspect(engine)
        assert {"interactions", "customers", "shops", "Odd Näme"} <= set(inspector.get_table_names())
        same(inspector.get_table_names(schema="staging"), ["arrivals"])
        assert "shop_totals" in inspector.get_view_names()
        assert inspector.has_table("shops") and not inspector.has_table("nowhere")
        assert inspector.has_table("arrivals", schema="staging") and inspector.has_table("shop_totals")
    _each(check)


def columns_are_reflected():  # metadata
    def check(engine):
        inspector = sa.inspect(engine)
        return "\n".join(str(_sorted(column)) for table in ["every_type", "shops", "shop_totals", "Odd Näme"]
                         for column in inspector.get_columns(table))
    return _each(check)


def keys_are_reflected():  # metadata
    def check(engine):
        inspector = sa.inspect(engine)
        lines = []
        for table in ["regions", "shops", "sales", "shop_days", "every_type"]:
            lines += [table, _sorted(inspector.get_pk_constraint(table)), _sorted(inspector.get_foreign_keys(table)),
                      _sorted(inspector.get_unique_constraints(table)), _sorted(inspector.get_check_constraints(table))]
        return "\n".join(map(str, lines))
    return _each(check)


def indexes_are_reflected():  # metadata
    def check(engine):
        return "\n".join(str(_sorted(index)) for index in sa.inspect(engine).get_indexes("regions"))
    return _each(check)


def comments_are_reflected():  # metadata
    def check(engine):
        inspector = sa.inspect(engine)
        return [inspector.get_table_comment("shops"), inspector.get_table_comment("sales"),
                inspector.get_table_comment("shop_totals")]
    return _each(check)


def a_view_s_text_is_reflected():  # metadata
    def check(engine):
        text = sa.inspect(engine).get_view_definition("shop_totals")
        assert "shops" in text and "sum" in text, text
    _each(check)


def everything_is_reflected_at_once():  # metadata
    def check(engine):
        metadata = sa.MetaData()
        metadata.reflect(engine, views=True)
        shops = metadata.tables["shops"]
        same(sorted(key.target_fullname for key in metadata.tables["sales"].foreign_keys), ["shops.id"])
        same([column.name for column in shops.primary_key], ["id"])
        assert "shop_totals" in metadata.tables
        with engine.connect() as c:
            return [tuple(row) for row in c.execute(sa.select(shops.c.name, shops.c.area).order_by(shops.c.id))]
    return _each(check)


def multi_reflection_takes_whole_schemas():  # metadata
    def check(engine):
        inspector = sa.inspect(engine)
        columns = inspector.get_multi_columns(schema="staging")
        same(list(columns), [("staging", "arrivals")])
        keys = inspector.get_multi_foreign_keys(filter_names=["sales", "shops"])
        same(sorted(keys), [(None, "sales"), (None, "shops")])
    _each(check)


def queries_of_the_core_are_answered():  # queries
    metadata = sa.MetaData()
    sales = sa.Table("sales", metadata, sa.Column("id", sa.BigInteger), sa.Column("shop_id", sa.Integer),
                     sa.Column("sold_at", sa.DateTime(timezone=True)), sa.Column("amount", sa.Numeric(12, 2)),
                     sa.Column("quantity", sa.Integer), sa.Column("note", sa.Text))
    shops = sa.Table("shops", metadata, sa.Column("id", sa.Integer), sa.Column("name", sa.String))
    month = sa.func.date_trunc("month", sales.c.sold_at)
    queries = [
        sa.select(shops.c.name, sa.func.sum(sales.c.amount).label("total")).join(sales, sales.c.shop_id == shops.c.id)
        .group_by(shops.c.name).having(sa.func.count() > 10).order_by(sa.desc("total")),
        sa.select(sa.cast(sa.extract("year", sales.c.sold_at), sa.Integer), sa.func.count()).group_by(sa.text("1")).order_by(sa.text("1")),
        sa.select(sa.func.count(sa.distinct(month))).where(sales.c.note.ilike("%SALE 1%")),
        sa.select(sales.c.id).where(sales.c.shop_id.in_([1, 2, 3]), sales.c.quantity.between(2, 3)).order_by(sales.c.id).limit(5).offset(3),
        sa.select(sa.case((sales.c.amount > 1000, "big"), else_="small").label("size"), sa.func.count()).group_by("size").order_by("size"),
        sa.select(sales.c.id, sa.func.row_number().over(partition_by=sales.c.shop_id, order_by=sales.c.id.desc()).label("n"))
        .order_by("n", sales.c.id).limit(6),
        sa.select(sa.func.coalesce(sales.c.note, "none"), sales.c.quantity / 2, sales.c.quantity % 3).where(sales.c.id == 10),
        sa.select(shops.c.name).where(sa.exists().where(sales.c.shop_id == shops.c.id, sales.c.amount > 1249)),
        sa.union_all(sa.select(shops.c.id), sa.select(sales.c.quantity).where(sales.c.id < 3)).order_by("id"),
        sa.select(sa.func.percentile_cont(0.5).within_group(sales.c.amount)),
        sa.select(sa.func.string_agg(shops.c.name, postgresql.aggregate_order_by(sa.literal(","), shops.c.id))),
    ]

    def check(engine):
        with engine.connect() as c:
            return "\n".join(str([tuple(row) for row in c.execute(query)]) for query in queries)
    return _each(check)


def values_travel_both_ways():  # types
    utc = datetime.timezone.utc

    def check(engine):
        with engine.connect() as c:
            for kind, value in [
                (sa.Boolean, True), (sa.Integer, -5), (sa.BigInteger, 2**62), (sa.Float, 0.5), (sa.Numeric(18, 4), D("12.3400")),
                (sa.Text, "Grüße, 漢字"), (sa.LargeBinary, b"\x00\xff"), (sa.Date, datetime.date(2024, 2, 29)),
                (sa.Time, datetime.time(1, 2, 3)), (sa.DateTime, datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
                (sa.DateTime(timezone=True), datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=utc)),
                (sa.Interval, datetime.timedelta(days=2, seconds=3)), (sa.Uuid, uuid.UUID(int=5)),
                (sa.JSON, {"a": [1, None]}), (postgresql.JSONB, {"b": 2}), (postgresql.ARRAY(sa.Integer), [1, 2]),
                (postgresql.ARRAY(sa.Text), ["a", None]),
            ]:
                same((kind, c.scalar(sa.select(sa.cast(sa.literal(value, kind), kind)))), (kind, value))
    _each(check)


def results_are_streamed():  # streaming, cursors
    for driver in ["psycopg", "psycopg2"]:
        engine = _engine(driver)
        with engine.connect() as c:
            result = c.execute(sa.text("SELECT id FROM sales ORDER BY id"), execution_options={"yield_per": 100})
            same([len(part) for part in result.partitions(100)], [100] * 10)
        engine.dispose()


def tables_are_made_filled_and_dropped():  # definitions
    def check(engine):
        metadata = sa.MetaData()
        made = sa.Table(f"a_made_{engine.dialect.driver}", metadata, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
                        sa.Column("name", sa.String(20), nullable=False, comment="a name"), sa.Column("price", sa.Numeric(10, 2)),
                        comment="a table")
        metadata.create_all(engine)
        metadata.create_all(engine)
        with engine.begin() as c:
            c.execute(sa.insert(made), [{"id": n, "name": f"n{n}", "price": D(n) / 4} for n in range(10)])
            c.execute(sa.update(made).where(made.c.id > 7).values(name="late"))
            c.execute(sa.delete(made).where(made.c.id == 0))
        with engine.connect() as c:
            same(tuple(c.execute(sa.select(sa.func.count(), sa.func.sum(made.c.price), sa.func.max(made.c.name))).one()),
                 (9, D("11.25"), "n7"))
        same(sa.inspect(engine).get_table_comment(made.name), {"text": "a table"})
        metadata.drop_all(engine)
        assert not sa.inspect(engine).has_table(made.name)
    _each(check)


def a_transaction_is_rolled_back():  # transactions
    def check(engine):
        with engine.connect() as c:
            c.execute(sa.text("CREATE TABLE a_rolled (a int)"))
            c.commit()
            c.execute(sa.text("INSERT INTO a_rolled VALUES (1)"))
            c.rollback()
            c.execute(sa.text("INSERT INTO a_rolled VALUES (2)"))
            with raises_nested(c):
                pass
            c.commit()
            same(c.scalar(sa.text("SELECT sum(a) FROM a_rolled")), 2)
            c.execute(sa.text("DROP TABLE a_rolled"))
            c.commit()

    class raises_nested:
        """A savepoint that is rolled back because of an error inside of it."""

        def __init__(self, c):
            self.c = c

        def __enter__(self):
            nested = self.c.begin_nested()
            raises(sa.exc.DBAPIError, self.c.execute, sa.text("SELECT 1/0"))
            nested.rollback()

        def __exit__(self, *_):
            pass

    _each(check)


def errors_carry_their_sqlstate():  # errors
    engine = _engine("psycopg")
    with engine.connect() as c:
        for sql, code in [("SELECT * FROM nowhere", "42P01"), ("SELECT nothing FROM shops", "42703"), ("SELECT 1/0", "22012")]:
            same(raises(sa.exc.DBAPIError, c.execute, sa.text(sql)).orig.sqlstate, code)
            c.rollback()
    engine.dispose()


def the_orm_loads_and_saves():  # queries
    class Base(orm.DeclarativeBase):
        pass

    class Region(Base):
        __tablename__ = "regions"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]
        shops: orm.Mapped[list["Shop"]] = orm.relationship(back_populates="region", order_by="Shop.id")

    class Shop(Base):
        __tablename__ = "shops"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        region_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("regions.id"))
        name: orm.Mapped[str]
        region: orm.Mapped[Region] = orm.relationship(back_populates="shops")

    def check(engine):
        with orm.Session(engine) as session:
            north = session.get(Region, 1)
            same([shop.name for shop in north.shops], ["Harbour", "Market"])
            joined = session.scalars(sa.select(Shop).options(orm.joinedload(Shop.region)).order_by(Shop.id)).all()
            same([shop.region.name for shop in joined], ["North", "North", "South", "South", "Łódź"])
            eager = session.scalars(sa.select(Region).options(orm.selectinload(Region.shops)).order_by(Region.id)).all()
            same([len(region.shops) for region in eager], [2, 2, 1])
    _each(check)


def an_identity_is_returned_after_insert():  # writing
    def check(engine):
        metadata = sa.MetaData()
        made = sa.Table(f"a_returning_{engine.dialect.driver}", metadata, sa.Column("id", sa.Integer), sa.Column("name", sa.Text))
        metadata.create_all(engine)
        try:
            with engine.begin() as c:
                same(c.execute(sa.insert(made).values(id=7, name="x").returning(made.c.id, made.c.name)).one(), (7, "x"))
        finally:
            metadata.drop_all(engine)
    _each(check)


def a_pool_is_reset_and_pre_pinged():  # pools
    def check(engine):
        pooled = sa.create_engine(engine.url, pool_size=2, pool_pre_ping=True)
        for _ in range(4):
            with pooled.connect() as c:
                same(c.scalar(sa.text("SELECT 1")), 1)
        pooled.dispose()
    _each(check)


def asyncpg_streams_through_it():  # streaming
    async def check():
        engine = create_async_engine(_url("asyncpg"))
        async with engine.connect() as c:
            same((await c.execute(sa.text("SELECT name FROM shops WHERE id = :id"), {"id": 1})).scalar(), "Harbour")
            seen = 0
            async for _ in await c.stream(sa.text("SELECT id FROM sales")):
                seen += 1
            same(seen, 1000)
            names = await c.run_sync(lambda sync: sa.inspect(sync).get_table_names(schema="staging"))
            same(names, ["arrivals"])
        await engine.dispose()
    asyncio.run(check())


def isolation_levels_are_set():  # transactions
    def check(engine):
        for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT"]:
            with engine.connect().execution_options(isolation_level=level) as c:
                same(c.scalar(sa.text("SELECT 1")), 1)
    _each(check)


def parameters_are_bound():  # parameters
    def check(engine):
        with engine.connect() as c:
            many = sa.text("SELECT id FROM shops WHERE id IN :ids AND name <> :name ORDER BY id")
            many = many.bindparams(sa.bindparam("ids", expanding=True))
            same([row.id for row in c.execute(many, {"ids": [1, 2, 3, 9], "name": "it's"})], [1, 2, 3])
            same([row.id for row in c.execute(many, {"ids": [], "name": "x"})], [])
            same(c.scalar(sa.text("SELECT count(*) FROM sales WHERE sold_at > :since AND shop_id = :shop"),
                          {"since": datetime.datetime(2024, 3, 1, tzinfo=datetime.timezone.utc), "shop": 2}), 152)
    _each(check)


def several_rows_are_inserted_at_once():  # several, writing
    def check(engine):
        metadata = sa.MetaData()
        made = sa.Table(f"a_many_{engine.dialect.driver}", metadata, sa.Column("id", sa.Integer), sa.Column("name", sa.Text))
        metadata.create_all(engine)
        try:
            with engine.begin() as c:
                rows = [{"id": n, "name": f"row {n}"} for n in range(50)]
                same(len(c.execute(sa.insert(made).returning(made.c.id), rows).all()), 50)
                same(c.execute(sa.update(made).where(made.c.id > 9).values(name="more")).rowcount, 40)
                same(c.execute(sa.delete(made).where(made.c.id < 10)).rowcount, 10)
        finally:
            metadata.drop_all(engine)
    _each(check)


def savepoints_are_nested_transactions():  # transactions
    def check(engine):
        with engine.connect() as c:
            with c.begin():
                inner = c.begin_nested()
                raises(sa.exc.DBAPIError, c.execute, sa.text("SELECT 1/0"))
                inner.rollback()
                same(c.scalar(sa.text("SELECT 1")), 1)
    _each(check)


def _temporary(c):
    made = sa.Table("a_temporary", sa.MetaData(), sa.Column("a", sa.Integer), prefixes=["TEMPORARY"])
    made.create(c)
    return made


def a_temporary_table_is_of_the_session():  # temporary
    def check(engine):
        with engine.connect() as c, engine.connect() as other:
            made = _temporary(c)
            c.execute(sa.insert(made), [{"a": 1}, {"a": 2}])
            same(c.scalar(sa.select(sa.func.sum(made.c.a))), 3)
            same(sa.inspect(other).has_table("a_temporary"), False)
    _each(check)


def a_temporary_table_is_reflected():  # temporary, metadata
    def check(engine):
        with engine.connect() as c:
            _temporary(c)
            same(sa.inspect(c).get_temp_table_names(), ["a_temporary"])
    _each(check)


def a_statement_timeout_ends_the_work():  # timeout, settings
    for driver in ("psycopg", "psycopg2"):
        engine = _engine(driver, connect_args={"options": "-c statement_timeout=300"})
        with engine.connect() as c:
            error = raises(sa.exc.DBAPIError, c.execute, sa.text(ENDLESS))
            same(getattr(error.orig, "sqlstate", None) or error.orig.pgcode, "57014")
            c.rollback()
            same(c.scalar(sa.text("SHOW statement_timeout")), "300ms")
        engine.dispose()
    becomes_idle()


def copy_goes_through_the_driver_s_connection():  # copy
    engine = _engine("psycopg")
    with engine.begin() as c:
        c.execute(sa.text("CREATE TEMPORARY TABLE a_copied (a int, b text)"))
        with c.connection.cursor() as cursor:
            with cursor.copy("COPY a_copied FROM STDIN") as copy:
                copy.write_row((1, "x"))
                copy.write_row((2, None))
        same([tuple(row) for row in c.execute(sa.text("SELECT * FROM a_copied ORDER BY a"))], [(1, "x"), (2, None)])
    engine.dispose()
