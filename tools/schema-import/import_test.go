package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// The import reads Go declarations; these tests compare it with two other descriptions of the same API that upstream
// generates, the .proto files and the OpenAPI document.

type apiField struct {
	name, typ, number string
	attrs             map[string]string
}

type apiStruct struct {
	attrs  map[string]string
	fields []apiField
}

func (s *apiStruct) head() string {
	head := "map="
	if _, ok := s.attrs["atomic"]; ok {
		head += "atomic"
	}
	if union := s.attrs["union"]; union != "" {
		head += " union=" + union
	}
	return head
}

type apiFile struct {
	name, openapi, proto string
	structs              map[string]*apiStruct
	kinds                map[string]bool
}

func importFiles(t *testing.T) (map[string]*apiFile, map[string]string) {
	t.Helper()
	texts, err := importAll()
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := downloadModules()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*apiFile{}
	for name, text := range texts {
		name = strings.TrimSuffix(name, ".api")
		files[name] = parseAPI(name, string(text))
	}
	return files, dirs
}

func attrsOf(words []string) map[string]string {
	attrs := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		attrs[name] = value
	}
	return attrs
}

func parseAPI(name, text string) *apiFile {
	f := &apiFile{name: name, structs: map[string]*apiStruct{}, kinds: map[string]bool{}}
	var current *apiStruct
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case strings.HasPrefix(line, "  "):
			if current != nil {
				current.fields = append(current.fields, apiField{words[0], words[1], words[2], attrsOf(words[3:])})
			}
		case words[0] == "group":
			f.openapi, f.proto = words[5], words[7]
		case words[0] == "resource":
			current = nil
		default:
			current = &apiStruct{attrs: attrsOf(words[2:])}
			f.structs[words[1]] = current
			f.kinds[words[1]] = words[0] == "kind"
		}
	}
	return f
}

// protoType is the declaration, without the name, that a field's message has in upstream's .proto file.
func protoType(files map[string]*apiFile, f *apiFile, field apiField) string {
	const machinery = "k8s.io.apimachinery.pkg."
	elem := strings.TrimPrefix(field.typ, "*")
	form := "optional %s"
	if f.name == "cri_v1" {
		form = "%s"
	}
	if e, ok := strings.CutPrefix(elem, "map["); ok {
		elem, form = strings.TrimSuffix(e, "]"), "map<string, %s>"
	}
	_, wrapped := field.attrs["wrapped"]
	if e, ok := strings.CutPrefix(elem, "[]"); ok {
		elem = e
		if !wrapped {
			form = "repeated %s"
		}
	}
	switch {
	case wrapped && f.name == "meta_v1":
		elem = "Verbs"
	case wrapped:
		elem = "ExtraValue"
	case elem == "Time", elem == "MicroTime", elem == "Duration", elem == "FieldsV1":
		elem = machinery + "apis.meta.v1." + elem
	case elem == "Quantity":
		elem = machinery + "api.resource." + elem
	case elem == "IntOrString":
		elem = machinery + "util.intstr." + elem
	case elem == "RawExtension":
		elem = machinery + "runtime." + elem
	default:
		if file, name, ok := strings.Cut(elem, "."); ok {
			elem = files[file].proto + "." + name
		}
	}
	return fmt.Sprintf(form, strings.TrimPrefix(elem, f.proto+"."))
}

var (
	messageBody = regexp.MustCompile(`(?ms)^message (\w+) \{\n(.*?)^\}`)
	messageLine = regexp.MustCompile(`(?m)^ +([\w<].*?) (\w+) += (\d+) ?(?:\[.*\])?;`)
	enumName    = regexp.MustCompile(`(?m)^ *enum (\w+)`)
	nestedEnum  = regexp.MustCompile(`(?s)  enum \w+ \{.*?\}`)
)

func TestAgreesWithProto(t *testing.T) {
	files, dirs := importFiles(t)
	source := newSource(dirs)
	paths, err := source.apiPackages()
	if err != nil {
		t.Fatal(err)
	}
	messages := 0
	for i, path := range append(paths, extraPackages...) {
		p, err := source.load(path)
		if err != nil {
			t.Fatal(err)
		}
		f := files[p.file]
		dir, _ := source.dir(path)
		names, _ := filepath.Glob(filepath.Join(dir, "*.proto"))
		if len(names) == 0 {
			continue
		}
		text, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		enums := map[string]bool{}
		for _, match := range enumName.FindAllStringSubmatch(string(text), -1) {
			enums[match[1]] = true
		}
		for _, match := range messageBody.FindAllStringSubmatch(string(text), -1) {
			if i < len(paths) {
				messages++
			}
			name := match[1]
			s := f.structs[name]
			if s == nil {
				if name != "ExtraValue" && name != "Verbs" && builtins[path+"."+name] == "" {
					t.Errorf("%s: message %s is missing", f.name, name)
				}
				continue
			}
			want := map[string]string{}
			for _, line := range messageLine.FindAllStringSubmatch(nestedEnum.ReplaceAllString(match[2], ""), -1) {
				typ := strings.ReplaceAll(line[1], "map<string,string>", "map<string, string>")
				if enums[typ] {
					typ = "int32"
				}
				want[line[3]] = typ
			}
			got := map[string]string{}
			for _, field := range s.fields {
				got[field.number] = protoType(files, f, field)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s.%s:\n got %v\nwant %v", f.name, name, got, want)
			}
		}
	}
	if messages != 906 {
		t.Errorf("k8s.io/api has %d messages, expected 906", messages)
	}
}

