import json
import marshal
import pickle
import shelve
import tomllib
import yaml


def bad(data, file):
    # ruleid: unsafe-load
    pickle.loads(data)
    # ruleid: unsafe-load
    pickle.Unpickler(file).load()
    # ruleid: unsafe-load
    marshal.load(file)
    # ruleid: unsafe-load
    shelve.open(file)
    # ruleid: unsafe-load
    yaml.load(data, Loader=yaml.Loader)
    # ruleid: unsafe-load
    yaml.load(data)
    # ruleid: unsafe-load
    return yaml.unsafe_load(data)


def good(data, file):
    # ok: unsafe-load
    json.loads(data)
    # ok: unsafe-load
    tomllib.load(file)
    # ok: unsafe-load
    yaml.load(data, Loader=yaml.CSafeLoader)
    # ok: unsafe-load
    return yaml.safe_load(data)
