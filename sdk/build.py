#!/usr/bin/env python3
"""Builds the clients from the API's description: sdk/build.py OPENAPI.json OUT [python] [typescript]

OUT/python and OUT/typescript become whole packages: what is written by hand in sdk/, what other people's generators make
of the description (openapi-python-client: models; openapi-typescript: types), and the methods, which this script writes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# What browsers and players do (WHIP), and what is not asked with a key.
LEFT_OUT = ("/whip/",)
# Names of groups in front of which English puts no "all".
GROUPS_ORDER = ["agents", "tasks", "calls", "web_calls", "phone_numbers", "trunks", "providers", "webhook_deliveries", "usage"]


# 1. The description as clients use it.

def prepared(document):
    """The bare mount alone, with short names, and without rules between fields: clients leave those to the server."""
    paths = {}
    for path, item in document["paths"].items():
        bare = path.removeprefix("/v1")
        if bare == path or bare.startswith(LEFT_OUT):
            continue
        for operation in item.values():
            operation["operationId"] = operation["operationId"].removesuffix("_bare")
        paths[path] = item
    document["paths"] = paths
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            for rule in ("allOf", "anyOf", "not"):
                schema.pop(rule, None)
    return document


def write_snippets(language, ending, folder):
    """The blocks of the documents, each a program of its own."""
    folder.mkdir()
    for document in (ROOT / "README.md", ROOT / "docs/sdks.md", HERE / language / "README.md"):
        blocks = re.findall(r"^```" + language + r"\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
        for at, block in enumerate(blocks):
            (folder / f"{document.relative_to(ROOT).with_suffix('')}-{at}{ending}".replace("/", "-").lower()).write_text(block)


class Api:
    """The description, and the questions that methods ask of it."""

    def __init__(self, document):
        self.document = document
        self.schemas = document["components"]["schemas"]
        self.about = {tag["name"].replace("-", "_"): tag["description"] for tag in document["tags"]}

    def resolved(self, schema):
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        if "allOf" in schema and "properties" not in schema:
            whole = {"type": "object", "properties": {}, "required": []}
            for part in schema["allOf"]:
                part = self.resolved(part)
                whole["properties"].update(part.get("properties", {}))
                whole["required"] += part.get("required", [])
            return whole
        return schema

    def groups(self):
        groups = {}
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                tag = operation["tags"][0].replace("-", "_")
                groups.setdefault(tag, []).append(Operation(self, path, method, operation, tag))
        order = {name: at for at, name in enumerate(GROUPS_ORDER)}
        return sorted(groups.items(), key=lambda one: (order.get(one[0], len(order)), one[0]))


class Operation:
    """One method of a client."""

    def __init__(self, api, path, method, operation, tag):
        self.api, self.path, self.method, self.operation = api, path, method, operation
        self.name = operation["operationId"].removeprefix(tag + "_")
        self.description = operation["description"]
        parameters = operation.get("parameters", [])
        self.path_parameters = [one for one in parameters if one["in"] == "path"]
        self.query = [one for one in parameters if one["in"] == "query"]
        headers = [one["name"].lower() for one in parameters if one["in"] == "header"]
        self.keyed, self.conditional = "idempotency-key" in headers, "if-match" in headers
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        self.body = content["schema"]["$ref"].rsplit("/", 1)[1] if content else None
        self.answer = self._answer()
        if self.answer[0] == "pages":
            self.query = [one for one in self.query if one["name"] not in ("offset", "before", "limit")]
        if self.name == "get_sip_log":
            self.query = []

    def _answer(self):
        """What a method returns: ("nothing"), ("bytes"), ("model", schema), ("part", schema, field, type of the field) or
        ("pages", schema, field, type of an entry, cursor)."""
        good = next(response for status, response in sorted(self.operation["responses"].items()) if status[0] == "2")
        content = good.get("content", {})
        if "application/json" not in content:
            return ("bytes",) if content else ("nothing",)
        name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        if name == "Deleted":
            return ("nothing",)
        properties = self.api.resolved(self.api.schemas[name])["properties"]
        lists = [(field, one) for field, one in properties.items() if one.get("type") == "array"]
        if {"total", "limit", "offset"} <= set(properties) and len(lists) == 1:
            field, one = lists[0]
            if "$ref" not in one["items"]:
                return ("pages", name, field, None, "message_id")
            entry = one["items"]["$ref"].rsplit("/", 1)[1]
            if "oneOf" in self.api.schemas[entry]:
                return ("pages", name, field, entry, "message_id")
            names = self.api.resolved(self.api.schemas[entry])["properties"]
            return ("pages", name, field, entry, "id" if "id" in names else "version")
        required = self.api.resolved(self.api.schemas[name]).get("required", [])
        if len(required) == 1 and name.endswith("Body"):
            field, one = required[0], properties[required[0]]
            if "$ref" in one:
                return ("part", name, field, one["$ref"].rsplit("/", 1)[1])
        return ("model", name)

    def fields(self):
        """Fields of the body: name, schema, whether it is required; the required ones first."""
        schema = self.api.resolved(self.api.schemas[self.body])
        required = schema.get("required", [])
        fields = [(name, one, name in required) for name, one in schema["properties"].items()]
        return sorted((one for one in fields if one[0] not in ALIASES), key=lambda one: (not one[2], one[0]))


# Second names of fields.
ALIASES = ("starting_message", "enabled")


# 2. Python.

PYTHON_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
PYTHON_FORMATS = {"date-time": "datetime.datetime | str", "date": "datetime.date | str", "uuid": "uuid.UUID | str"}


def python_type(api, schema):
    """The type that an argument may have."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        shape = api.resolved(schema)
        return f"models.{name}" if "enum" in shape else f"models.{name} | dict[str, Any]"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            kinds = [python_type(api, one) for one in schema[choice]]
            return " | ".join(dict.fromkeys(" | ".join(kinds).split(" | ")))
    kinds = schema.get("type", "object")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    found = []
    for kind in kinds:
        if kind == "null":
            found.append("None")
        elif kind == "array":
            found.append(f"Sequence[{python_type(api, schema['items'])}]")
        elif kind == "object":
            inner = schema.get("additionalProperties")
            value = python_type(api, inner) if isinstance(inner, dict) and inner else "Any"
            found.append(f"Mapping[str, {value}]")
        elif "enum" in schema and kind == "string":
            found.append("Literal[" + ", ".join(json.dumps(one) for one in schema["enum"] if one is not None) + "]")
        else:
            found.append(PYTHON_FORMATS.get(schema.get("format"), PYTHON_TYPES[kind]))
    return " | ".join(found)


