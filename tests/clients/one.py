"""Runs one test: `one.py psycopg/login.py a_wrong_password_is_refused`."""

import asyncio
import importlib.util
import inspect
import os
import sys

sys.dont_write_bytecode = True
# The drivers' packages, not the folders named after them here.
here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]


def main(script, test):
    for name, file in [("server", os.path.join(here, "server.py")), ("script", script)]:
        spec = importlib.util.spec_from_file_location(name, file)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    function = getattr(module, test)
    if inspect.iscoroutinefunction(function):
        asyncio.run(function())
    else:
        function()


main(sys.argv[1], sys.argv[2])