type definition struct {
	Required   []string
	Properties map[string]struct {
		ListType string   `json:"x-kubernetes-list-type"`
		ListKeys []string `json:"x-kubernetes-list-map-keys"`
		MapType  string   `json:"x-kubernetes-map-type"`
		Strategy string   `json:"x-kubernetes-patch-strategy"`
		Key      string   `json:"x-kubernetes-patch-merge-key"`
	}
	MapType string `json:"x-kubernetes-map-type"`
	Unions  []struct {
		Discriminator string
	} `json:"x-kubernetes-unions"`
}

// head renders the attributes that a struct line has.
func (d definition) head() string {
	head := "map=" + d.MapType
	for _, union := range d.Unions {
		head += " union=" + union.Discriminator
	}
	return head
}

// lines renders a definition the way structLines renders an imported struct.
func (d definition) lines() []string {
	required := map[string]bool{}
	for _, name := range d.Required {
		required[name] = true
	}
	var lines []string
	for name, property := range d.Properties {
		line := name
		if required[name] {
			line += " required"
		}
		if property.Strategy != "" {
			line += " patch=" + property.Strategy
			if property.Key != "" {
				line += ":" + property.Key
			}
		}
		if property.ListType != "" {
			line += " list=" + property.ListType
			if len(property.ListKeys) > 0 {
				line += ":" + strings.Join(property.ListKeys, ",")
			}
		}
		if property.MapType != "" {
			line += " map=" + property.MapType
		}
		lines = append(lines, line)
	}
	sort.Strings(lines)
	return lines
}

// structLines lists name and schema attributes of the struct's JSON members.
func structLines(files map[string]*apiFile, f *apiFile, name string) []string {
	var lines []string
	if f.kinds[name] {
		lines = append(lines, "apiVersion", "kind")
	}
	for _, field := range f.structs[name].fields {
		if _, inline := field.attrs["inline"]; inline {
			home, ref := f, strings.TrimPrefix(field.typ, "*")
			if file, other, ok := strings.Cut(ref, "."); ok {
				home, ref = files[file], other
			}
			lines = append(lines, structLines(files, home, ref)...)
			continue
		}
		line := field.name
		if _, ok := field.attrs["required"]; ok {
			line += " required"
		}
		for _, attr := range []string{"patch", "list"} {
			if value := field.attrs[attr]; value != "" {
				line += " " + attr + "=" + value
			}
		}
		if value := field.attrs["map"] + field.attrs["struct"]; value != "" {
			line += " map=" + value
		}
		lines = append(lines, line)
	}
	sort.Strings(lines)
	return lines
}

func TestAgreesWithOpenAPI(t *testing.T) {
	files, dirs := importFiles(t)
	text, err := os.ReadFile(filepath.Join(dirs["k8s.io/kubernetes"], "api/openapi-spec/swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	var swagger struct{ Definitions map[string]definition }
	if err := json.Unmarshal(text, &swagger); err != nil {
		t.Fatal(err)
	}
	packages := map[string]*apiFile{}
	for _, f := range files {
		packages[f.openapi] = f
	}
	compared := 0
	for fullName, def := range swagger.Definitions {
		dot := strings.LastIndex(fullName, ".")
		f, name := packages[fullName[:dot]], fullName[dot+1:]
		if len(def.Properties) == 0 { // a scalar form, which the built-in types have
			continue
		}
		if f == nil || f.structs[name] == nil {
			t.Errorf("%s is missing", fullName)
			continue
		}
		compared++
		if got, want := structLines(files, f, name), def.lines(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", fullName, got, want)
		}
		if got, want := f.structs[name].head(), def.head(); got != want {
			t.Errorf("%s: got %s, want %s", fullName, got, want)
		}
	}
	if compared < 500 {
		t.Errorf("only %d definitions compared", compared)
	}
}