def python_entry(api, name):
    """The type of an entry of a list."""
    if not name:
        return "dict[str, Any]"
    choices = api.schemas[name].get("oneOf", [{"$ref": "/" + name}])
    return " | ".join("models." + one["$ref"].rsplit("/", 1)[1] for one in choices)


def python_name(name):
    name = name.replace("-", "_")
    return name + "_" if name in ("from", "async", "global", "import", "class", "def", "in", "is", "not", "or", "and") else name


def python_doc(operation, arguments, indent):
    lines = textwrap.wrap(operation.description, 112, break_on_hyphens=False)
    described = [(name, text) for name, _, _, text in arguments if text]
    if described:
        lines += ["", "Args:"]
        for name, text in described:
            lines += textwrap.wrap(f"{name}: {text}", 112, initial_indent="    ", subsequent_indent="        ", break_on_hyphens=False)
    lines[0] = '"""' + lines[0].replace("\\", "\\\\")
    lines = [lines[0]] + [line.replace("\\", "\\\\") for line in lines[1:]]
    if len(lines) == 1:
        lines[0] += '"""'
    else:
        lines.append('"""')
    return [(" " * indent + line).rstrip() for line in lines]


def python_method(api, operation, is_async):
    arguments = []  # name, type, default or None, text
    for one in operation.path_parameters:
        kind = "int" if one["schema"].get("type") == "integer" else "uuid.UUID | str" if one["schema"].get("format") == "uuid" else "str"
        arguments.append((python_name(one["name"]), kind, None, one["description"]))
    places = [name for name, _, _, _ in arguments]
    keywords = []
    fields = operation.fields() if operation.body else []
    for name, schema, is_required in fields:
        kind = python_type(api, schema)
        keywords.append((python_name(name), kind if is_required else kind + " | Unset", None if is_required else "UNSET", schema.get("description", "")))
    for one in operation.query:
        keywords.append((python_name(one["name"]), python_type(api, one["schema"]).removesuffix(" | None") + " | None", "None", one["description"]))
    pages = operation.answer[0] == "pages"
    if pages:
        keywords.append(("page_size", "int", "PAGE_SIZE", "Entries that one request asks for: 1 to 100."))
    if operation.conditional:
        keywords.append(("if_match", "str | None", "None", "The ETag of the state that this change was made from; refused if the document has changed since."))
    if operation.keyed:
        keywords.append(("idempotency_key", "str | None", "None", "A name for this request, such as a UUID: repeated with it, it is carried out once. By default each call has a new one."))
    arguments += keywords
    of, of_page, answer = operation.answer, "", operation.answer[0]
    result = {
        "nothing": lambda: "None",
        "bytes": lambda: "bytes",
        "model": lambda: f"models.{of[1]}",
        "part": lambda: f"models.{of[3]}",
        "pages": lambda: f"{'Async' if is_async else ''}Pages[{python_entry(api, of[3])}]",
    }[answer]()
    signature = ["self"] + [f"{name}: {kind}" + (f" = {default}" if default else "") for name, kind, default, _ in arguments]
    if keywords:
        signature.insert(1 + len(places), "*")
    is_coroutine = is_async and not pages
    lines = [f"    {'async ' if is_coroutine else ''}def {operation.name}("]
    lines += [f"        {one}," for one in signature]
    lines += [f"    ) -> {result}:"]
    lines += python_doc(operation, arguments, 8)
    path = re.sub(r"\{(\w+)\}", lambda found: "{_part(" + python_name(found[1]) + ")}", operation.path)
    text = ("f" if "{" in path else "") + json.dumps(path)
    call = [f'"{operation.method.upper()}"', text]
    if operation.body:
        body = ", ".join(f'"{name}": {python_name(name)}' for name, _, _ in fields)
        call.append("json={" + body + "}")
    query = ", ".join(f'"{one["name"]}": {python_name(one["name"])}' for one in operation.query)
    if pages:
        query = '"limit": page_size, "before": before' + (", " + query if query else "")
    if query:
        call.append("query={" + query + "}")
    headers = ['"if-match": if_match'] * operation.conditional + ['"idempotency-key": idempotency_key'] * operation.keyed
    if headers:
        call.append("headers={" + ", ".join(headers) + "}")
    if operation.keyed:
        call.append("keyed=True")
    request = f"{'await ' if is_async else ''}self._client.request({', '.join(call)})"
    if pages:
        is_choice = of[3] and "oneOf" in api.schemas[of[3]]
        entry = f"models.{of[3]}.from_dict(one)" if of[3] else "one"
        kind = python_entry(api, of[3])
        # The generator makes no type of a choice, but reads one in its page.
        read = f"models.{of[1]}.from_dict(body).{of[2]}" if is_choice else f"[{entry} for one in entries]"
        lines += [
            f"        {'async ' if is_async else ''}def fetch(before: Any) -> Page[{kind}]:",
            f"            body = ({request}).json()",
            f'            entries = body["{of[2]}"]',
            f'            last = entries[-1]["{of[4]}"] if entries else None',
            f'            return Page({read}, body["total"], last)',
            "",
            f"        return {'Async' if is_async else ''}Pages(fetch, page_size)",
        ]
    elif answer == "nothing":
        lines += [f"        {request}"]
    elif answer == "bytes":
        lines += [f"        return ({request}).content"]
    elif answer == "part":
        lines += [f'        return models.{of[3]}.from_dict(({request}).json()["{of[2]}"])']
    else:
        lines += [f"        return models.{of[1]}.from_dict(({request}).json())"]
    return lines


