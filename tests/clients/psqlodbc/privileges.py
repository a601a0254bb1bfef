"""SQLTablePrivileges and SQLColumnPrivileges, which pyodbc does not call: asked of the driver manager itself."""

import ctypes
import os

import pyodbc  # noqa: F401 — brings the driver manager

from server import DATABASE, HOST, PASSWORD, PORT, USER, same

_ENVIRONMENT, _CONNECTION, _STATEMENT = 1, 2, 3
_TEXT, _NTS, _NO_DATA = 1, -3, 100


def _manager():
    with open("/proc/self/maps") as maps:
        return ctypes.CDLL(next(line.split()[-1] for line in maps if "/libodbc." in line or "/libodbc-" in line))


def _texts(words):
    return [part for word in words for part in (word and word.encode(), _NTS if word else 0)]


class _Session:
    def __init__(self):
        self.odbc, self.handles, above = _manager(), [], None
        for kind in (_ENVIRONMENT, _CONNECTION, _STATEMENT):
            handle = ctypes.c_void_p()
            self._do("SQLAllocHandle", kind, above, ctypes.byref(handle))
            self.handles.append((kind, handle))
            above = handle
            if kind == _ENVIRONMENT:
                self._do("SQLSetEnvAttr", handle, 200, ctypes.c_void_p(3), 0)  # ODBC 3
            elif kind == _CONNECTION:
                words = f"DRIVER={os.environ['PSQLODBC']};SERVER={HOST};PORT={PORT};DATABASE={DATABASE};UID={USER};PWD={{{PASSWORD}}}"
                self._do("SQLDriverConnect", handle, None, words.encode(), _NTS, None, 0, None, 0)

    def _do(self, name, *arguments):
        code = getattr(self.odbc, name)(*arguments)
        assert code in (0, 1, _NO_DATA), (name, code)
        return code

    def rows(self, name, *words):
        """Of a function of the catalogue: each word as a text, or None."""
        statement, told = self.handles[-1][1], []
        self._do(name, statement, *_texts(words))
        width = ctypes.c_short()
        self._do("SQLNumResultCols", statement, ctypes.byref(width))
        while self._do("SQLFetch", statement) != _NO_DATA:
            row = []
            for column in range(1, width.value + 1):
                text, length = ctypes.create_string_buffer(1000), ctypes.c_ssize_t()
                self._do("SQLGetData", statement, column, _TEXT, text, ctypes.c_ssize_t(1000), ctypes.byref(length))
                row.append(None if length.value < 0 else text.value.decode())
            told.append(["me" if value == USER else "here" if value == DATABASE else value for value in row])
        self._do("SQLFreeStmt", statement, 0)
        # Rapport's own superuser is another one than who asks.
        return "\n".join(str(row) for row in told if "me" in row)

    def refusal(self, name, *words):
        """The SQLSTATE that such a function ends with."""
        statement, state = self.handles[-1][1], ctypes.create_string_buffer(6)
        code = getattr(self.odbc, name)(statement, *_texts(words))
        assert code == -1, (name, code)
        self._do("SQLGetDiagRec", _STATEMENT, statement, 1, state, None, None, 0, None)
        return state.value.decode()

    def close(self):
        for kind, handle in reversed(self.handles):
            if kind == _CONNECTION:
                self.odbc.SQLDisconnect(handle)
            self.odbc.SQLFreeHandle(kind, handle)


def privileges_of_tables_are_listed():  # metadata, privileges
    session = _Session()
    told = session.rows("SQLTablePrivileges", None, "public", "shop%") + "\n" + session.rows("SQLTablePrivileges", None, "staging", "arrivals")
    session.close()
    return told


def privileges_of_columns_are_refused_by_the_driver():  # metadata, privileges
    session = _Session()
    same(session.refusal("SQLColumnPrivileges", None, "public", "shops", "name"), "IM001")
    session.close()
