"""What takes effect together: the statements of one message, and the messages of the extended protocol up to Sync."""

from wire import SYNC, Session, bind, execute, fields, message, parse, query, values


def _said(seen):
    """Tags, rows, codes of errors and warnings, and the state at the end."""
    said = []
    for kind, body in seen:
        if kind == b"C":
            said.append(body[:-1].decode())
        elif kind == b"D":
            said.append(",".join("NULL" if value is None else value.decode() for value in values(body)))
        elif kind == b"E" or (kind == b"N" and fields(body)["S"] == "WARNING"):
            said.append(fields(body)["C"])
        elif kind == b"Z":
            said.append(body.decode())
    return said


def _until_ready(s, behind_copy):
    seen = []
    while not seen or seen[-1][0] != b"Z":
        seen.append(s.next())
        if seen[-1][0] == b"G":
            s.send(message(b"d", b"1\tcopied\n"), message(b"c"), behind_copy)
    return _said(seen)


def _tell(*steps):
    """What is answered to each step: a message of statements, or a list of them that are sent one by one before Sync."""
    s, told = Session(), []
    for step in ("CREATE TABLE g (a integer, b text)", "INSERT INTO g VALUES (1, 'x')", *steps, "DROP TABLE IF EXISTS g"):
        if isinstance(step, str):
            s.send(query(step))
        else:
            s.send(*(part for sql in step for part in (parse(sql), bind(), execute())), SYNC)
        # A Sync within COPY is passed over.
        told.append((step, _until_ready(s, b"" if isinstance(step, str) else SYNC)))
    s.close()
    return "\n".join(f"{step}: {answer}" for step, answer in told)


def an_error_takes_back_all_of_its_message():  # transactions
    return _tell("UPDATE g SET a = 5; SELECT 1/0 FROM g", "DELETE FROM g; SELECT 1/0", "TRUNCATE g; SELECT 1/0",
                 "INSERT INTO g VALUES (7); CREATE TABLE g_new (a integer); SELECT 1/0 FROM g", "SELECT * FROM g_new",
                 "DROP TABLE g; SELECT 1/0", "CREATE TABLE g_as AS SELECT 1 AS a; INSERT INTO g_as VALUES ('x')",
                 "SELECT * FROM g_as", "SELECT a INTO g_into FROM g; SELECT 1/0", "SELECT * FROM g_into",
                 "ALTER TABLE g ADD COLUMN c integer; COMMENT ON TABLE g IS 'never'; SELECT 1/0", "SELECT * FROM g")


def what_is_defined_together_is_there_together():  # transactions
    return _tell("CREATE TABLE g_one (a integer); ALTER TABLE g_one ADD COLUMN b text; INSERT INTO g_one VALUES (1, 'q');"
                 "CREATE VIEW g_two AS SELECT * FROM g_one; TRUNCATE g_one; INSERT INTO g_one VALUES (2, 'r');"
                 "UPDATE g_one SET b = 's'; SELECT * FROM g_two", "SELECT * FROM g_two",
                 "DROP VIEW g_two; DROP TABLE g_one; SELECT 1/0", "SELECT * FROM g_two", "DROP VIEW g_two; DROP TABLE g_one")


def commit_and_rollback_end_what_nobody_began():  # transactions, notices
    return _tell("INSERT INTO g VALUES (20); COMMIT; SELECT 1/0", "INSERT INTO g VALUES (21); ROLLBACK",
                 "INSERT INTO g VALUES (22); COMMIT; INSERT INTO g VALUES (23); SELECT 1/0",
                 "INSERT INTO g VALUES (24); ROLLBACK; INSERT INTO g VALUES (25)",
                 "BEGIN; INSERT INTO g VALUES (26); COMMIT; UPDATE g SET a = 27 WHERE a = 26; SELECT 1/0",
                 "SELECT a FROM g ORDER BY a", "COMMIT AND CHAIN", "INSERT INTO g VALUES (28); ROLLBACK AND CHAIN",
                 "SELECT a FROM g ORDER BY a")


def begin_takes_up_what_stands_before_it():  # transactions
    return _tell("INSERT INTO g VALUES (40); BEGIN; INSERT INTO g VALUES (41)", "INSERT INTO g VALUES (42); SELECT 1/0",
                 "COMMIT", "INSERT INTO g VALUES (43); BEGIN; INSERT INTO g VALUES (44); ROLLBACK; INSERT INTO g VALUES (45)",
                 "INSERT INTO g VALUES (46); BEGIN; INSERT INTO g VALUES (47); COMMIT; INSERT INTO g VALUES (48); SELECT 1/0",
                 "SELECT 1 FROM g; BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT a FROM g ORDER BY a")


