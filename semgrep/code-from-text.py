import ast
import builtins
import importlib
import re


def bad(text):
    # ruleid: code-from-text
    eval(text)
    # ruleid: code-from-text
    exec(text)
    # ruleid: code-from-text
    builtins.eval(text)
    # ruleid: code-from-text
    __import__(text)
    # ruleid: code-from-text
    return compile(text, "user", "exec")


def good(text, frame, connection):
    # ok: code-from-text
    ast.literal_eval(text)
    # ok: code-from-text
    importlib.import_module("sluicegate.steps.map")
    # ok: code-from-text
    frame.eval(text)
    # ok: code-from-text
    connection.exec(text)
    # ok: code-from-text
    return re.compile(text)
