#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""schema-gen.py API_DIR OUT_DIR: turns api/*.api into C++ structs (OUT/api/X.h, X.cc) and tables (OUT/api/tables.cc).

The format of the input is described in api/README.md. Overlays (api/overlay/*.api) add attributes to fields, descriptions and
columns. Output files are rewritten only when they change, so that an edit of one file rebuilds little.
"""
import pathlib
import re
import sys

KINDS = {  # api type -> (Kind enumerator, C++ type)
    "bool": ("kBool", "bool"), "int32": ("kInt32", "int32_t"), "int64": ("kInt64", "int64_t"),
    "uint32": ("kUint32", "uint32_t"), "uint64": ("kUint64", "uint64_t"), "float": ("kFloat", "float"),
    "double": ("kDouble", "double"), "string": ("kString", "schema::Str"), "bytes": ("kBytes", "schema::Str"),
    "Time": ("kTime", "schema::Time"), "MicroTime": ("kMicroTime", "schema::MicroTime"),
    "Duration": ("kDuration", "schema::DurationValue"), "Quantity": ("kQuantity", "schema::Quantity"),
    "IntOrString": ("kIntOrString", "schema::IntOrString"), "RawExtension": ("kRawExtension", "schema::Raw"),
    "FieldsV1": ("kFieldsV1", "schema::Raw"), "JSON": ("kJson", "schema::Raw"),
    "[]string": ("kStringList", "schema::List<schema::Str>"),
}
KEYWORDS = set("""alignas and asm auto bool break case catch char class const continue default delete do double else enum
explicit export extern false float for friend goto if inline int long mutable namespace new not operator or private protected
public register return short signed sizeof static struct switch template this throw true try type typedef typename union
unsigned using virtual void volatile while xor linux unix major minor""".split()) - {"type"}
# Folders whose files add to what the import made, applied in this order.
OVERLAYS = ("overlay", "columns", "descriptions")
SPECIAL = {"JSONSchemaPropsOrBool": "kOrBool", "JSONSchemaPropsOrArray": "kOrArray",
           "JSONSchemaPropsOrStringArray": "kOrStringArray"}

META_GROUP_KINDS = {"PartialObjectMetadata", "PartialObjectMetadataList", "Table", "TableOptions"}


class Field:
    def __init__(self, name, type_text, tag, attributes):
        self.name, self.attributes = name, attributes
        self.tag = 0 if tag == "-" else int(tag)
        self.shape = "kPlain"
        for prefix, shape in (("*", "kOptional"), ("map[", "kMap"), ("[]", "kList")):
            if type_text.startswith(prefix):
                self.shape, type_text = shape, type_text[len(prefix):]
                if prefix == "map[":
                    type_text = type_text[:-1]
                break
        self.base = type_text


class Struct:
    def __init__(self, group, name, is_kind, flags):
        self.group, self.name, self.is_kind, self.flags = group, name, is_kind, flags
        self.fields, self.description = [], ""


class Group:
    def __init__(self, stem):
        self.stem, self.structs, self.resources = stem, {}, []
        self.group = self.version = self.package = ""


def parse_attributes(text):
    attributes = {}
    while text:
        if text.startswith("default="):  # takes the rest, up to two spaces
            value, _, text = text[len("default="):].partition("  ")
            attributes["default"] = value
        else:
            word, _, text = text.partition(" ")
            key, _, value = word.partition("=")
            if key:
                attributes[key] = value
        text = text.lstrip()
    return attributes


def parse_group(path, groups):
    group = groups.setdefault(path.stem, Group(path.stem))
    struct = resource = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if not line.startswith(" "):
            struct = resource = None
            if words[0] == "group":
                group.group = "" if words[1] == "core" else words[1]
                pairs = dict(zip(words[2::2], words[3::2]))
                group.version, group.package = pairs.get("version", ""), pairs.get("package", "")
            elif words[0] in ("struct", "kind"):
                struct = group.structs.setdefault(words[1], Struct(group, words[1], words[0] == "kind", set(words[2:])))
                struct.flags |= set(words[2:])
            elif words[0] == "resource":
                resource = next((r for r in group.resources if r["plural"] == words[1]), None)
                if resource is None:
                    resource = {"plural": words[1], "selectors": [], "subs": [], "columns": []}
                    group.resources.append(resource)
            else:
                sys.exit(f"{path}:{number}: unknown head {words[0]}")
        elif struct is not None:
            # `description TEXT` is the type's; `description "text"` that of a field with this name.
            quoted_field = len(words) > 1 and words[1].startswith('"') and any(f.name == "description" for f in struct.fields)
            if words[0] == "description" and path.parent.name in OVERLAYS and not quoted_field:
                struct.description = line.strip().partition(" ")[2]
                continue
            existing = next((f for f in struct.fields if f.name == words[0]), None)
            if path.parent.name in OVERLAYS:
                if existing is None:
                    sys.exit(f"{path}:{number}: {struct.name} has no field {words[0]}")
                rest = line.strip().partition(" ")[2]
                if rest.startswith('"'):
                    existing.attributes["description"] = rest.strip('"')
                else:
                    existing.attributes.update(parse_attributes(rest))
            else:
                rest = line.strip().split(" ", 3)
                struct.fields.append(Field(words[0], words[1], words[2], parse_attributes(rest[3] if len(rest) > 3 else "")))
        elif resource is not None:
            key = words[0]
            if key == "selector":
                resource["selectors"].append(words[1])
            elif key == "sub":
                resource["subs"].append(words[1:])
            elif key == "column":
                # column "Name" type format priority path [description]
                parts = re.findall(r'"[^"]*"|\S+', line.strip())[1:]
                resource["columns"].append([p.strip('"') for p in parts])
            else:
                resource[key] = words[1:]
        else:
            sys.exit(f"{path}:{number}: line without a head")


def snake(name):
    name = re.sub(r"([A-Z]{2,})s(?=$|[A-Z])", lambda m: m.group(1).capitalize() + "s", name)
    name = name.replace("$", "").replace("-", "_").replace(".", "_")
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()
    return name + "_" if name in KEYWORDS else name


class Generator:
    def __init__(self, groups):
        self.groups = groups
        self.types = [s for g in groups.values() for s in g.structs.values()]
        self.index = {id(s): i for i, s in enumerate(self.types)}
        self.pool, self.offsets = bytearray(b"\0\0"), {"": 0}

    def text(self, value):
        if value not in self.offsets:
            data = value.encode()
            self.offsets[value] = len(self.pool)
            self.pool += len(data).to_bytes(2, "little") + data
        return self.offsets[value]

    def resolve(self, group, base):
        if base in KINDS:
            return None
        stem, _, name = base.rpartition(".")
        target = self.groups.get(stem or group.stem)
        if target is None or name not in target.structs:
            sys.exit(f"{group.stem}: unknown type {base}")
        return target.structs[name]

    def cpp_type(self, group, field):
        target = self.resolve(group, field.base)
        if target is None:
            base = KINDS[field.base][1]
        else:
            base = target.name if target.group is group else f"{target.group.stem}::{target.name}"
        if field.shape == "kOptional":
            return f"schema::{'Opt' if target is None else 'Box'}<{base}>"
        return {"kPlain": "{}", "kList": "schema::List<{}>", "kMap": "schema::Map<{}>"}[field.shape].format(base)

    def ordered(self, group):
        """Structs after the structs that they hold by value."""
        done, order = set(), []

        def visit(struct, stack):
            if struct.name in done:
                return
            if struct.name in stack:
                sys.exit(f"{group.stem}: {struct.name} contains itself")
            for field in struct.fields:
                target = self.resolve(group, field.base)
                if target is not None and target.group is group and field.shape == "kPlain":
                    visit(target, stack | {struct.name})
            done.add(struct.name)
            order.append(struct)

        for struct in group.structs.values():
            visit(struct, frozenset())
        return order

    def header(self, group):
        includes = sorted({t.group.stem for s in group.structs.values() for f in s.fields
                           if (t := self.resolve(group, f.base)) is not None and t.group is not group})
        out = ["// Generated by tools/schema-gen.py from api/; do not edit.", "#pragma once", '#include "schema/resource.h"']
        out += [f'#include "api/{name}.h"' for name in includes]
        out += ["", f"namespace knarr::api::{group.stem} {{", ""]
        order = self.ordered(group)
        out += [f"struct {s.name};" for s in order]
        resources = {r["kind"][0]: r for r in group.resources}
        for struct in order:
            out += ["", f"struct {struct.name} {{"]
            for field in struct.fields:
                init = "{}" if field.shape == "kPlain" and self.resolve(group, field.base) is None else ""
                out.append(f"  {self.cpp_type(group, field)} {snake(field.name)}{init};")
            name = struct.name
            out += [f"  {name}();", f"  {name}(const {name}&);", f"  {name}({name}&&) noexcept;",
                    f"  {name}& operator=(const {name}&);", f"  {name}& operator=({name}&&) noexcept;", f"  ~{name}();",
                    f"  static const schema::Type& table() {{ return schema::kBuiltin.types[{self.index[id(struct)]}]; }}"]
            if struct.is_kind:
                out.append("  static const schema::KindInfo& kind_info();")
            if struct.is_kind and struct.name in resources:
                out.append("  static const schema::Resource& resource();")
            out += [f"  friend bool operator==(const {name}& a, const {name}& b) {{ return schema::equal(table(), &a, &b); }}", "};"]
        out += ["", f"}}  // namespace knarr::api::{group.stem}", ""]
        return "\n".join(out)

    def source(self, group):
        out = ["// Generated by tools/schema-gen.py from api/; do not edit.", f'#include "api/{group.stem}.h"', "",
               f"namespace knarr::api::{group.stem} {{", ""]
        for struct in group.structs.values():
            n = struct.name
            out += [f"{n}::{n}() = default;", f"{n}::{n}(const {n}&) = default;", f"{n}::{n}({n}&&) noexcept = default;",
                    f"{n}& {n}::operator=(const {n}&) = default;", f"{n}& {n}::operator=({n}&&) noexcept = default;",
                    f"{n}::~{n}() = default;"]
        out += ["", f"}}  // namespace knarr::api::{group.stem}", ""]
        return "\n".join(out)

    def tables(self):
        fields, metas, types, orders = [], [], [], []
        lists = {"": "kNone", "atomic": "kAtomic", "set": "kSet", "map": "kMap"}
        for struct in self.types:
            group, cpp = struct.group, f"api::{struct.group.stem}::{struct.name}"
            first = len(fields)
            for field in struct.fields:
                target, a = self.resolve(group, field.base), field.attributes
                kind = "kStruct" if target is not None else KINDS[field.base][0]
                flags = sum(bit for key, bit in (("omitempty", 1), ("inline", 2), ("wrapped", 4), ("required", 8), ("typed", 16)) if key in a)
                fields.append(f"{{{self.text(field.name)}, {0 if target is None else self.index[id(target)]}, "
                              f"offsetof({cpp}, {snake(field.name)}), {field.tag}, Kind::{kind}, Shape::{field.shape}, {flags}}}")
                list_type, _, keys = a.get("list", "").partition(":")
                if "atomic" in (a.get("map"), a.get("struct")):
                    list_type = "atomic"
                strategy, _, merge_key = a.get("patch", "").partition(":")
                bits = sum(bit for word, bit in (("merge", 1), ("retainKeys", 2), ("replace", 4)) if word in strategy.split(","))
                metas.append(f"{{{self.text(a.get('default', ''))}, {self.text(merge_key)}, {self.text(keys)}, "
                             f"{self.text(a.get('enum', ''))}, {self.text(a.get('description', ''))}, FieldMeta::{lists[list_type]}, {bits}}}")
            tagged = sorted((f.tag, i) for i, f in enumerate(struct.fields) if f.tag)
            flags = [f for f, on in (("kHasTypeMeta", struct.is_kind), ("kProto3", "proto3" in struct.flags),
                                     ("kAtomicStruct", "atomic" in struct.flags)) if on]
            if "special" in struct.flags:
                flags.append(SPECIAL[struct.name])
            openapi = f"{group.package}.{struct.name}" if group.package else ""
            types.append(f"{{&kBuiltin, {self.text(struct.name)}, {self.text(openapi)}, {first}, {len(struct.fields)}, "
                         f"sizeof({cpp}), {' | '.join(flags) or 0}, {self.index[id(struct)]}, {len(orders)}, {self.text(struct.description)}}}")
            # A count precedes the order, for fields without a number are not in it.
            orders += [len(tagged)] + [i for _, i in tagged]
        pool = "".join(f'\n  "{chunk}"' for chunk in self.pool_chunks())
        out = ["// Generated by tools/schema-gen.py from api/; do not edit.", "#include <cstddef>", '#include "schema/resource.h"']
        out += [f'#include "api/{stem}.h"' for stem in self.groups]
        out += ["", "namespace knarr::schema {", "namespace {", "",
                "// clang-format off", f"const char kStrings[] ={pool};", "",
                "const Field kFields[] = {", *[f"  {f}," for f in fields], "};",
                "const FieldMeta kMetas[] = {", *[f"  {m}," for m in metas], "};",
                "const uint8_t kTagOrders[] = {" + ",".join(map(str, orders)) + "};",
                "const Type kTypes[] = {", *[f"  {t}," for t in types], "};", "}  // namespace", "",
                f"const TypeSet kBuiltin = {{kStrings, kTypes, kFields, kMetas, kTagOrders, {len(types)}}};",
                "}  // namespace knarr::schema", ""]
        return "\n".join(out)

    def pool_chunks(self):
        for start in range(0, len(self.pool), 120):
            chunk = self.pool[start:start + 120]
            yield "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in chunk)

    def resources(self):
        out = ["// Generated by tools/schema-gen.py from api/; do not edit.", '#include "schema/resource.h"']
        out += [f'#include "api/{stem}.h"' for stem in self.groups]
        out += ["", "namespace knarr::schema {", "namespace {", "// clang-format off"]
        kinds, kind_index = [], {}
        for group in self.groups.values():
            for struct in group.structs.values():
                if struct.is_kind:
                    kind_index[(group.stem, struct.name)] = len(kinds)
                    # Upstream's kinds without a group of their own (Status, the options, discovery) go by the core group's v1.
                    name = "" if group.stem == "meta_v1" and struct.name not in META_GROUP_KINDS else group.group
                    api_version = f"{name}/{group.version}" if name else group.version
                    kinds.append(f'  {{"{name}", "{group.version}", "{struct.name}", "{api_version}", &api::{group.stem}::{struct.name}::table()}},')
        out += ["const KindInfo kKinds[] = {", *kinds, "};"]
        resources, accessors = [], []
        verb_bits = {v: 1 << i for i, v in enumerate("create delete deletecollection get list patch update watch".split())}

        def strings(name, values):
            if not values:
                return "{}"
            out.append(f"const std::string_view {name}[] = {{{', '.join(chr(34) + v + chr(34) for v in values)}}};")
            return name

        for group in self.groups.values():
            api_version = f"{group.group}/{group.version}" if group.group else group.version
            for r in group.resources:
                tag = f"{group.stem}_{r['plural']}"
                kind = r["kind"][0]
                kind_stem, _, kind_name = kind.rpartition(".")
                kind_stem = kind_stem or group.stem
                list_name = kind_name + "List"
                has_list = list_name in self.groups[kind_stem].structs
                subs = []
                for words in r["subs"]:
                    verbs = sum(verb_bits[w] for w in words[1:] if w in verb_bits)
                    target = next((w[5:] for w in words if w.startswith("kind=")), None)
                    pointer = "nullptr"
                    if target is not None:
                        stem, _, name = target.rpartition(".")
                        pointer = f"&kKinds[{kind_index[(stem or group.stem, name)]}]"
                    subs.append(f'{{"{words[0]}", {verbs}, {pointer}}}')
                columns = [f'{{"{c[0]}", "{c[1]}", "{"" if c[2] == "-" else c[2]}", "{c[5] if len(c) > 5 else ""}", {c[3]}, "{c[4]}"}}' for c in r["columns"]]
                for name, values, cpp in (("subs", subs, "Subresource"), ("columns", columns, "Column")):
                    if values:
                        out.append(f"const {cpp} k_{tag}_{name}[] = {{{', '.join(values)}}};")
                short = strings(f"k_{tag}_short", r.get("short", []))
                categories = strings(f"k_{tag}_categories", r.get("categories", []))
                selectors = strings(f"k_{tag}_selectors", r["selectors"])
                type_ref = f"&api::{kind_stem}::{kind_name}::table()"
                list_ref = f"&api::{kind_stem}::{list_name}::table()" if has_list else "nullptr"
                first = lambda key, default="": (r.get(key) or [default])[0]
                if kind_stem == group.stem:
                    accessors.append(f"const schema::Resource& {group.stem}::{kind_name}::resource() {{ return schema::kResources[{len(resources)}]; }}")
                resources.append(
                    f'  {{"{group.group}", "{group.version}", "{api_version}", "{r["plural"]}", "{first("singular")}", "{kind_name}", "{list_name if has_list else ""}", '
                    f'{"true" if first("scope") == "Namespaced" else "false"}, {"true" if first("served", "no") == "yes" else "false"}, '
                    f'{sum(verb_bits[v] for v in r.get("verbs", []))}, "{first("storage", r["plural"])}", "{first("hash")}", '
                    f'{short}, {categories}, {selectors}, {f"k_{tag}_subs" if subs else "{}"}, {f"k_{tag}_columns" if columns else "{}"}, {type_ref}, {list_ref}}},')
        out += ["}  // namespace", "extern const Resource kResources[];", "const Resource kResources[] = {", *resources, "};",
                "std::span<const KindInfo> builtin_kinds() { return kKinds; }",
                f"std::span<const Resource> builtin_resources() {{ return {{kResources, {len(resources)}}}; }}",
                "}  // namespace knarr::schema", "", "namespace knarr::api {",
                *[f"const schema::KindInfo& {stem}::{name}::kind_info() {{ return schema::builtin_kinds()[{i}]; }}"
                  for (stem, name), i in kind_index.items()], *accessors, "}  // namespace knarr::api", ""]
        return "\n".join(out)


def write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main(api, out):
    groups = {}
    for path in sorted(api.glob("*.api")) + [p for folder in OVERLAYS for p in sorted(api.glob(f"{folder}/*.api"))]:
        if path.parent.name in OVERLAYS:
            # An overlay's lines belong to the group named by its own head line: `group apps_v1`.
            parse_overlay(path, groups)
        else:
            parse_group(path, groups)
    generator = Generator(groups)
    target = out / "api"
    target.mkdir(parents=True, exist_ok=True)
    for group in groups.values():
        write(target / f"{group.stem}.h", generator.header(group))
        write(target / f"{group.stem}.cc", generator.source(group))
    write(target / "tables.cc", generator.tables())
    write(target / "resources.cc", generator.resources())
    (target / "stamp").touch()


def parse_overlay(path, groups):
    parse_group(path, groups) if path.stem in groups else sys.exit(f"{path}: no group {path.stem}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