def class_name(tag):
    return "".join(part.capitalize() for part in tag.split("_"))


def python_resources(api):
    lines = [
        '"""The methods of the API, written by sdk/build.py from its description."""',
        "",
        "from __future__ import annotations",
        "",
        "import datetime",
        "import uuid",
        "from collections.abc import Mapping, Sequence",
        "from typing import TYPE_CHECKING, Any, Literal",
        "from urllib.parse import quote",
        "",
        "from ._generated import models",
        "from ._generated.types import UNSET, Unset",
        "from ._pages import PAGE_SIZE, AsyncPages, Page, Pages",
        "",
        "if TYPE_CHECKING:",
        "    from ._client import AsyncTrunkline, Trunkline",
        "",
        "",
        "def _part(value: object) -> str:",
        '    """A part of a path: an empty one, or dots, would be another path."""',
        '    text = quote(str(value), safe="")',
        '    if text in ("", ".", ".."):',
        '        raise ValueError("an identifier must not be empty")',
        "    return text",
    ]
    for is_async in (False, True):
        prefix = "Async" if is_async else ""
        for tag, operations in api.groups():
            lines += ["", "", f"class {prefix}{class_name(tag)}:", f'    """{api.about[tag]}"""', ""]
            lines += [f"    def __init__(self, client: {prefix}Trunkline) -> None:", "        self._client = client"]
            for operation in operations:
                lines += [""] + python_method(api, operation, is_async)
        lines += ["", "", f"class {prefix}Resources:", '    """All groups of methods."""', ""]
        lines += [f"    def __init__(self, client: {prefix}Trunkline) -> None:"]
        for tag, _ in api.groups():
            lines += [f"        self.{tag} = {prefix}{class_name(tag)}(client)", f'        """{api.about[tag]}"""']
    return "\n".join(lines) + "\n"


