"""GRANT and REVOKE: what a role may read and write, in every place that a statement can stand."""

import psycopg
from psycopg import errors

from server import ENGINE, raises, same, skip


def _admin():
    """Who may make roles: in Rapport an admin."""
    if ENGINE == "postgres":
        return psycopg.connect(autocommit=True)
    return psycopg.connect(user="admin", autocommit=True)


class _Roles:
    """Two new roles, and a table of the first."""

    def __init__(self, name):
        self.owner, self.reader, self.table = f"{name}_owner", f"{name}_reader", f"{name}_t"

    def __enter__(self):
        with _admin() as c:
            for role in (self.owner, self.reader):
                c.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'a long password'")
            c.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {self.owner}")
            c.execute(f"GRANT USAGE ON SCHEMA public TO {self.reader}")
        self.own = psycopg.connect(user=self.owner, password="a long password", autocommit=True)
        self.read = psycopg.connect(user=self.reader, password="a long password", autocommit=True)
        self.own.execute(f"CREATE TABLE {self.table} (a integer, b text, c integer)")
        self.own.execute(f"INSERT INTO {self.table} VALUES (1, 'one', 10), (2, 'two', 20)")
        return self

    def __exit__(self, *_):
        self.own.execute(f"DROP TABLE IF EXISTS {self.table} CASCADE")
        self.own.close()
        self.read.close()
        with _admin() as c:
            for role in (self.owner, self.reader):
                c.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
                c.execute(f"DROP ROLE {role}")

    def grant(self, what):
        self.own.execute(f"GRANT {what} TO {self.reader}")

    def revoke(self, what):
        self.own.execute(f"REVOKE {what} FROM {self.reader}")

    def may(self, sql, expected=None):
        found = self.read.execute(sql.replace("@", self.table))
        if expected is not None:
            same(found.fetchall(), expected)

    def may_not(self, sql, about=None):
        error = raises(errors.InsufficientPrivilege, self.read.execute, sql.replace("@", self.table))
        same(error.diag.message_primary, f"permission denied for {about or 'table ' + self.table}")


def a_table_is_its_owners_alone():  # privileges
    with _Roles("alone") as r:
        for sql in ("SELECT a FROM @", "SELECT count(*) FROM @", "TABLE @", "INSERT INTO @ VALUES (3)",
                    "UPDATE @ SET a = 1", "DELETE FROM @", "TRUNCATE @", "COPY @ TO STDOUT",
                    "SELECT 1 WHERE EXISTS (SELECT FROM @)"):
            if "FROM @)" in sql and ENGINE == "rapport":
                sql = sql.replace("SELECT FROM", "SELECT 1 FROM")
            r.may_not(sql)


def a_grant_and_a_revoke_take_effect_at_once():  # privileges
    with _Roles("at_once") as r:
        for _ in range(3):
            r.grant(f"SELECT ON {r.table}")
            r.may("SELECT a FROM @ ORDER BY a", [(1,), (2,)])
            r.revoke(f"SELECT ON {r.table}")
            r.may_not("SELECT a FROM @ ORDER BY a")


def a_prepared_statement_asks_again():  # privileges, prepared
    with _Roles("prepared") as r:
        r.grant(f"SELECT ON {r.table}")
        for _ in range(8):
            same(r.read.execute(f"SELECT a FROM {r.table} WHERE a = %s", (1,), prepare=True).fetchall(), [(1,)])
        r.revoke(f"SELECT ON {r.table}")
        raises(errors.InsufficientPrivilege, r.read.execute, f"SELECT a FROM {r.table} WHERE a = %s", (1,), prepare=True)


def columns_are_granted_one_by_one():  # privileges
    with _Roles("columns") as r:
        r.grant(f"SELECT (a) ON {r.table}")
        r.may("SELECT a FROM @ ORDER BY a", [(1,), (2,)])
        r.may("SELECT count(*) FROM @", [(2,)])
        r.may("SELECT x.a + 1 FROM @ x ORDER BY 1", [(2,), (3,)])
        r.may("WITH q AS (SELECT a FROM @) SELECT sum(a)::int FROM q", [(3,)])
        for sql in ("SELECT b FROM @", "SELECT * FROM @", "SELECT a FROM @ WHERE c = 10", "SELECT a FROM @ ORDER BY b",
                    "SELECT count(b) FROM @", "SELECT 1 FROM (SELECT b FROM @) x", "SELECT (SELECT max(c) FROM @)",
                    "WITH q AS (SELECT b FROM @) SELECT 1 FROM q", "SELECT x.a FROM @ x JOIN @ y ON x.c = y.c",
                    "SELECT a FROM @ GROUP BY a HAVING max(c) > 0", "COPY @ TO STDOUT",
                    "SELECT a FROM @ x WHERE EXISTS (SELECT 1 FROM @ y WHERE y.a = x.c)",
                    "SELECT a FROM @ UNION ALL SELECT c FROM @", "SELECT row_number() OVER (ORDER BY c) FROM @"):
            r.may_not(sql)


