"""Runs what docs/block-format.md says, as it says it, in the directory of a block, and prints the answers as JSON."""

import json
import os
import re
import sys

import duckdb

document, block = sys.argv[1:]
with open(document, encoding="utf-8") as file:
    fences = re.findall(r"^```(sql|python) (\w+)\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
os.chdir(block)
answers = {}
for language, name, text in fences:
    if language == "sql":
        answers[f"sql {name}"] = [list(row) for row in duckdb.sql(text).fetchall()]
    else:
        scope = {}
        exec(text, scope)
        answers[f"python {name}"] = scope["answer"]
json.dump(answers, sys.stdout)
