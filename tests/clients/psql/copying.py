r"""\copy in both directions and all three formats."""

import os
import subprocess
import tempfile

from server import same


def _psql(sql):
    done = subprocess.run(["psql", "-X", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1"], input=sql, capture_output=True,
                          text=True, timeout=60)
    return done


def _answer(sql):
    done = _psql(sql)
    same(done.stderr, "")
    return done.stdout.splitlines()


def _file(content):
    handle, path = tempfile.mkstemp()
    os.write(handle, content if isinstance(content, bytes) else content.encode())
    os.close(handle)
    return path


def csv_with_header_goes_in():  # copy
    path = _file('id,name,price,at\n1,"Smith, John",12.50,2024-01-31 10:00:00+00\n2,"says ""hi""\nand leaves",,\n3,"",0,\n')
    same(_answer(rf"""CREATE TABLE c_csv (id bigint, name text, price numeric(10,2), at timestamptz);
\copy c_csv FROM '{path}' WITH (FORMAT csv, HEADER)
SET TimeZone = 'UTC';
SELECT id, replace(name, E'\n', '/'), price, at, name IS NULL FROM c_csv ORDER BY id;
DROP TABLE c_csv;
"""), ["CREATE TABLE", "COPY 3", "SET", "1|Smith, John|12.50|2024-01-31 10:00:00+00|f", '2|says "hi"/and leaves|||f',
       "3||0.00||f", "DROP TABLE"])


def text_with_nulls_and_escapes_goes_in():  # copy
    path = _file("1\ta\\tb\n2\t\\N\n3\t\\\\\n")
    same(_answer(rf"""CREATE TABLE c_text (id int, name text);
\copy c_text FROM '{path}'
SELECT id, name, name IS NULL FROM c_text ORDER BY id;
DROP TABLE c_text;
"""), ["CREATE TABLE", "COPY 3", "1|a\tb|f", "2||t", "3|\\|f", "DROP TABLE"])


def some_columns_in_another_order_go_in():  # copy
    path = _file("x;1\ny;2\n")
    same(_answer(rf"""CREATE TABLE c_some (id int, name text, more text);
\copy c_some (name, id) FROM '{path}' WITH (FORMAT csv, DELIMITER ';')
SELECT id, name, more IS NULL FROM c_some ORDER BY id;
DROP TABLE c_some;
"""), ["CREATE TABLE", "COPY 2", "1|x|t", "2|y|t", "DROP TABLE"])


def what_goes_out_in_each_format_comes_back_the_same():  # copy
    for form in ["text", "csv", "binary"]:
        path = _file("")
        lines = _answer(rf"""SET TimeZone = 'UTC';
CREATE TABLE c_out (i int, b bigint, s smallint, f float8, n numeric(20,4), t text, d date, p timestamp, z timestamptz,
                    y bytea, o boolean, u uuid);
INSERT INTO c_out VALUES
  (1, 9223372036854775807, -32768, 0.1, 12345.6789, E'tab\tnewline\nbackslash\\ quote" comma,', '2024-02-29',
   '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789012+02', '\x00ff10', true, '00112233-4455-6677-8899-aabbccddeeff'),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (-5, 0, 0, 'NaN', -0.0001, '', '1900-01-01', '1999-12-31 23:59:59', '1970-01-01 00:00:00+00', '', false,
   'ffffffff-ffff-ffff-ffff-ffffffffffff');
\copy (SELECT * FROM c_out ORDER BY i) TO '{path}' WITH (FORMAT {form})
CREATE TABLE c_back (i int, b bigint, s smallint, f float8, n numeric(20,4), t text, d date, p timestamp, z timestamptz,
                     y bytea, o boolean, u uuid);
\copy c_back FROM '{path}' WITH (FORMAT {form})
SELECT count(*) FROM c_out;
SELECT * FROM c_out EXCEPT SELECT * FROM c_back;
DROP TABLE c_out, c_back;
""")
        same(lines, ["SET", "CREATE TABLE", "INSERT 0 3", "COPY 3", "CREATE TABLE", "COPY 3", "3", "DROP TABLE"])


def csv_comes_out_quoted_as_postgresql_quotes():  # copy
    path = _file("")
    _answer(rf"""\copy (SELECT 1 AS a, 'x,y' AS b, '' AS c, NULL::text AS d, 'say "hi"' AS e) TO '{path}' WITH (FORMAT csv, HEADER)
""")
    with open(path) as file:
        same(file.read(), 'a,b,c,d,e\n1,"x,y","",,"say ""hi"""\n')


def a_bad_value_names_its_line_and_column_and_nothing_is_kept():  # copy, errors
    path = _file("1,x\ntwo,y\n")
    done = _psql(rf"""CREATE TABLE c_bad (id int, name text);
\copy c_bad FROM '{path}' WITH (FORMAT csv)
""")
    assert 'invalid input syntax for type integer: "two"' in done.stderr, done.stderr
    assert "COPY c_bad, line 2, column id" in done.stderr, done.stderr
    same(_answer("SELECT count(*) FROM c_bad;\nDROP TABLE c_bad;\n"), ["0", "DROP TABLE"])


def a_line_with_too_many_fields_is_refused():  # copy, errors
    path = _file("1,x,what\n")
    done = _psql(rf"""CREATE TABLE c_wide (id int, name text);
\copy c_wide FROM '{path}' WITH (FORMAT csv)
""")
    assert "extra data after last expected column" in done.stderr, done.stderr
    same(_answer("DROP TABLE c_wide;\n"), ["DROP TABLE"])


def a_table_goes_out_by_its_name():  # copy
    same(_answer(r"""CREATE TABLE c_name (a int, b text);
INSERT INTO c_name VALUES (1, 'x');
\copy c_name TO STDOUT
\copy c_name (b) TO STDOUT WITH (FORMAT csv)
DROP TABLE c_name;
"""), ["CREATE TABLE", "INSERT 0 1", "1\tx", "x", "DROP TABLE"])


def every_option_of_copy_out_is_followed():  # copy
    for options, expected in [
        ("FORMAT text", "1\tx,y\t\\N\n2\t\ta\\tb\n"),
        ("HEADER", "a\tb\tc\n1\tx,y\t\\N\n2\t\ta\\tb\n"),
        ("DELIMITER '|', NULL '-'", "1|x,y|-\n2||a\\tb\n"),
        ("FORMAT csv", '1,"x,y",\n2,"",a\tb\n'),
        ("FORMAT csv, HEADER, FORCE_QUOTE *", 'a,b,c\n"1","x,y",\n"2","","a\tb"\n'),
        ("FORMAT csv, FORCE_QUOTE (c, a)", '"1","x,y",\n"2","","a\tb"\n'),
        ("FORMAT csv, QUOTE '''', DELIMITER ';', NULL 'none'", "1;x,y;none\n2;;a\tb\n"),
        ("FORMAT csv, NULL '', ESCAPE '\\'", '1,"x,y",\n2,"",a\tb\n'),
    ]:
        path = _file("")
        _answer(rf"""CREATE TABLE c_opt (a int, b text, c text);
INSERT INTO c_opt VALUES (1, 'x,y', NULL), (2, '', E'a\tb');
\copy (SELECT * FROM c_opt ORDER BY a) TO '{path}' WITH ({options})
DROP TABLE c_opt;
""")
        with open(path, newline="") as file:
            same((options, file.read()), (options, expected))


def every_option_of_copy_in_is_followed():  # copy
    for options, content, expected in [
        ("HEADER", "a\tb\n1\tx\n", "1|x"),
        ("HEADER match", "a\tb\n1\tx\n", "1|x"),
        ("DELIMITER ';', NULL '?'", "1;?\n", "1|NULL"),
        ("FORMAT csv, FORCE_NULL (b)", '1,""\n', "1|NULL"),
        ("FORMAT csv, FORCE_NOT_NULL (b)", "1,\n", "1|"),
        ("FORMAT csv, NULL 'NULL', FORCE_NOT_NULL (b)", "1,NULL\n", "1|NULL"),
        ("FORMAT csv, QUOTE '~', ESCAPE '\\', HEADER match", "a,b\n1,~x\\~y~\n", "1|x~y"),
        ("ENCODING 'LATIN1'", b"1\tK\xe4se\n", "1|Käse"),
        ("FORMAT csv", "1,x\r\n2,y\r\n", "1|x\n2|y"),
        ("FORMAT text", "1\tx\r2\ty\r", "1|x\n2|y"),
        ("FORMAT text", "1\tx\n\\.\n", "1|x"),
    ]:
        path = _file(content)
        lines = _answer(rf"""CREATE TABLE c_opt (a int, b text);
\copy c_opt FROM '{path}' WITH ({options})
SELECT a, coalesce(b, 'NULL') FROM c_opt ORDER BY a;
DROP TABLE c_opt;
""")
        same((options, "\n".join(lines[2:-1])), (options, expected))


def wrong_data_is_refused_in_postgresql_s_words():  # copy, errors
    for options, content, message, context in [
        ("FORMAT csv", "1,x,y\n", "extra data after last expected column", 'COPY c_wrong, line 1: "1,x,y"'),
        ("FORMAT csv", "abc,x,y\n", "extra data after last expected column", 'COPY c_wrong, line 1: "abc,x,y"'),
        ("FORMAT csv", "1\n", 'missing data for column "b"', 'COPY c_wrong, line 1: "1"'),
        ("FORMAT csv", '1,x\n2,"y\n', "unterminated CSV quoted field", "COPY c_wrong, line "),
        ("FORMAT text", "1\tx\n2\ty\rz\n", "literal carriage return found in data", "COPY c_wrong, line 2"),
        ("FORMAT csv", "1,x\n2,y\rz\n", "unquoted carriage return found in data", "COPY c_wrong, line 2"),
        ("HEADER match", "a\tc\n", 'column name mismatch in header line field 2: got "c", expected "b"',
         'COPY c_wrong, line 1: "a\tc"'),
        ("HEADER match", "a\n", "wrong number of fields in header line: got 1, expected 2", 'COPY c_wrong, line 1: "a"'),
        ("FORMAT text", b"1\t\xff\n", 'invalid byte sequence for encoding "UTF8": 0xff', "COPY c_wrong, line 1"),
        ("FORMAT csv", "99999999999,x\n", 'value "99999999999" is out of range for type integer',
         'COPY c_wrong, line 1, column a: "99999999999"'),
        ("FORMAT csv", ",x\n", 'null value in column "a" of relation "c_wrong" violates not-null constraint',
         "COPY c_wrong, line 1"),
    ]:
        path = _file(content)
        done = _psql(rf"""CREATE TABLE c_wrong (a int NOT NULL, b text);
\copy c_wrong FROM '{path}' WITH ({options})
""")
        assert f"ERROR:  {message}\n" in done.stderr, (content, done.stderr)
        assert f"CONTEXT:  {context}" in done.stderr, (content, done.stderr)
        same(_answer("SELECT count(*) FROM c_wrong;\nDROP TABLE c_wrong;\n"), ["0", "DROP TABLE"])


def a_computed_query_goes_out():  # copy
    same(_answer(r"""\copy (SELECT n, n * n FROM generate_series(1, 3) AS g(n)) TO STDOUT WITH (FORMAT csv, HEADER)
\copy (SELECT channel, count(*) > 1 FROM interactions WHERE channel = 'web' GROUP BY channel) TO STDOUT
\copy (SELECT relname FROM pg_class WHERE relname = 'pg_class') TO STDOUT
"""), ["n,?column?", "1,1", "2,4", "3,9", "web\tt", "pg_class"])


def many_rows_go_in_and_out():  # copy
    path = _file("".join(f"{n},row {n}\n" for n in range(50_000)))
    same(_answer(rf"""CREATE TABLE c_many (id int, name text);
\copy c_many FROM '{path}' WITH (FORMAT csv)
SELECT count(*), sum(id), min(name), max(name) FROM c_many;
DROP TABLE c_many;
"""), ["CREATE TABLE", "COPY 50000", "50000|1249975000|row 0|row 9999", "DROP TABLE"])


def a_server_file_is_out_of_reach():  # copy, errors
    done = _psql("COPY (SELECT 1) TO '/tmp/rapport-should-not-exist';\n")
    assert done.returncode == 3 and "ERROR" in done.stderr or os.environ["SERVER_ENGINE"] == "postgres", done.stderr
    done = _psql("CREATE TABLE c_file (a text);\nCOPY c_file FROM '/etc/passwd';\n")
    assert done.returncode == 3 and "ERROR" in done.stderr or os.environ["SERVER_ENGINE"] == "postgres", done.stderr
    _answer("DROP TABLE c_file;\n")
