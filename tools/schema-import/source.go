package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// source loads upstream packages on demand, each one once.
type source struct {
	modules  map[string]string // module path -> folder
	packages map[string]*pkg   // import path -> package
}

// pkg is one parsed Go package and what its .api file is called.
type pkg struct {
	path     string
	file     string // name of the .api file without its suffix, also the prefix of references from other files
	group    string // full API group, "core" for the legacy one
	version  string
	proto    string          // protobuf package
	messages map[string]bool // protobuf messages of the package
	proto3   bool
	types    map[string]*typeDecl
	consts   map[string]constant
	enums    map[string][]constant // constants by their type
}

type constant struct {
	file *ast.File // for its imports
	expr ast.Expr
}

type typeDecl struct {
	pkg     *pkg
	name    string
	file    *ast.File // for its imports
	expr    ast.Expr
	alias   bool
	markers markers
}

// markers are the "+name=value" comment lines of a declaration.
type markers map[string][]string

func newSource(modules map[string]string) *source {
	return &source{modules: modules, packages: map[string]*pkg{}}
}

// apiPackages lists the group-version packages of k8s.io/api: those with protobuf messages.
func (s *source) apiPackages() ([]string, error) {
	root := s.modules["k8s.io/api"]
	var paths []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "generated.proto" {
			rel, _ := filepath.Rel(root, filepath.Dir(name))
			paths = append(paths, path.Join("k8s.io/api", filepath.ToSlash(rel)))
		}
		return err
	})
	return paths, err
}

func (s *source) dir(importPath string) (string, error) {
	for module, dir := range s.modules {
		if importPath == module || strings.HasPrefix(importPath, module+"/") {
			return filepath.Join(dir, strings.TrimPrefix(importPath, module)), nil
		}
	}
	return "", fmt.Errorf("package %s is in none of the modules", importPath)
}

func (s *source) load(importPath string) (*pkg, error) {
	if p, ok := s.packages[importPath]; ok {
		return p, nil
	}
	dir, err := s.dir(importPath)
	if err != nil {
		return nil, err
	}
	p := &pkg{path: importPath, proto: "-", types: map[string]*typeDecl{}, consts: map[string]constant{}, enums: map[string][]constant{}}
	s.packages[importPath] = p
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		base := filepath.Base(name)
		if strings.HasSuffix(base, "_test.go") || base == "generated.pb.go" || strings.HasPrefix(base, "zz_") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.addFile(file)
	}
	if err := p.readProto(dir); err != nil {
		return nil, err
	}
	if name, ok := p.consts["GroupName"]; ok {
		if p.group, err = s.stringValue(name); err != nil {
			return nil, err
		}
	}
	p.nameFile()
	return p, nil
}

// addFile records the file's types and constants.
func (p *pkg) addFile(file *ast.File) {
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				doc := spec.Doc
				if doc == nil {
					doc = gen.Doc
				}
				p.types[spec.Name.Name] = &typeDecl{p, spec.Name.Name, file, spec.Type, spec.Assign.IsValid(), readMarkers(doc)}
			case *ast.ValueSpec:
				if gen.Tok == token.CONST {
					p.addConst(file, spec)
				}
			}
		}
	}
}

// addConst records constants by name, and by type if they have one: `A T = "a"` or `A = T("a")`.
func (p *pkg) addConst(file *ast.File, spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		if i >= len(spec.Values) {
			continue
		}
		typ, value := spec.Type, spec.Values[i]
		if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 1 {
			typ, value = call.Fun, call.Args[0]
		}
		p.consts[name.Name] = constant{file, value}
		if typ, ok := typ.(*ast.Ident); ok {
			p.enums[typ.Name] = append(p.enums[typ.Name], p.consts[name.Name])
		}
	}
}

// enumValues returns the values of the string constants of a type, in alphabetical order as OpenAPI has them.
func (s *source) enumValues(decl *typeDecl) ([]string, error) {
	var values []string
	for _, c := range decl.pkg.enums[decl.name] {
		value, err := s.stringValue(c)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("enum %s has no constants", decl.name)
	}
	sort.Strings(values)
	return values, nil
}