def build_python(api, description, out, version):
    package = out / "python"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(HERE / "python", package, ignore=shutil.ignore_patterns("__pycache__", "templates", "generator.yaml"))
    shutil.copy(ROOT / "LICENSE", package / "LICENSE")
    project = package / "pyproject.toml"
    project.write_text(project.read_text().replace('version = "0.0.0"', f'version = "{version}"'))
    write_snippets("python", ".py", package / "snippets")
    tool = os.environ.get("OPENAPI_PYTHON_CLIENT") or str(ROOT / "target/venv/bin/openapi-python-client")
    said = subprocess.run(
        [tool, "generate", "--path", description, "--meta", "none", "--config", HERE / "python/generator.yaml",
            "--custom-template-path", HERE / "python/templates", "--output-path", package / "trunkline/_generated", "--overwrite"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if said.returncode or "WARNING" in said.stdout or "Unable" in said.stdout:
        sys.exit(f"openapi-python-client: {said.stdout}")
    (package / "trunkline/_resources.py").write_text(python_resources(api))


# 3. TypeScript.

def camel(name):
    first, *rest = re.split(r"[_-]", name)
    return first + "".join(part.capitalize() for part in rest)


def ts_doc(operation, indent):
    lines = textwrap.wrap(operation.description.replace("*/", "* /"), 112, break_on_hyphens=False)
    pad = " " * indent
    if len(lines) == 1:
        return [f"{pad}/** {lines[0]} */"]
    return [f"{pad}/**"] + [f"{pad} * {line}" for line in lines] + [f"{pad} */"]


def ts_method(api, operation):
    of, answer = operation.answer, operation.answer[0]
    arguments, path = [], {}
    for one in operation.path_parameters:
        kind = "number" if one["schema"].get("type") == "integer" else "string"
        arguments.append(f"{camel(one['name'])}: {kind}")
        path[one["name"]] = camel(one["name"])
    if operation.body:
        arguments.append(f'body: Schemas["{operation.body}"]')
    options = [f'{one["name"]}?: {ts_type(one["schema"])}' for one in operation.query]
    if answer == "pages":
        options.append("pageSize?: number")
    extra = ["ConditionalOptions"] * operation.conditional + ["KeyedOptions"] * operation.keyed
    kinds = (["{ " + "; ".join(options) + " }"] if options else []) + (extra or ["RequestOptions"])
    arguments.append(f"options: {' & '.join(kinds)} = {{}}")
    result = {
        "nothing": lambda: "Promise<void>",
        "bytes": lambda: "Promise<Uint8Array>",
        "model": lambda: f'Promise<Schemas["{of[1]}"]>',
        "part": lambda: f'Promise<Schemas["{of[3]}"]>',
        "pages": lambda: "Pages<" + (f'Schemas["{of[3]}"]' if of[3] else "Record<string, unknown>") + ">",
    }[answer]()
    text = "`" + re.sub(r"\{(\w+)\}", lambda found: "${part(" + path[found[1]] + ")}", operation.path) + "`" if path else json.dumps(operation.path)
    sent = []
    query = [f'{one["name"]}: options.{one["name"]}' for one in operation.query]
    if answer == "pages":
        query = ["limit: size", "before"] + query
    if query:
        sent.append("query: { " + ", ".join(query) + " }")
    if operation.body:
        sent.append("body")
    if operation.keyed:
        sent.append("keyed: true")
    sent.append("options")
    request = f'this.core.request("{operation.method.upper()}", {text}, {{ {", ".join(sent)} }})'
    lines = ts_doc(operation, 2)
    is_async = "async " if answer != "pages" else ""
    lines.append(f"  {is_async}{camel(operation.name)}({', '.join(arguments)}): {result} {{")
    if answer == "pages":
        kind = f'Schemas["{of[3]}"]' if of[3] else "Record<string, unknown>"
        lines += [
            "    const size = options.pageSize ?? PAGE_SIZE;",
            "    return new Pages(size, async (before) => {",
            f'      const body = (await ({request}).then(json)) as Schemas["{of[1]}"];',
            f"      const items = body.{of[2]} as {kind}[];",
            f'      return {{ items, total: body.total, last: items.at(-1)?.{of[4]} as string | number | undefined }};' if of[3] else
            f'      return {{ items, total: body.total, last: items.at(-1)?.["{of[4]}"] as string | undefined }};',
            "    });",
        ]
    elif answer == "nothing":
        lines.append(f"    await {request};")
    elif answer == "bytes":
        lines.append(f"    return new Uint8Array(await (await {request}).arrayBuffer());")
    elif answer == "part":
        lines.append(f'    return ((await {request}.then(json)) as Schemas["{of[1]}"]).{of[2]};')
    else:
        lines.append(f'    return (await {request}.then(json)) as Schemas["{of[1]}"];')
    return lines + ["  }"]


def ts_type(schema):
    if "$ref" in schema:
        return f'Schemas["{schema["$ref"].rsplit("/", 1)[1]}"]'
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " | ".join(ts_type(one) for one in schema[choice] if one.get("type") != "null")
    kind = schema.get("type")
    kind = next(one for one in kind if one != "null") if isinstance(kind, list) else kind
    return {"integer": "number", "number": "number", "boolean": "boolean"}.get(kind, "string")


def ts_resources(api):
    lines = [
        "// The methods of the API, written by sdk/build.py from its description.",
        'import { type ConditionalOptions, type Core, type KeyedOptions, type RequestOptions, json, part } from "./core.js";',
        'import { PAGE_SIZE, Pages } from "./pages.js";',
        'import type { components } from "./schema.js";',
        "",
        "/** The types of the API. */",
        'export type Schemas = components["schemas"];',
    ]
    for tag, operations in api.groups():
        lines += ["", f"/** {api.about[tag]} */", f"export class {class_name(tag)} {{", "  constructor(private readonly core: Core) {}"]
        for operation in operations:
            lines += [""] + ts_method(api, operation)
        lines.append("}")
    lines += ["", "/** All groups of methods. */", "export class Resources {"]
    for tag, _ in api.groups():
        lines += [f"  /** {api.about[tag]} */", f"  readonly {camel(tag)}: {class_name(tag)};"]
    lines += ["", "  constructor(core: Core) {"]
    lines += [f"    this.{camel(tag)} = new {class_name(tag)}(core);" for tag, _ in api.groups()]
    return "\n".join(lines + ["  }", "}"]) + "\n"


def build_typescript(api, description, out, version):
    package, modules = out / "typescript", HERE / "typescript/node_modules"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(HERE / "typescript", package, ignore=shutil.ignore_patterns("node_modules", "dist"))
    shutil.copy(ROOT / "LICENSE", package / "LICENSE")
    manifest = package / "package.json"
    manifest.write_text(manifest.read_text().replace('"version": "0.0.0"', f'"version": "{version}"'))
    write_snippets("typescript", ".ts", package / "snippets")
    # The tools of the clone; a package that is installed brings openapi-fetch itself.
    (package / "node_modules").symlink_to(modules)
    run = lambda *command: subprocess.run(command, cwd=package, check=True, stdout=subprocess.DEVNULL)
    run(modules / ".bin/openapi-typescript", description, "-o", "src/schema.ts", "--default-non-nullable", "false")
    (package / "src/resources.ts").write_text(ts_resources(api))
    for project in ("tsconfig.json", "tsconfig.programs.json"):
        subprocess.run([modules / ".bin/tsc", "-p", project], cwd=package, check=True)


def main():
    source, out, *languages = sys.argv[1:]
    document = prepared(json.loads(Path(source).read_text()))
    out = Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    languages = languages or ["python", "typescript"]
    api, version = Api(document), document["info"]["version"]
    for language in languages:
        description = out / f"{language}.json"
        description.write_text(json.dumps(document, indent=1))
        {"python": build_python, "typescript": build_typescript}[language](api, description, out, version)


main()
