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
    os.write(handle, content.encode())
    os.close(handle)
    return path


def csv_with_header_goes_in():
    path = _file('id,name,price,at\n1,"Smith, John",12.50,2024-01-31 10:00:00+00\n2,"says ""hi""\nand leaves",,\n3,"",0,\n')
    same(_answer(rf"""CREATE TABLE c_csv (id bigint, name text, price numeric(10,2), at timestamptz);
\copy c_csv FROM '{path}' WITH (FORMAT csv, HEADER)
SET TimeZone = 'UTC';
SELECT id, replace(name, E'\n', '/'), price, at, name IS NULL FROM c_csv ORDER BY id;
DROP TABLE c_csv;
"""), ["CREATE TABLE", "COPY 3", "SET", "1|Smith, John|12.50|2024-01-31 10:00:00+00|f", '2|says "hi"/and leaves|||f',
       "3||0.00||f", "DROP TABLE"])


def text_with_nulls_and_escapes_goes_in():
    path = _file("1\ta\\tb\n2\t\\N\n3\t\\\\\n")
    same(_answer(rf"""CREATE TABLE c_text (id int, name text);
\copy c_text FROM '{path}'
SELECT id, name, name IS NULL FROM c_text ORDER BY id;
DROP TABLE c_text;
"""), ["CREATE TABLE", "COPY 3", "1|a\tb|f", "2||t", "3|\\|f", "DROP TABLE"])


def some_columns_in_another_order_go_in():
    path = _file("x;1\ny;2\n")
    same(_answer(rf"""CREATE TABLE c_some (id int, name text, more text);
\copy c_some (name, id) FROM '{path}' WITH (FORMAT csv, DELIMITER ';')
SELECT id, name, more IS NULL FROM c_some ORDER BY id;
DROP TABLE c_some;
"""), ["CREATE TABLE", "COPY 2", "1|x|t", "2|y|t", "DROP TABLE"])


def what_goes_out_in_each_format_comes_back_the_same():
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


def csv_comes_out_quoted_as_postgresql_quotes():
    path = _file("")
    _answer(rf"""\copy (SELECT 1 AS a, 'x,y' AS b, '' AS c, NULL::text AS d, 'say "hi"' AS e) TO '{path}' WITH (FORMAT csv, HEADER)
""")
    with open(path) as file:
        same(file.read(), 'a,b,c,d,e\n1,"x,y","",,"say ""hi"""\n')


def a_bad_value_names_its_line_and_column_and_nothing_is_kept():
    path = _file("1,x\ntwo,y\n")
    done = _psql(rf"""CREATE TABLE c_bad (id int, name text);
\copy c_bad FROM '{path}' WITH (FORMAT csv)
""")
    assert 'invalid input syntax for type integer: "two"' in done.stderr, done.stderr
    assert "COPY c_bad, line 2, column id" in done.stderr, done.stderr
    same(_answer("SELECT count(*) FROM c_bad;\nDROP TABLE c_bad;\n"), ["0", "DROP TABLE"])


def a_line_with_too_many_fields_is_refused():
    path = _file("1,x,what\n")
    done = _psql(rf"""CREATE TABLE c_wide (id int, name text);
\copy c_wide FROM '{path}' WITH (FORMAT csv)
""")
    assert "extra data after last expected column" in done.stderr, done.stderr
    same(_answer("DROP TABLE c_wide;\n"), ["DROP TABLE"])


def a_table_goes_out_by_its_name():
    same(_answer(r"""CREATE TABLE c_name (a int, b text);
INSERT INTO c_name VALUES (1, 'x');
\copy c_name TO STDOUT
\copy c_name (b) TO STDOUT WITH (FORMAT csv)
DROP TABLE c_name;
"""), ["CREATE TABLE", "INSERT 0 1", "1\tx", "x", "DROP TABLE"])


def many_rows_go_in_and_out():
    path = _file("".join(f"{n},row {n}\n" for n in range(50_000)))
    same(_answer(rf"""CREATE TABLE c_many (id int, name text);
\copy c_many FROM '{path}' WITH (FORMAT csv)
SELECT count(*), sum(id), min(name), max(name) FROM c_many;
DROP TABLE c_many;
"""), ["CREATE TABLE", "COPY 50000", "50000|1249975000|row 0|row 9999", "DROP TABLE"])


def a_server_file_is_out_of_reach():
    done = _psql("COPY (SELECT 1) TO '/tmp/rapport-should-not-exist';\n")
    assert done.returncode == 3 and "ERROR" in done.stderr or os.environ["SERVER_ENGINE"] == "postgres", done.stderr
    done = _psql("CREATE TABLE c_file (a text);\nCOPY c_file FROM '/etc/passwd';\n")
    assert done.returncode == 3 and "ERROR" in done.stderr or os.environ["SERVER_ENGINE"] == "postgres", done.stderr
    _answer("DROP TABLE c_file;\n")