def writing_has_its_own_privileges():  # privileges
    with _Roles("writing") as r:
        r.grant(f"INSERT (a, b), UPDATE (b), SELECT (a) ON {r.table}")
        r.may("INSERT INTO @ (a, b) VALUES (3, 'three')")
        r.may_not("INSERT INTO @ (a, c) VALUES (3, 3)")
        r.may_not("INSERT INTO @ VALUES (3, 'three', 3)")
        r.may("UPDATE @ SET b = 'x' WHERE a = 1")
        r.may_not("UPDATE @ SET a = 1")
        r.may_not("UPDATE @ SET b = 'x' WHERE c = 10")
        r.may_not("UPDATE @ SET b = b || 'x'")
        r.may_not("DELETE FROM @ WHERE a = 1")
        r.grant(f"DELETE ON {r.table}")
        r.may("DELETE FROM @ WHERE a = 3")
        r.may_not("DELETE FROM @ WHERE c = 10")
        r.may_not("TRUNCATE @")
        r.grant(f"TRUNCATE ON {r.table}")
        r.may("TRUNCATE @")
        r.may("SELECT count(*) FROM @", [(0,)])


def rows_are_copied_only_into_granted_columns():  # privileges, copy
    with _Roles("copying") as r:
        r.grant(f"INSERT (a), SELECT (a) ON {r.table}")
        with r.read.cursor() as cursor:
            with cursor.copy(f"COPY {r.table} (a) FROM STDIN") as copy:
                copy.write("7\n")
        r.may("SELECT max(a) FROM @", [(7,)])

        def all_columns():
            with r.read.cursor() as cursor, cursor.copy(f"COPY {r.table} FROM STDIN") as copy:
                copy.write("7\t8\t9\n")

        raises(errors.InsufficientPrivilege, all_columns)


def a_view_reads_with_its_owners_rights():  # privileges
    with _Roles("viewing") as r:
        r.own.execute(f"CREATE VIEW {r.table}_v AS SELECT a, c FROM {r.table}")
        r.may_not("SELECT a FROM @_v", f"view {r.table}_v")
        r.grant(f"SELECT ON {r.table}_v")
        r.may("SELECT c FROM @_v ORDER BY c", [(10,), (20,)])
        r.may_not("SELECT c FROM @")
        r.revoke(f"SELECT ON {r.table}_v")
        r.grant(f"SELECT (a) ON {r.table}_v")
        r.may("SELECT a FROM @_v ORDER BY a", [(1,), (2,)])
        r.may_not("SELECT c FROM @_v", f"view {r.table}_v")
        r.may_not("SELECT * FROM @_v", f"view {r.table}_v")


def a_cursor_is_checked_when_it_is_declared():  # privileges, cursors
    with _Roles("declaring") as r:
        r.read.autocommit = False
        r.may_not("DECLARE c CURSOR FOR SELECT a FROM @")
        r.read.rollback()
        r.grant(f"SELECT ON {r.table}")
        r.may("DECLARE c CURSOR FOR SELECT a FROM @ ORDER BY a")
        r.may("FETCH ALL FROM c", [(1,), (2,)])
        r.read.rollback()
        r.read.autocommit = True


def older_versions_are_no_way_around():  # privileges
    if ENGINE != "rapport":
        skip("PostgreSQL has no versions")
    with _Roles("versions") as r:
        r.may_not("SELECT a FROM @ VERSION AS OF 1")
        r.grant(f"SELECT (a) ON {r.table}")
        r.may("SELECT a FROM @ VERSION AS OF 1 ORDER BY a", [(1,), (2,)])
        r.may_not("SELECT b FROM @ VERSION AS OF 1")


def groups_and_public_hand_on():  # privileges
    with _Roles("handing") as r, _admin() as admin:
        admin.execute("CREATE ROLE handing_group")
        try:
            r.own.execute(f"GRANT SELECT ON {r.table} TO handing_group")
            r.may_not("SELECT a FROM @")
            admin.execute(f"GRANT handing_group TO {r.reader}")
            r.may("SELECT count(*) FROM @", [(2,)])
            admin.execute(f"REVOKE handing_group FROM {r.reader}")
            r.may_not("SELECT a FROM @")
            r.own.execute(f"GRANT SELECT ON {r.table} TO PUBLIC")
            r.may("SELECT count(*) FROM @", [(2,)])
            r.own.execute(f"REVOKE ALL ON {r.table} FROM PUBLIC, handing_group")
        finally:
            admin.execute("DROP ROLE handing_group")