func (s *source) stringValue(c constant) (string, error) {
	switch expr := c.expr.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(expr.Value)
	case *ast.SelectorExpr:
		imported, err := importPath(c.file, expr.X.(*ast.Ident).Name)
		if err != nil {
			return "", err
		}
		p, err := s.load(imported)
		if err != nil {
			return "", err
		}
		if target, ok := p.consts[expr.Sel.Name]; ok {
			return s.stringValue(target)
		}
	}
	return "", fmt.Errorf("constant of an unknown form: %v", c.expr)
}

var (
	protoMessage = regexp.MustCompile(`(?m)^message (\w+)`)
	protoPackage = regexp.MustCompile(`(?m)^package ([\w.]+);`)
)

// readProto reads the message names of the package's .proto file, if it has one.
func (p *pkg) readProto(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.proto"))
	if err != nil || len(names) == 0 {
		return err
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		return err
	}
	p.messages = map[string]bool{}
	for _, match := range protoMessage.FindAllSubmatch(text, -1) {
		p.messages[string(match[1])] = true
	}
	p.proto = string(protoPackage.FindSubmatch(text)[1])
	p.proto3 = strings.Contains(string(text), `syntax = "proto3"`)
	return nil
}

// nameFile derives group, version and file name.
func (p *pkg) nameFile() {
	p.version = path.Base(p.path)
	if len(p.version) < 2 || p.version[0] != 'v' || p.version[1] > '9' { // a package without versions
		p.group, p.version, p.file = p.version, "-", p.version
		return
	}
	switch {
	case strings.HasPrefix(p.path, "k8s.io/cri-api/"):
		p.group = "cri"
	case p.group == "":
		p.group = "core"
	}
	label, _, _ := strings.Cut(p.group, ".")
	p.file = label + "_" + p.version
}

// sortedTypes returns the package's type names in alphabetical order.
func (p *pkg) sortedTypes() []string {
	names := make([]string, 0, len(p.types))
	for name := range p.types {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func readMarkers(doc *ast.CommentGroup) markers {
	found := markers{}
	if doc == nil {
		return found
	}
	for _, line := range strings.Split(doc.Text(), "\n") {
		if marker, ok := strings.CutPrefix(strings.TrimSpace(line), "+"); ok {
			name, value, _ := strings.Cut(marker, "=")
			found[name] = append(found[name], value)
		}
	}
	return found
}

func (m markers) has(name string) bool { return len(m[name]) > 0 }

func (m markers) get(name string) string {
	if values := m[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// find resolves a type name as written in file, following imports and aliases.
func (s *source) find(p *pkg, file *ast.File, expr ast.Expr) (*typeDecl, error) {
	name := ""
	switch expr := expr.(type) {
	case *ast.Ident:
		name = expr.Name
	case *ast.SelectorExpr:
		name = expr.Sel.Name
		imported, err := importPath(file, expr.X.(*ast.Ident).Name)
		if err != nil {
			return nil, err
		}
		if p, err = s.load(imported); err != nil {
			return nil, err
		}
	}
	decl, ok := p.types[name]
	if !ok {
		return nil, fmt.Errorf("no type %s in %s", name, p.path)
	}
	if decl.alias {
		return s.find(decl.pkg, decl.file, decl.expr)
	}
	return decl, nil
}

func importPath(file *ast.File, name string) (string, error) {
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && path.Base(imported) == name {
			return imported, nil
		}
	}
	return "", fmt.Errorf("nothing is imported as %s", name)
}

// structOf returns the struct behind a declaration, with the declaration that spells it out
// (another one in the case of `type List metav1.List`); nil if it is no struct.
func (s *source) structOf(decl *typeDecl) (*ast.StructType, *typeDecl, error) {
	switch expr := decl.expr.(type) {
	case *ast.StructType:
		return expr, decl, nil
	case *ast.SelectorExpr:
		target, err := s.find(decl.pkg, decl.file, expr)
		if err != nil {
			return nil, nil, err
		}
		return s.structOf(target)
	}
	return nil, nil, nil
}
