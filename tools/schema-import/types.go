package main

import (
	"fmt"
	"go/ast"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// builtins are the upstream types with an encoding of their own, by the name they have in .api files.
var builtins = map[string]string{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":                     "Time",
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":                "MicroTime",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":                 "Duration",
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":                 "FieldsV1",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":                 "Quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":               "IntOrString",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":                  "RawExtension",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON": "JSON",
}

var scalars = map[string]string{
	"bool": "bool", "string": "string", "float32": "float", "float64": "double",
	"int8": "int32", "int16": "int32", "int32": "int32", "int": "int64", "int64": "int64",
	"uint8": "uint32", "uint16": "uint32", "uint32": "uint32", "uint64": "uint64",
}

// fieldType is a Go field type in the notation of .api files.
type fieldType struct {
	name    string
	wrapped bool     // protobuf nests the list in a message of its own
	enum    []string // values of the string, or of the strings in the list or map
}

// writeTypes writes the group line and every struct of the package in alphabetical order.
func writeTypes(w io.Writer, s *source, p *pkg) error {
	fmt.Fprintln(w, "# Written by tools/schema-import; do not edit.")
	fmt.Fprintf(w, "group %s version %s package %s proto %s\n", p.group, p.version, openapiPackage(p), p.proto)
	for _, name := range p.sortedTypes() {
		decl := p.types[name]
		if builtins[p.path+"."+name] != "" || decl.alias || !ast.IsExported(name) {
			continue
		}
		body, home, err := s.structOf(decl)
		if err != nil {
			return err
		}
		if body == nil || !p.messages[name] && !hasJSON(body) {
			continue
		}
		if err := writeStruct(w, s, decl, body, home); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// openapiPackage is the import path as OpenAPI definition names spell it: io.k8s.api.core.v1.
func openapiPackage(p *pkg) string {
	if p.group == "cri" {
		return p.proto
	}
	return "io.k8s" + strings.ReplaceAll(strings.TrimPrefix(p.path, "k8s.io"), "/", ".")
}

func hasJSON(body *ast.StructType) bool {
	for _, field := range body.Fields.List {
		if _, ok := fieldTag(field).Lookup("json"); ok {
			return true
		}
	}
	return false
}

// writeStruct writes decl, whose fields are spelled out in home (decl itself unless declared by another type's name).
func writeStruct(w io.Writer, s *source, decl *typeDecl, body *ast.StructType, home *typeDecl) error {
	head, union, lines := "struct", "", []string{}
	for _, field := range body.Fields.List {
		if isTypeMeta(field) {
			head = "kind"
			continue
		}
		line, err := fieldLine(s, decl, home, field)
		if err != nil {
			return err
		}
		if line == "" {
			continue
		}
		lines = append(lines, line)
		if readMarkers(field.Doc).has("unionDiscriminator") {
			union, _, _ = strings.Cut(line, " ")
		}
	}
	head += " " + decl.name
	if decl.pkg.proto3 {
		head += " proto3"
	}
	if !decl.pkg.messages[decl.name] {
		head += " nometa"
	}
	if decl.markers.get("structType") == "atomic" || decl.markers.get("mapType") == "atomic" {
		head += " atomic"
	}
	if union != "" {
		head += " union=" + union
	}
	if strings.HasPrefix(decl.name, "JSONSchemaPropsOr") {
		head += " special" // one of two JSON forms, chosen by the value
	}
	fmt.Fprintf(w, "\n%s\n", head)
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", line)
	}
	return nil
}

// isTypeMeta reports the embedded apiVersion and kind of an API object. (runtime.Unknown embeds its own TypeMeta
// with a protobuf number; that one is a field.)
func isTypeMeta(field *ast.Field) bool {
	return len(field.Names) == 0 && typeName(field.Type) == "TypeMeta" && fieldTag(field).Get("protobuf") == ""
}

func fieldTag(field *ast.Field) reflect.StructTag {
	if field.Tag == nil {
		return ""
	}
	tag, _ := strconv.Unquote(field.Tag.Value)
	return reflect.StructTag(tag)
}

// fieldLine returns the line of one field, or "" for a field that is in neither encoding.
func fieldLine(s *source, decl, home *typeDecl, field *ast.Field) (string, error) {
	tag := fieldTag(field)
	protoName, number := parseProtobufTag(tag.Get("protobuf"))
	jsonTag := strings.Split(tag.Get("json"), ",")
	name := jsonTag[0]
	if name == "" || name == "-" {
		name = protoName // inline fields, and those of types with a JSON form of their own
	}
	if name == "" && contains(jsonTag, "inline") {
		name = lowerFirst(typeName(field.Type))
	}
	if name == "" {
		return "", nil
	}
	typ, err := s.fieldType(decl.pkg, home.pkg, home.file, field.Type)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	marks := readMarkers(field.Doc)
	words := []string{name, typ.name, number}
	omitempty, inline := contains(jsonTag, "omitempty"), contains(jsonTag, "inline")
	if omitempty {
		words = append(words, "omitempty")
	}
	if inline {
		words = append(words, "inline")
	}
	// The rule of kube-openapi's generator. A field without a JSON name is no member of a JSON object.
	if jsonTag[0] != "" && !omitempty && !marks.has("optional") && hasOpenAPI(decl.pkg) {
		words = append(words, "required")
	}
	words = append(words, mergeWords(tag, marks)...)
	if len(typ.enum) > 0 {
		words = append(words, "enum="+strings.Join(typ.enum, ","))
	}
	if marks.has("default") {
		words = append(words, "default="+marks.get("default"))
	}
	if typ.wrapped {
		words = append(words, "wrapped")
	}
	return strings.Join(words, " "), nil
}

// hasOpenAPI is false for the types that are only ever protobuf.
func hasOpenAPI(p *pkg) bool { return p.file != "runtime" && p.file != "cri_v1" }

// mergeWords are the attributes that steer strategic merge patch and server-side apply.
func mergeWords(tag reflect.StructTag, marks markers) []string {
	var words []string
	if strategy := tag.Get("patchStrategy"); strategy != "" {
		word := "patch=" + strategy
		if key := tag.Get("patchMergeKey"); key != "" {
			word += ":" + key
		}
		words = append(words, word)
	}
	if list := marks.get("listType"); list != "" {
		word := "list=" + list
		if keys := marks["listMapKey"]; len(keys) > 0 {
			word += ":" + strings.Join(keys, ",")
		}
		words = append(words, word)
	}
	for _, kind := range []string{"map", "struct"} {
		if value := marks.get(kind + "Type"); value != "" {
			words = append(words, kind+"="+value)
		}
	}
	return words
}

// parseProtobufTag takes name and number from a tag like "bytes,1,opt,name=metadata".
func parseProtobufTag(tag string) (name, number string) {
	number = "-"
	for i, part := range strings.Split(tag, ",") {
		if i == 1 {
			number = part
		}
		if value, ok := strings.CutPrefix(part, "name="); ok {
			name = value
		}
	}
	return name, number
}

// fieldType translates a type written in file of package at; references are relative to package from.
func (s *source) fieldType(from, at *pkg, file *ast.File, expr ast.Expr) (fieldType, error) {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		t, err := s.fieldType(from, at, file, expr.X)
		t.name = "*" + t.name
		return t, err
	case *ast.ArrayType:
		if elem, ok := expr.Elt.(*ast.Ident); ok && elem.Name == "byte" {
			return fieldType{name: "bytes"}, nil
		}
		t, err := s.elementType(from, at, file, expr.Elt)
		t.name = "[]" + t.name
		return t, err
	case *ast.MapType:
		t, err := s.elementType(from, at, file, expr.Value)
		t.name = "map[" + t.name + "]"
		return t, err
	case *ast.InterfaceType:
		return fieldType{name: "JSON"}, nil
	case *ast.Ident:
		if scalar, ok := scalars[expr.Name]; ok {
			return fieldType{name: scalar}, nil
		}
	}
	decl, err := s.find(at, file, expr)
	if err != nil {
		return fieldType{}, err
	}
	return s.namedType(from, decl)
}

// elementType drops the pointer of list and map elements, which gogo's proto3 code has: elements are never absent.
func (s *source) elementType(from, at *pkg, file *ast.File, expr ast.Expr) (fieldType, error) {
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	return s.fieldType(from, at, file, expr)
}

func (s *source) namedType(from *pkg, decl *typeDecl) (fieldType, error) {
	if builtin := builtins[decl.pkg.path+"."+decl.name]; builtin != "" {
		return fieldType{name: builtin}, nil
	}
	body, _, err := s.structOf(decl)
	if err != nil {
		return fieldType{}, err
	}
	if body != nil {
		if decl.pkg == from {
			return fieldType{name: decl.name}, nil
		}
		return fieldType{name: decl.pkg.file + "." + decl.name}, nil
	}
	t, err := s.fieldType(from, decl.pkg, decl.file, decl.expr)
	if err != nil {
		return fieldType{}, err
	}
	if decl.markers.has("enum") {
		if t.enum, err = s.enumValues(decl); err != nil {
			return fieldType{}, err
		}
	}
	if decl.pkg.messages[decl.name] {
		t.wrapped = true // `type Verbs []string` is a message with one repeated field
	}
	return t, nil
}

// typeName is the last part of a possibly qualified type name.
func typeName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.Ident:
		return expr.Name
	case *ast.SelectorExpr:
		return expr.Sel.Name
	case *ast.StarExpr:
		return typeName(expr.X)
	}
	return ""
}

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}