def a_schema_must_be_usable_too():  # privileges
    with _Roles("schemas") as r, _admin() as admin:
        database = r.own.info.dbname
        admin.execute(f'GRANT CREATE ON DATABASE "{database}" TO {r.owner}')
        r.own.execute("CREATE SCHEMA schemas_s")
        try:
            r.own.execute("CREATE TABLE schemas_s.inner_t (a integer)")
            r.own.execute(f"GRANT SELECT ON schemas_s.inner_t TO {r.reader}")
            r.may_not("SELECT a FROM schemas_s.inner_t", "schema schemas_s")
            r.grant("USAGE ON SCHEMA schemas_s")
            r.may("SELECT a FROM schemas_s.inner_t", [])
            r.own.execute("CREATE TABLE schemas_s.other_t (a integer)")
            r.may_not("SELECT a FROM schemas_s.other_t", "table other_t")
            r.grant("SELECT ON ALL TABLES IN SCHEMA schemas_s")
            r.may("SELECT a FROM schemas_s.other_t", [])
            r.own.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA schemas_s GRANT SELECT ON TABLES TO {r.reader}")
            r.own.execute("CREATE TABLE schemas_s.later_t (a integer)")
            r.may("SELECT a FROM schemas_s.later_t", [])
        finally:
            r.own.execute("DROP SCHEMA schemas_s CASCADE")
            r.own.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM {r.reader}")
            admin.execute(f'REVOKE CREATE ON DATABASE "{database}" FROM {r.owner}')


def a_role_is_shown_what_it_may_see():  # privileges
    with _Roles("seeing") as r:
        columns = f"SELECT column_name::text FROM information_schema.columns WHERE table_name = '{r.table}' ORDER BY 1"
        tables = f"SELECT count(*) FROM information_schema.tables WHERE table_name = '{r.table}'"
        r.may(columns, [])
        r.may(tables, [(0,)])
        r.grant(f"SELECT (a, c) ON {r.table}")
        r.may(columns, [("a",), ("c",)])
        r.may(tables, [(1,)])


def only_its_owner_changes_a_table():  # privileges
    with _Roles("owning") as r:
        for sql in (f"DROP TABLE {r.table}", f"COMMENT ON TABLE {r.table} IS 'mine'",
                    f"ALTER TABLE {r.table} ADD COLUMN d integer"):
            error = raises(errors.InsufficientPrivilege, r.read.execute, sql)
            same(error.diag.message_primary, f"must be owner of table {r.table}")
        raises(errors.InsufficientPrivilege, r.read.execute, f"GRANT SELECT ON {r.table} TO {r.reader}")


def a_new_owner_takes_a_view_with_his_own_rights():  # privileges
    with _Roles("giving") as r, _admin() as admin:
        admin.execute(f"GRANT {r.reader} TO {r.owner}")
        admin.execute(f"GRANT CREATE ON SCHEMA public TO {r.reader}")
        r.own.execute(f"CREATE VIEW {r.table}_v AS SELECT a FROM {r.table}")
        r.own.execute(f"ALTER VIEW {r.table}_v OWNER TO {r.reader}")
        r.may_not("SELECT a FROM @_v")
        r.grant(f"SELECT ON {r.table}")
        r.may("SELECT count(*) FROM @_v", [(2,)])
        admin.execute(f"REVOKE {r.reader} FROM {r.owner}")
        r.read.execute(f"DROP VIEW {r.table}_v")


def what_others_do_is_theirs_to_know_and_to_end():  # privileges, cancel
    with _Roles("signals") as r:
        r.read.execute("SELECT 'mine'")
        pid = r.read.info.backend_pid
        asked = "SELECT usename, state, query, client_port FROM pg_stat_activity WHERE pid = %s"
        same(r.own.execute(asked, [pid]).fetchone(), (r.reader, None, "<insufficient privilege>", None))
        for function, what in (("pg_cancel_backend", "query is being canceled"), ("pg_terminate_backend", "process is being terminated")):
            error = raises(errors.InsufficientPrivilege, r.own.execute, f"SELECT {function}(%s)", [pid])
            same(error.diag.message_primary, f"must be a member of the role whose {what} or member of pg_signal_backend")
        with _admin() as c:
            c.execute(f"GRANT {r.reader} TO {r.owner}")
            same(r.own.execute(asked, [pid]).fetchone()[:3], (r.reader, "idle", "SELECT 'mine'"))
            same(r.own.execute("SELECT pg_cancel_backend(%s)", [pid]).fetchone(), (True,))
            same(r.read.execute("SELECT 'still here'").fetchone(), ("still here",))
            same(c.execute("SELECT pg_terminate_backend(%s)", [pid]).fetchone(), (True,))
            raises(psycopg.OperationalError, r.read.execute, "SELECT 1")
            c.execute(f"REVOKE {r.reader} FROM {r.owner}")
