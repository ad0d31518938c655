# SPDX-License-Identifier: BSD-3-Clause
"""Documents of a fleet of hosts, for the tests of `godwit find` and `godwit publish`."""
import copy
import json
import os
import subprocess

MODEL = "vendor-a.example/my-nic"
IMPLEMENTATION = {
    "format": 1,
    "implementation": {"name": "nicd", "build": "3"},
    "models": {MODEL: {
        "params": {
            "rss": {"type": "bool", "off": False},
            "rx-filter-size": {"type": "int", "off": 0, "min": 0, "max": 64},
        },
        "profiles": {"1": {}, "2": {"rss": True, "rx-filter-size": 32},
                     "3": {"rss": True, "rx-filter-size": 64}},
        "default": "3",
        "state": {"write": [1], "read": [1]},
    }},
}


def implementation(**changes):
    """With other values in its one model's parameter rx-filter-size, or members of the model."""
    document = copy.deepcopy(IMPLEMENTATION)
    model = document["models"][MODEL]
    for name, value in changes.items():
        if name in ("max", "min"):
            model["params"]["rx-filter-size"][name] = value
            model.update(profiles={"1": {}}, default="1")  # others would not fit
        else:
            model[name] = value
    return document


def instance(**params):
    return {"format": 1, "model": MODEL,
            "params": {name.replace("_", "-"): value for name, value in params.items()}}


def write(path, document):
    with open(path, "w", encoding="utf-8") as file:
        if isinstance(document, str):
            file.write(document)
        else:
            json.dump(document, file)


def run(*command, timeout=120):
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def host(directory, name, document):
    write(os.path.join(directory, name + ".json"), document)


def is_sanitized(program):
    """Then it is slower, and its times say nothing."""
    needs = run("ldd", program).stdout
    return "libasan" in needs or "libtsan" in needs
