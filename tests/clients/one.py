"""Runs the tests of one script as they are named on the standard input, and answers each with one line."""

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import traceback

sys.dont_write_bytecode = True
# The drivers' packages, not the folders named after them here.
here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
sys.path.append(os.path.dirname(os.path.abspath(sys.argv[1])))
# Answers go where standard output went; what tests print goes to the errors.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def load(name, file):
    spec = importlib.util.spec_from_file_location(name, file)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(module, test):
    try:
        function = getattr(module, test)
        if inspect.iscoroutinefunction(function):
            told = asyncio.run(function())
        else:
            told = function()
    except server.Skipped as reason:
        return f"skipped {reason}"
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return "failed"
    return "passed " + json.dumps("" if told is None else str(told))


server = load("server", os.path.join(here, "server.py"))
load("wire", os.path.join(here, "wire.py"))
script, missing = None, None
try:
    script = load("script", sys.argv[1])
except ModuleNotFoundError as error:
    missing = error
for line in sys.stdin:
    answers.write((f"skipped Python: {missing}" if missing else run(script, line.strip())) + "\n")