def savepoints_need_a_block():  # transactions
    return _tell("INSERT INTO g VALUES (70); SAVEPOINT a; INSERT INTO g VALUES (71)", "SELECT 1; RELEASE a",
                 "SELECT 1; ROLLBACK TO a", "BEGIN; SAVEPOINT a; INSERT INTO g VALUES (72); ROLLBACK TO a;"
                 "INSERT INTO g VALUES (73); COMMIT", "SELECT a FROM g ORDER BY a")


def settings_are_taken_back_with_their_message():  # settings
    return _tell("SET TimeZone = 'Asia/Tokyo'", "SET TimeZone = 'Asia/Seoul'; SELECT 1/0", "SHOW TimeZone",
                 "SET DateStyle = 'SQL, DMY'; SELECT 1/0", "SHOW DateStyle",
                 "SELECT count(*) FROM g; SET LOCAL TimeZone = 'Asia/Seoul'; SHOW TimeZone", "SHOW TimeZone",
                 "SET TimeZone = 'Asia/Seoul'; ROLLBACK; SHOW TimeZone", "SET TimeZone = 'Asia/Seoul'; COMMIT; SELECT 1/0",
                 "SHOW TimeZone", "SET TRANSACTION READ ONLY; INSERT INTO g VALUES (2)",
                 "SET TRANSACTION READ ONLY; SHOW transaction_read_only", "SHOW transaction_read_only")


def a_message_is_read_before_it_is_run():  # transactions
    return _tell("BEGIN; INSERT INTO g VALUES (61); COMMIT; bogus", "BEGIN; SELECT 1; bogus", "SELECT 1; SELECT 'x",
                 "INSERT INTO g VALUES (62); SELECT nocol FROM g; bogus", "SELECT 1; SET", "SELECT 1; SELECT nocol FROM g",
                 "SELECT a FROM g")


def copy_takes_part():  # copy
    return _tell("INSERT INTO g VALUES (80); COPY g FROM STDIN; SELECT 1/0", "SELECT a FROM g",
                 "COPY g FROM STDIN; INSERT INTO g VALUES (81)", "BEGIN; COPY g FROM STDIN; ROLLBACK",
                 ["INSERT INTO g VALUES (82)", "COPY g FROM STDIN"], "SELECT a, b FROM g ORDER BY a, b")


def what_commits_by_itself_stands_alone():  # transactions
    return _tell("VACUUM g; SELECT 1", "INSERT INTO g VALUES (90); VACUUM g", "BEGIN; COMMIT; VACUUM g", "VACUUM g",
                 "SELECT 1; DISCARD ALL", ["INSERT INTO g VALUES (91)", "VACUUM g"], ["VACUUM g", "INSERT INTO g VALUES (92)"],
                 ["SELECT 1", "DISCARD ALL"], "SELECT a FROM g ORDER BY a")


def an_error_takes_back_all_up_to_sync():  # transactions
    return _tell(["INSERT INTO g VALUES (100)", "SELECT nocol FROM g"], ["UPDATE g SET a = 5", "SELECT nocol"],
                 ["INSERT INTO g VALUES (101)", "UPDATE g SET b = 'p' WHERE a = 101"],
                 ["INSERT INTO g VALUES (102)", "COMMIT", "INSERT INTO g VALUES (103)", "SELECT nocol"],
                 ["INSERT INTO g VALUES (104)", "ROLLBACK", "INSERT INTO g VALUES (105)"],
                 ["INSERT INTO g VALUES (106)", "SAVEPOINT a"], ["INSERT INTO g VALUES (107)", "BEGIN"], "SELECT 1/0", "ROLLBACK",
                 ["INSERT INTO g VALUES (108)", "BEGIN", "INSERT INTO g VALUES (109)", "COMMIT", "INSERT INTO g VALUES (110)"],
                 ["CREATE TABLE g_piped (a integer)", "SELECT nocol"], "SELECT * FROM g_piped", "SELECT a, b FROM g ORDER BY a")


def settings_of_a_series_are_taken_back():  # settings
    return _tell("SET TimeZone = 'Asia/Tokyo'", ["SET TimeZone = 'Asia/Seoul'", "SELECT nocol"], "SHOW TimeZone",
                 ["SET LOCAL TimeZone = 'Asia/Seoul'", "SHOW TimeZone"], "SHOW TimeZone",
                 ["SET TRANSACTION READ ONLY", "INSERT INTO g VALUES (2)"], "SELECT a FROM g")


def what_a_transaction_is_like_is_said_first():  # transactions
    late = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
    return _tell("BEGIN", "SELECT a FROM g", late, "ROLLBACK", "BEGIN", "SAVEPOINT a", late, "ROLLBACK", f"SELECT 1; {late}",
                 ["SELECT 1", late], "BEGIN READ ONLY", "SELECT a FROM g", "SET TRANSACTION READ WRITE", "ROLLBACK",
                 "BEGIN READ ONLY", "SELECT a INTO g_into FROM g", "ROLLBACK", "SET CONSTRAINTS ALL DEFERRED",
                 "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "SHOW transaction_deferrable", "COMMIT")
