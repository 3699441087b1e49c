#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Validates what tgswitchctl --json has printed, in a reading of its schema that allows no other members.

Usage: json-validate.py SCHEMA <LINES

A line is what was run and what it printed, with a tab between. Prints what is wrong with which, and fails, where one is
not as the schema says, or where there is none.
"""

import json
import sys

import jsonschema


def close(schema):
    """The schema itself is open: members may come. A test has to hear of them."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


def problems_of(schema, verb, text):
    if verb not in schema["$defs"]:
        yield "the schema does not have this verb"
        return
    try:
        printed = json.loads(text)
    except ValueError as error:
        yield f"{error}: '{text}'"
        return
    validator = jsonschema.Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{verb}"})
    for error in validator.iter_errors(printed):
        yield "".join(f"[{part!r}]" for part in error.absolute_path) + f" {error.message}"


def main(path):
    with open(path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    close(schema)

    lines = sys.stdin.read().splitlines()
    problems = [] if lines else ["there is nothing to validate"]
    for line in lines:
        command, _, text = line.partition("\t")
        problems += [f"{command}: {problem}" for problem in problems_of(schema, command.split()[0], text)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
